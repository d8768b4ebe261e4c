"""The house rules that a machine can check: size, documentation, imports, the walk to the training step."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from functools import wraps
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml

import trainer

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src"
FILES = sorted((SOURCE / "trainer").rglob("*.py"))
MODULES = {".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): file for file in FILES}
TESTS = sorted((REPOSITORY / "tests").rglob("*.py"))

DIRECTORIES = {"benchmarks", "conf", "docs", "experiments", "src", "tests"}
DOCUMENTS = {"AGENTS.md", "CONTRIBUTING.md", "LICENSE", "README.md", "README.zh.md", "llms.txt"}
BUILD_FILES = {"Dockerfile", "Makefile", "constraints.txt", "pyproject.toml", "zensical.toml"}
TOP_LEVEL = DIRECTORIES | DOCUMENTS | BUILD_FILES
MAX_FILE_BYTES = 1_000_000

# each package may import those below it, in any part of a file; `trainer/__init__` loads names lazily
PACKAGES = (
    "__main__",
    "cli",
    "api",
    "sweeps",
    "callbacks",
    "training",
    "reports",
    "inference",
    "artifacts",
    "task",
    "data",
    "model",
    "config",
    "core",
)
# siblings that do not know each other, although one is above the other in the list
SEPARATE = {("task", "data"), ("task", "model"), ("data", "model"), ("data", "config"), ("model", "config")}


def imports(file: Path) -> set[str]:
    """Full names of our own modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & MODULES.keys() - {"trainer"}


def test_the_repository_contains_no_data_and_no_outputs():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    files = [name for name in listing.stdout.split("\0") if name]
    assert {name.split("/")[0] for name in files if not name.startswith(".")} <= TOP_LEVEL
    assert [name for name in files if (REPOSITORY / name).stat().st_size > MAX_FILE_BYTES] == []


def test_the_package_has_few_top_level_entries():
    entries = {path.name for path in (SOURCE / "trainer").iterdir()} - {"__pycache__", "py.typed"}
    assert entries <= {f"{name}.py" for name in ("__init__", "__main__")} | {*PACKAGES}
    assert len(entries) <= 15


@pytest.mark.parametrize("name", [name for name in MODULES if name.count(".")])
def test_imports_point_downward_between_packages(name):
    package = name.split(".")[1]
    below = {*PACKAGES[PACKAGES.index(package) + 1 :]} - {two for one, two in SEPARATE if one == package}
    others = {target.split(".")[1] for target in imports(MODULES[name])} - {package}
    assert others <= below, f"{name} may not import {sorted(others - below)}"


def test_no_import_goes_in_a_circle():
    TopologicalSorter({name: imports(file) - {name} for name, file in MODULES.items()}).prepare()


def test_names_that_are_imported_lazily_have_the_modules_that_type_checkers_see():
    [checked] = [node for node in ast.parse(Path(trainer.__file__).read_text()).body if isinstance(node, ast.If)]
    assert ast.unparse(checked.test) == "TYPE_CHECKING"
    assert {alias.asname: node.module for node in checked.body for alias in node.names} == trainer._MODULES
    assert all(getattr(trainer, name).__name__ == name for name in trainer._MODULES)


@pytest.mark.parametrize("file", [*FILES, *TESTS], ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_files_and_functions_are_short(file):
    text = file.read_text()
    assert len(text.splitlines()) <= 250
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 50, f"{node.name} has {node.end_lineno - node.lineno + 1} lines"


def test_most_functions_are_very_short():
    nodes = [node for file in SOURCE.rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = sorted((node.end_lineno - node.lineno + 1 for node in functions), reverse=True)
    assert lengths[len(lengths) // 2] <= 7
    assert lengths[int(0.05 * len(lengths))] <= 26


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_is_documented(name):
    module = importlib.import_module(name) if name != "trainer.__main__" else None
    if module is None:
        return
    assert module.__doc__, f"{name} does not say what it is"
    own = [value for value in vars(module).values() if getattr(value, "__module__", None) == name]
    for value in own:
        if not (inspect.isclass(value) or inspect.isfunction(value)) or value.__name__.startswith("_"):
            continue
        assert value.__doc__, f"{name}.{value.__name__} has no docstring"
        for method_name, method in vars(value).items() if inspect.isclass(value) else ():
            if method_name.startswith("_") or not (inspect.isfunction(method) or isinstance(method, property)):
                continue
            inherited = any(hasattr(base, method_name) for base in value.__mro__[1:])  # documented there
            assert inherited or method.__doc__, f"{name}.{value.__name__}.{method_name} has no docstring"


def test_docstrings_are_a_quarter_of_the_lines_at_most():
    lines = documentation = 0
    for file in FILES:
        text = file.read_text()
        lines += len(text.splitlines())
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                documentation += node.body[0].end_lineno - node.body[0].lineno + 1
    assert documentation / lines <= 0.30, f"{documentation} of {lines}"


@pytest.mark.parametrize(
    ("words", "claim"),
    [
        ([], "From the command to the training step it is {} files and {:,} lines"),
        (["~callbacks.fast_loop"], "with Lightning's own loop (`~callbacks.fast_loop`), {} files and {:,} lines"),
    ],
)
def test_the_docs_state_how_far_it_is_from_the_command_to_the_training_step(words, claim, command, monkeypatch):
    """The way: every file of ours on the stack while a batch is made, passes the network and gets its loss."""
    from trainer.data.digits import Digits
    from trainer.model.cnn import CNN
    from trainer.task.objective import ClassificationObjective

    walked: set[Path] = set()
    aside = {SOURCE / "trainer/training/preflight/dry_run.py", SOURCE / "trainer/callbacks/first_batch.py"}

    def watch(owner, name):
        original = getattr(owner, name)

        @wraps(original)  # steps are recorded only if these functions are known
        def watched(*args, **kwargs):
            frame, files = sys._getframe(), {Path(inspect.getfile(original))}
            while frame:
                files.add(Path(frame.f_code.co_filename))
                frame = frame.f_back
            if not aside & files:  # the network is called for shapes or for its graph, before the training
                walked.update(files)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, watched)

    watch(Digits, "prepare")
    watch(Digits, "augment")
    watch(CNN, "forward")
    watch(ClassificationObjective, "loss")
    without_validation = ("+trainer.limit_val_batches=0", "callbacks.checkpoint.monitor=train/loss", "test=false")
    command("data=digits", "model=cnn", "trainer.max_epochs=1", *without_validation, *words)
    ours = sorted(path for path in walked if path.is_relative_to(SOURCE / "trainer"))
    assert {"main.py", "run.py", "tensor_loader.py", "supervised.py"} <= {path.name for path in ours}
    lines = {str(path.relative_to(SOURCE)): len(path.read_text().splitlines()) for path in ours}
    rounded_up = -(-sum(lines.values()) // 100) * 100
    claim = claim.format(len(lines), rounded_up)
    assert claim in " ".join((REPOSITORY / "docs/how-it-works.md").read_text().split()), (
        claim,
        sum(lines.values()),
        lines,
    )


def test_protocols_that_isinstance_checks_have_no_parts_of_a_module():
    """Since Python 3.12, `isinstance` does not find submodules, parameters and buffers, which `__getattr__` returns."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())) if "@runtime_checkable" in file.read_text() else ():
            if isinstance(node, ast.ClassDef) and "runtime_checkable" in map(ast.unparse, node.decorator_list):
                types = [ast.unparse(field.annotation) for field in node.body if isinstance(field, ast.AnnAssign)]
                assert not [name for name in types if re.search("Module|Tensor|Parameter", name)], node.name


def test_no_room_is_a_lumber_room():
    lumber = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
    assert not [name for name in MODULES if lumber & set(re.split(r"[._]", name))]


@pytest.mark.parametrize("kind", ["data", "model"])
def test_the_folder_is_the_registry(kind):
    for file in (REPOSITORY / "conf" / kind).glob("*.yaml"):
        if file.stem == "custom":  # a class of the user
            continue
        node = yaml.safe_load(file.read_text())
        target = (node.get("net") or node)["_target_"]
        assert target.rpartition(".")[0] == f"trainer.{kind}.{file.stem}", file


def test_no_group_has_a_defaults_list_that_hides_a_choice():
    allowed = {"callbacks/default", "trainer/cpu", "trainer/gpu", "trainer/ddp", "trainer/ddp_sim"}
    conf = REPOSITORY / "conf"
    having = {
        str(file.relative_to(conf).with_suffix("")) for file in conf.glob("*/*.yaml") if "defaults:" in file.read_text()
    }
    assert having == allowed

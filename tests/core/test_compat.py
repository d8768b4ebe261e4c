"""Private names of other libraries are listed in one module, exist, and are used."""

import argparse
import ast
import importlib.metadata
import inspect
import json
import logging
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
from hydra._internal import utils as hydra_utils
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from trainer.config.command_line import parse_command_line
from trainer.core import compat

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / "src").rglob("*.py"))
TREES = {file: ast.parse(file.read_text()) for file in FILES}
LIBRARIES = r"(hydra|omegaconf|torch|pytorch_lightning|lightning_fabric|torchmetrics|torchvision|tensorboard)"
NAMED_TUPLE = {"_asdict", "_replace"}  # public methods in spite of their names


def is_private(name):
    return bool(re.match("_[^_]", name))


def find_own_names():
    """Return the private names that the project itself defines."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                    names.add(node.attr)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
    return names


def find_foreign_attributes():
    """Return the private attributes of other libraries that the project uses, by name, each with its places."""
    own = find_own_names() | NAMED_TUPLE
    used = {}
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            name = node.attr if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
                name = getattr(node.args[1], "value", None)
            if isinstance(name, str) and is_private(name) and name not in own:
                used.setdefault(name, []).append(f"{file.relative_to(REPOSITORY)}:{node.lineno}")
    return used


def test_no_other_module_imports_private_names():
    offences = []
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and re.match(rf"{LIBRARIES}\b", node.module):
                parts = [*node.module.split("."), *(alias.name for alias in node.names)]
                if any(map(is_private, parts)) and file.name != "compat.py":
                    offences.append(f"{file.relative_to(REPOSITORY)}:{node.lineno}: {ast.unparse(node)}")
    assert offences == []


def test_every_private_attribute_is_listed_and_used():
    listed = {name for names in compat.PRIVATE_ATTRIBUTES.values() for name in names}
    used = find_foreign_attributes()
    assert {name: places for name, places in used.items() if name not in listed} == {}
    assert listed - used.keys() - find_own_names() == set()


@pytest.mark.parametrize("owner", compat.PRIVATE_ATTRIBUTES)
def test_private_attributes_exist(owner):
    if owner.startswith("torchvision"):
        pytest.importorskip("torchvision")
    home = resolve_name(owner)
    modules = {inspect.getmodule(base) for base in getattr(home, "__mro__", (home,))}
    sources = [
        Path(module.__file__).read_text() for module in modules if str(getattr(module, "__file__", "")).endswith(".py")
    ]
    for name in compat.PRIVATE_ATTRIBUTES[owner]:
        assert hasattr(home, name) or any(name in source for source in sources), name


@pytest.mark.parametrize("name", compat.PRIVATE_OBJECTS)
def test_private_objects_exist(name):
    assert getattr(compat, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"'trainer\.core\.compat' has no attribute 'nothing'"):
        compat.nothing  # noqa: B018


def test_the_tested_versions_are_within_the_required_ones():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    required = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    pinned = dict(line.split(" ")[0].split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines())
    for name, tested in compat.TESTED_VERSIONS.items():
        [lowest] = [each.version for each in required[name] if each.operator == ">="]
        assert lowest in SpecifierSet(tested), name
        assert pinned[name] in SpecifierSet(tested), name


def test_the_help_does_not_import_the_slow_module_that_reads_versions():
    command = [sys.executable, "-X", "importtime", "-m", "trainer", "--help"]
    imports = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "trainer.core.compat" in imports
    assert "importlib.metadata" not in imports


@pytest.fixture
def checked_help(monkeypatch):
    """Check help texts as Python 3.14 does: format each one when its argument is added."""
    add_argument = argparse.ArgumentParser.add_argument

    def add_and_check(parser, *args, **kwargs):
        action = add_argument(parser, *args, **kwargs)
        parser._check_help(action)
        return action

    def check_help(parser, action):
        try:
            _ = action.help and "%" in action.help and action.help % vars(action)
        except (TypeError, ValueError) as error:
            raise ValueError("badly formed help string") from error

    monkeypatch.setattr(argparse.ArgumentParser, "add_argument", add_and_check)
    monkeypatch.setattr(argparse.ArgumentParser, "_check_help", check_help, raising=False)
    monkeypatch.setattr(hydra_utils, "argparse", argparse)


@pytest.mark.usefixtures("checked_help")
def test_hydra_reads_the_command_line_although_python_314_rejects_its_lazy_help():
    with pytest.raises(ValueError, match="badly formed help string"):
        compat.get_args_parser()
    options = parse_command_line(["-m", "seed=1", "--cfg", "job"])
    assert (options.multirun, options.cfg, options.overrides) == (True, "job", ["seed=1"])
    [completion] = [action for action in compat.get_args_parser()._actions if action.dest == "shell_completion"]
    assert str(completion.help).startswith("Install or Uninstall shell completion:\n")


@pytest.mark.usefixtures("checked_help")
def test_help_texts_that_are_strings_are_still_checked():
    with pytest.raises(ValueError, match="badly formed help string"):
        compat.LazyHelpParser().add_argument("--fraction", help="at most 100%")


@pytest.fixture
def uncached_versions():
    """Clear the cached results of version checks before and after a test."""
    caches = (compat.is_tested, compat.warn_if_untested)
    for function in caches:
        function.cache_clear()
    yield
    for function in caches:
        function.cache_clear()


@pytest.mark.usefixtures("uncached_versions")
def test_an_untested_version_disables_a_feature_with_one_warning(monkeypatch, caplog):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: {"torch": "2.99.0"}.get(name, "2.6.6"))
    caplog.set_level(logging.WARNING)
    assert not compat.is_tested("torch", "pytorch-lightning")
    for _ in range(2):
        compat.warn_if_untested("the fast loop", "torch", "pytorch-lightning")
    tested = compat.TESTED_VERSIONS["torch"]
    expected = f"warning: the fast loop is disabled, because it was not tested with torch 2.99.0 (tested: {tested})"
    assert [record.message for record in caplog.records] == [expected]


@pytest.mark.usefixtures("uncached_versions")
def test_a_run_with_an_untested_version_uses_lightnings_loop_and_has_the_same_results(monkeypatch, command, tmp_path):
    short = ("data=xor", "model=mlp", "trainer.max_epochs=3", "logger=none")
    assert command(*short, "hydra.run.dir=fast").code == 0
    compat.is_tested.cache_clear()
    monkeypatch.setitem(compat.TESTED_VERSIONS, "torch", "<1")
    outcome = command(*short, "hydra.run.dir=plain")
    assert outcome.code == 0
    assert "the fast loop is disabled" in outcome.out + outcome.err
    fast, plain = (json.loads((tmp_path / name / "result.json").read_text())["metrics"] for name in ("fast", "plain"))
    assert fast == plain

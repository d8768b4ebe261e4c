"""Execution of the code blocks in README.md and docs/*.md, and checks of their links and config names.

The fenced blocks of a page run one after another in an empty directory, with the programs of this environment first on
PATH:

    ```bash                       run with `bash -euo pipefail`
    ```python                     run as a script
    ```python title="my_code.py"  written to this file, as is any other block with a title, e.g. yaml
    ```console, ```text           never run: commands that install, need a GPU or MNIST, open a browser ...

In errors.md, each console block of `$ command` and its output is run too, and must print the same text; `...` matches
any text. Only blocks at the left margin count. A page without executable blocks has no test.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")

# names in the pages for which no config file exists
EXTERNAL_NAMES = {
    "errors.md": {"model=cn", "experiment=my_experiment"},  # misspelled, to show the message; written by the reader
    "sweeps.md": {"experiment=winner"},  # written by the reader
    "coming-from-lightning-hydra-template.md": {
        *("hparams_search=mnist_optuna", "experiment=example"),
        *("data=mnist_lit", "model=mnist_lit"),  # copied by the reader
    },
}


class Block(NamedTuple):
    """Fenced code block of a page."""

    line: int
    language: str
    title: str
    text: str

    @property
    def is_run(self) -> bool:
        return bool(self.title) or self.language in ("bash", "python")


def read_blocks(page):
    text = page.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, m.start()) + 1, m[1], m[2] or "", m[3]) for m in FENCE.finditer(text)]


def list_pages(*, executable):
    """Return all pages, or those with executable blocks, as parameters."""
    pages = [page for page in PAGES if not executable or any(b.is_run and not b.title for b in read_blocks(page))]
    return [pytest.param(page, id=str(page.relative_to(ROOT)), marks=[pytest.mark.slow] * executable) for page in pages]


def run(command, directory):
    """Run a command in a directory, without variables of the tests; return exit status and output."""
    excluded = ("TRAINER_", "HYDRA_", "PYTEST_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(excluded)}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment |= {"COLUMNS": "200", "OMP_NUM_THREADS": environment.get("OMP_NUM_THREADS", "1")}
    process = subprocess.run(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return process.returncode, process.stdout


def list_anchors(page):
    """Return the anchors that the site and GitHub derive from the headings of a page."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", list_pages(executable=True))
def test_code_blocks_run(page, tmp_path):
    for block in read_blocks(page):
        if block.title:
            file = tmp_path / block.title
            assert file.resolve().is_relative_to(tmp_path.resolve()), f"{page.name}:{block.line}: {block.title}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.text, encoding="utf-8")
        elif block.is_run:
            program = ["bash", "-euo", "pipefail", "-c"] if block.language == "bash" else [sys.executable, "-c"]
            status, output = run([*program, block.text], tmp_path)
            assert status == 0, f"{page.name}:{block.line}\n{block.text}\nexit status {status}\n{output}"


@pytest.mark.slow
def test_errors_are_quoted_verbatim(tmp_path):
    page = ROOT / "docs/errors.md"
    blocks = [block for block in read_blocks(page) if block.language == "console"]
    assert blocks
    for block in blocks:
        command, _, expected = block.text.removeprefix("$ ").partition("\n")
        status, output = run(["bash", "-c", command], tmp_path)
        parts = re.split(r"\n?\.\.\.\n?", expected.strip())
        pattern = "(?s:.*)".join(map(re.escape, parts))
        problem = f"{page.name}:{block.line}\n{block.text}\nexit status {status}\n{output}"
        assert status != 0, problem
        assert re.fullmatch(pattern, output.strip()), problem


@pytest.mark.parametrize("page", list_pages(executable=False))
def test_links_are_valid(page):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):  # another site; the tests need no network
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: no file for the link '{target}'"
        assert not anchor or anchor in list_anchors(file), f"{page.name}: no heading for the link '{target}'"


@pytest.mark.parametrize("page", list_pages(executable=False))
def test_config_names_exist(page):
    files = {
        str(file.relative_to(ROOT))
        for directory in ("conf", "experiments")
        for file in ROOT.glob(f"{directory}/**/*.yaml")
    }
    files |= {block.title for block in read_blocks(page)}  # files written on this page
    groups = {file.parent.name for file in ROOT.glob("conf/*/*.yaml")} | {"experiment", "hparams_search"}
    text = FENCE.sub(lambda m: "" if m[1] == "python" else m[0], page.read_text(encoding="utf-8"))
    for group, names in re.findall(rf"(?<![\w./+])({'|'.join(sorted(groups))})=([\w\[\],]++)(?!\()", text):
        for name in filter(None, re.split(r"[\[\],]", names)):
            paths = [f"conf/{group}/{name}.yaml", f"my_package/conf/{group}/{name}.yaml"]
            if group == "experiment":
                paths.append(f"experiments/{name}.yaml")
            exists = files.intersection(paths) or name in ("null", "NAME")
            assert exists or f"{group}={name}" in EXTERNAL_NAMES.get(page.name, ()), f"{page.name}: no {group}={name}"


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path):
    status, output = run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path / "site"], ROOT)
    assert status == 0, output
    pages = {page.relative_to(ROOT / "docs").with_suffix("") for page in PAGES if page.parent != ROOT} - {Path("index")}
    assert all((tmp_path / "site" / name / "index.html").is_file() for name in pages)

"""README.md and docs/*.md do what they say.

The fenced blocks of a page, in turn, in one fresh directory for the page, with this environment's programs first
on PATH:

    ```bash                       run with `bash -euo pipefail`
    ```python                     run as a script
    ```python title="my_code.py"  written to that file; so is any other block with a title, e.g. yaml
    ```console, ```text           shown only, never run: what installs, needs a GPU or MNIST, opens a browser ...

On errors.md each console block of `$ command` and its output is run as well, and must say the very same; `...`
stands for anything. A page without blocks to run makes no test. Blocks are found at the left margin only.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")

# choices that the pages name and that are not there, on purpose
NOT_OURS = {
    "errors.md": {"model=cn", "experiment=my_recipe"},  # misspelt, to show the message; the reader's own
    "sweeps.md": {"experiment=winner"},  # the reader makes it
    "coming-from-lightning-hydra-template.md": {"logger=wandb", "hparams_search=mnist_optuna", "experiment=example"},
}


class Block(NamedTuple):
    """A fenced block of a page."""

    line: int
    language: str
    title: str
    text: str

    @property
    def is_run(self) -> bool:
        return bool(self.title) or self.language in ("bash", "python")


def blocks_of(page):
    text = page.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, m.start()) + 1, m[1], m[2] or "", m[3]) for m in FENCE.finditer(text)]


def pages(*, to_run):
    """The pages as parameters; those to run are slow."""
    chosen = [page for page in PAGES if not to_run or any(b.is_run and not b.title for b in blocks_of(page))]
    return [pytest.param(page, id=page.name, marks=[pytest.mark.slow] * to_run) for page in chosen]


def run(command, directory):
    """Run a command as a reader would, in `directory`; returns exit status and output."""
    mine = ("TRAINER_", "HYDRA_", "PYTEST_", "PYTHONPATH")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
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


def slugs(page):
    """The anchors of a page: its headings as the site (and GitHub, for plain words) writes them."""
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", pages(to_run=True))
def test_snippets_run(page, tmp_path):
    for block in blocks_of(page):
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
    shown = [block for block in blocks_of(page) if block.language == "console"]
    assert shown
    for block in shown:
        command, _, expected = block.text.removeprefix("$ ").partition("\n")
        status, output = run(["bash", "-c", command], tmp_path)
        parts = re.split(r"\n?\.\.\.\n?", expected.strip())
        pattern = "(?s:.*)".join(map(re.escape, parts))
        problem = f"{page.name}:{block.line}\n{block.text}\nexit status {status}\n{output}"
        assert status != 0, problem
        assert re.fullmatch(pattern, output.strip()), problem


@pytest.mark.parametrize("page", pages(to_run=False))
def test_links_lead_somewhere(page):
    for target in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):  # another site; no test asks the network
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page.name}: no file for the link '{target}'"
        assert not anchor or anchor in slugs(file), f"{page.name}: no heading for the link '{target}'"


@pytest.mark.parametrize("page", pages(to_run=False))
def test_choices_exist(page):
    files = {
        str(file.relative_to(ROOT)) for folder in ("conf", "experiments") for file in ROOT.glob(f"{folder}/**/*.yaml")
    }
    files |= {block.title for block in blocks_of(page)}  # what a reader makes on this page
    groups = {file.parent.name for file in ROOT.glob("conf/*/*.yaml")} | {"experiment", "hparams_search"}
    text = FENCE.sub(lambda m: "" if m[1] == "python" else m[0], page.read_text(encoding="utf-8"))
    for group, names in re.findall(rf"(?<![\w./+])({'|'.join(sorted(groups))})=([\w\[\],]++)(?!\()", text):
        for name in filter(None, re.split(r"[\[\],]", names)):
            places = [f"conf/{group}/{name}.yaml", f"my_package/conf/{group}/{name}.yaml"]
            if group == "experiment":
                places.append(f"experiments/{name}.yaml")
            there = files.intersection(places) or name in ("null", "NAME")
            assert there or f"{group}={name}" in NOT_OURS.get(page.name, ()), f"{page.name}: no {group}={name}"


@pytest.mark.slow
def test_site_builds_without_a_warning(tmp_path):
    status, output = run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path / "site"], ROOT)
    assert status == 0, output
    pages = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"}
    assert all((tmp_path / "site" / name / "index.html").is_file() for name in pages)

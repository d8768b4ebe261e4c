"""Execution of the code blocks in README.md and docs/*.md, and checks of their links and config names.

The fenced blocks of a page run one after another in an empty directory, with the programs of this environment first on
PATH:

    ```bash                       run with `bash -euo pipefail`
    ```python                     run as a script
    ```python title="my_code.py"  written to this file, as is any other block with a title, e.g. yaml
    ```sh, ```text                never run: commands that install, need a GPU or MNIST, open a browser ...

In errors.md, each `sh` block is run too, and must print the text of the next block; `...` matches any text. Only blocks
at the left margin count. A page without executable blocks has no test.
"""

import html
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENTATION = runpy.run_path(str(Path(__file__).with_name("documentation.py")))
ROOT, PAGES, FENCE, read_blocks = (DOCUMENTATION[name] for name in ("ROOT", "PAGES", "FENCE", "read_blocks"))
LINK = re.compile(r"(?<!\!)\[[^\]\n]*\]\(([^)\s]+)\)")

PENDING_PAGES = (ROOT / "docs/installation.md",)
# names in the pages for which no config file exists
EXTERNAL_NAMES = {
    "errors.md": {"model=cn", "experiment=my_experiment"},  # misspelled, to show the message; written by the reader
    "sweeps.md": {"experiment=winner"},  # written by the reader
    "coming-from-lightning-hydra-template.md": {
        *("hparams_search=mnist_optuna", "experiment=example"),
        *("data=mnist_lit", "model=mnist_lit"),  # copied by the reader
    },
}


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
    blocks = read_blocks(page)
    pairs = [(block, blocks[index]) for index, block in enumerate(blocks[:-1], start=1) if block.language == "sh"]
    assert pairs
    for block, expected in pairs:
        status, output = run(["bash", "-c", block.text], tmp_path)
        parts = re.split(r"\n?\.\.\.\n?", expected.text.strip())
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
        if file in PENDING_PAGES and not file.exists():
            continue
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


def test_the_picture_and_the_text_of_make_demo_are_of_the_same_run():
    picture = (ROOT / "docs/pictures/demo.svg").read_text(encoding="utf-8")
    drawn = "".join(html.unescape("".join(re.findall(r">([^<>]*)</text>", picture))).split())
    blocks = [block for page in PAGES if page.name.startswith("first-run") for block in read_blocks(page)]
    outputs = {block.text for block in blocks if "600 step(s)" in block.text}
    assert len(outputs) == 1
    assert "".join(outputs.pop().removeprefix("...").split()) == drawn.removeprefix("trainer$makedemo")
    assert "url(" not in re.sub(r"url\(#", "", picture)


@pytest.mark.slow
def test_site_builds_without_warnings(tmp_path):
    site = tmp_path / "site"
    runpy.run_path(str(ROOT / "docs/generate/site.py"))["build_site"](site)
    pages = {page.relative_to(ROOT / "docs").with_suffix("") for page in PAGES if page.parent != ROOT} - {Path("index")}
    assert all((site / name / "index.html").is_file() for name in pages)
    tutorial = (site / "tutorial/index.html").read_text(encoding="utf-8")
    assert "trainer.train(" in html.unescape(re.sub(r"<[^>]+>", "", tutorial))
    assert "<svg" in re.search("<article.*</article>", tutorial, re.DOTALL)[0]

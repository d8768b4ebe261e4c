"""AGENTS.md and llms.txt name only pages, files and targets that exist, and the order of the packages."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
AGENTS = (ROOT / "AGENTS.md").read_text()
LLMS = (ROOT / "llms.txt").read_text()
MAX_AGENTS_LINES = 100  # it is a part of every conversation


def test_llms_txt_is_current_and_lists_every_page():
    assert runpy.run_path(str(ROOT / "docs/generate/llms.py"))["render_file"]() == LLMS, "run make reference"
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", LLMS)}
    assert [link for link in links if not (ROOT / link).is_file()] == []
    pages = {str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")}
    assert pages - links == {"docs/index.md"}, "add the page to a table of docs/index.md"


def test_llms_txt_has_its_format():
    title, summary, *blocks = LLMS.split("\n\n")
    assert re.fullmatch(r"# \w+", title)
    assert all(line.startswith("> ") for line in summary.splitlines())
    sections = blocks[1:]
    for heading, items in zip(sections[::2], sections[1::2], strict=True):
        assert heading.startswith("## ")
        assert all(re.fullmatch(r"- \[[^]]+\]\([^)]+\): .+", line) for line in items.strip().splitlines())


def test_agents_md_is_short_and_names_existing_files_and_targets():
    assert len(AGENTS.splitlines()) <= MAX_AGENTS_LINES
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {*re.findall(r"\bmake ([a-z-]+)", AGENTS)} <= {*targets}
    paths = re.findall(r"(?:src|conf|tests|docs|experiments)/[\w./]+\.(?:py|yaml|md)", AGENTS)
    assert len(paths) >= 10
    assert [path for path in paths if "NAME" not in path and not (ROOT / path).is_file()] == []
    directories = {str(Path(path).parent) for path in paths if "NAME" in path}
    assert [path for path in directories if not (ROOT / path).is_dir()] == []


def test_agents_md_has_the_order_of_the_packages():
    packages = runpy.run_path(str(ROOT / "tests/test_architecture.py"))["PACKAGES"]
    assert re.search(r"in this order: `([^`]+)`", AGENTS)[1].split() == [*packages[1:]]

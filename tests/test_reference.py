"""Tests that docs/reference/ is what its generator writes, and that it is complete."""

import re
import runpy
from pathlib import Path

import pytest

from trainer.config.introspection.group_options import load_choices

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.fixture(scope="module")
def pages():
    json_page = runpy.run_path(str(DOCS / "generate/json_output.py"))["render_page"]()
    return runpy.run_path(str(DOCS / "generate/reference.py"))["render_pages"]() | {"json.md": json_page}


def test_the_reference_is_current(pages):
    stored = {file.name: file.read_text() for file in (DOCS / "reference").glob("*.md")}
    assert [*stored.keys() ^ pages.keys()] == []
    assert [name for name, text in pages.items() if stored[name] != text] == [], "run make reference"


def test_every_option_and_every_argument_is_described(pages):
    for group, choices in load_choices().items():
        for name in choices:
            assert f"### {group}={name}\n" in pages["configs.md"] or f"| `{name}` |" in pages["configs.md"]
    assert re.findall(r"^\| `[\w.+]+` .*\|\s*\|$", pages["configs.md"], flags=re.MULTILINE) == []

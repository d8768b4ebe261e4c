"""Chinese pages have the commands, outputs and results of the English ones."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "docs/first-run.md"]
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"`(trainer[^`]*|source [^`]*)`")
RESULT = re.compile(r"^\| `(\w+)` \|.*\| ([^|]+ \| \d+) \|$", re.MULTILINE)


def read(page):
    return (REPOSITORY / page).read_text("utf-8")


def translate(page):
    return page.removesuffix(".md") + ".zh.md"


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_those_of_the_english_page(page):
    assert BLOCK.findall(read(translate(page))) == BLOCK.findall(read(page)) != []


def test_commands_in_the_text_of_the_readme_are_those_of_the_english_one():
    english = COMMAND.findall(BLOCK.sub("", read("README.md").partition("## Compared")[0]))
    assert COMMAND.findall(BLOCK.sub("", read("README.zh.md").partition("## 结果")[0])) == english != []


def test_results_of_the_readme_are_those_of_the_english_one():
    assert RESULT.findall(read("README.zh.md")) == RESULT.findall(read("README.md")) != []


@pytest.mark.parametrize("page", PAGES)
def test_pages_link_to_each_other(page):
    name, chinese = Path(page).name, Path(translate(page)).name
    assert f"English | [中文]({chinese})" in read(page)
    assert f"[English]({name}) | 中文" in read(translate(page))

"""Writing rules that a machine can check: names, docstrings, comments and messages in plain technical English.

The rules are in CONTRIBUTING.md. Edit the lists below: a word in them is reported with its file and line.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = sorted((REPOSITORY / "src").rglob("*.py"))
OTHER_CODE = [
    file for folder in ("benchmarks", "docs", "tests") for file in sorted((REPOSITORY / folder).rglob("*.py"))
]
PYTHON = [*SOURCE, *OTHER_CODE]
YAML = sorted(file for folder in ("conf", "experiments") for file in (REPOSITORY / folder).rglob("*.yaml"))
PAGES = [*sorted(REPOSITORY.glob("*.md")), *(REPOSITORY / "docs").glob("*.md"), *REPOSITORY.glob("*/README.md")]

# variables and parameters that say nothing about their content
VAGUE_NAMES = """
    word words found place places made told said given known own one whole wanted left before each kept asked shown
    drawn taken held seen meant thing things lacking beside apart again more less there here
"""
MAX_VAGUE_NAMES = 20 / 10_000  # of all bindings
MAX_PACKED_ASSIGNMENTS = 3 / 1000  # `a, b = 1, 2` by source lines

# words and phrases of the private vocabulary, and the plain ones that replace them
REPLACED_WORDS = {
    r"None where": "None if",
    r"(?:goes|go|going|went|gone) on\b": "continue, resume",
    r"once more": "again, retry",
    r"nobody|somebody|whoever|anybody": "no process, another process, the caller",
    r"mend(?:ed|s|ing)?\b": "fix, correct",
    r"(?:is|are|was|were) told\b": "receives, prints, is reported",
    r"made[- ]up": "synthetic",
    r"gives? out\b": "return, yield",
    r"(?:lie|lies|stands) (?:in|beside|below|behind|there|anywhere)\b": "is in, is stored in",
    r"lean steps|lean loop": "fast loop",
    r"recipes?\b": "experiment, example",
}
PROSE_TOKENS = ("COMMENT", "STRING", "FSTRING_MIDDLE")  # the last one, since Python 3.12, is the text of an f-string
SHORT_SENTENCE_PAGES = ("README.md", "docs/first-run.md")
MAX_SENTENCE_WORDS = 30
# first words of docstrings that begin with a relative clause or a preposition instead of a verb or a noun
OPENERS = ("What", "Where", "Whose", "Who", "Which", "How", "Whether", "When", "Of", "With", "By")


@cache
def parse(file: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(file.read_text())


def documented(file: Path) -> Iterator[tuple[ast.AST, str]]:
    """Yield modules, classes and functions of a file with their docstrings."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            yield node, text


@cache
def prose(file: Path) -> list[tuple[int, str]]:
    """Return the lines of a file that are prose: docstrings, messages and comments; all lines of a page."""
    return [*find_prose(file)]


def find_prose(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file that are prose."""
    text = file.read_text()
    if file.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if tokenize.tok_name[token.type] in PROSE_TOKENS:
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, line
    elif file.suffix == ".yaml":
        for number, line in enumerate(text.splitlines(), 1):
            if "#" in line:
                yield number, line.partition("#")[2]
    else:
        fenced = False
        for number, line in enumerate(text.splitlines(), 1):
            fenced ^= line.startswith("```")
            if not fenced:
                yield number, line


def bindings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the variables and parameters that a file binds, with their lines."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def shown(file: Path, line: int, text: str) -> str:
    """Return an offence with its place."""
    return f"{file.relative_to(REPOSITORY)}:{line}: {text}"


def test_no_module_docstring_explains_its_file_name():
    offences = []
    for file in PYTHON:
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        if re.match(r"(?:\w[\w'-]*,? ){0,4}\w[\w'-]*: ", text.split("\n")[0]):
            offences.append(shown(file, 1, text.split("\n")[0]))
    assert len(offences) <= 5, "\n".join(offences)


def test_docstrings_begin_with_a_verb_or_a_noun():
    offences = [
        shown(file, getattr(node, "lineno", 1), text.split("\n")[0])
        for file in SOURCE
        for node, text in documented(file)
        if text.split()[0].rstrip(",:") in OPENERS
    ]
    assert offences == [], "\n".join(offences)


def test_arguments_are_described_by_a_noun_phrase():
    offences = []
    for file in SOURCE:
        for node, text in documented(file):
            for section in re.findall(r"^Args:\n((?:    .*\n?|\n)+)", text, re.MULTILINE):
                for name, opener in re.findall(r"^    (\**\w[\w, *]*): (\w+)", section, re.MULTILINE):
                    if opener in {*OPENERS} - {"Whether", "When"}:
                        offences.append(shown(file, getattr(node, "lineno", 1), f"{name}: {opener} ..."))
    assert offences == [], "\n".join(offences)


def test_variables_are_named_after_their_content():
    found = [(file, line, name) for file in SOURCE for line, name in bindings(file)]
    vague = [(file, line, name) for file, line, name in found if name in VAGUE_NAMES.split()]
    assert len(vague) <= MAX_VAGUE_NAMES * len(found), "\n".join(shown(*each) for each in vague)


def test_assignments_are_made_one_a_line():
    offences, lines = [], 0
    for file in SOURCE:
        lines += len(file.read_text().splitlines())
        for node in ast.walk(parse(file)):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
                continue
            for target in node.targets:
                if isinstance(target, ast.Tuple) and len(target.elts) == len(node.value.elts):
                    names, values = ({ast.unparse(part) for part in side.elts} for side in (target, node.value))
                    if not names & values:  # a swap
                        offences.append(shown(file, node.lineno, ast.unparse(node)))
    assert len(offences) <= MAX_PACKED_ASSIGNMENTS * lines, "\n".join(offences)


def test_things_start_more_often_than_they_begin():
    lines = [line.lower() for file in [*SOURCE, *YAML, *PAGES] for _, line in prose(file)]
    begin, start = (
        sum(len(re.findall(pattern, line)) for line in lines)
        for pattern in (r"\b(?:begin|begins|beginning|began|begun)\b", r"\b(?:start|starts|started|starting)\b")
    )
    assert begin <= start, (begin, start)


@pytest.mark.parametrize("pattern", REPLACED_WORDS)
def test_the_private_vocabulary_is_gone(pattern):
    expression = re.compile(rf"\b(?:{pattern})", re.IGNORECASE)
    offences = [
        shown(file, number, line.strip())
        for file in [*SOURCE, *YAML, *PAGES]
        for number, line in prose(file)
        if expression.search(line)
    ]
    assert offences == [], f"write {REPLACED_WORDS[pattern]}:\n" + "\n".join(offences)


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_lines_of_pages_are_short_enough_to_review(file):
    lines = [line for _, line in prose(file) if not re.match(r"\||    |\[[\w-]+\]: ", line) and "](" not in line]
    assert [line for line in lines if len(line) > 120] == []


def list_sentences(page: Path) -> list[str]:
    """Return the sentences of a page; an item of a list and a cell of a table end a sentence."""
    text = re.sub(r"^\[[^\]]+\]: .*$", "", "\n".join(line for _, line in prose(page)), flags=re.MULTILINE)
    text = re.sub(r"^(?:- |\d+\. |#+ |\|)|\|", "\n\n", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in re.split(r"(?<=[.!?:])\s|\n\s*\n", text) if part.strip()]


@pytest.mark.parametrize("name", SHORT_SENTENCE_PAGES)
def test_sentences_of_the_first_pages_are_short(name):
    sentences = list_sentences(REPOSITORY / name)
    assert len(sentences) > 20
    assert [sentence for sentence in sentences if len(sentence.split()) > MAX_SENTENCE_WORDS] == []


@pytest.mark.parametrize("source", ['f"{name} comment {1}"', "# a comment", '"a comment"', "f'''a\n{name}\ncomment'''"])
def test_the_text_of_strings_and_comments_is_checked(source, tmp_path):
    file = tmp_path / "module.py"
    file.write_text(source)
    assert any("comment" in line for _, line in prose(file))

"""Code blocks and commands of README.md, docs/*.md and the help texts; other tests load it by `runpy`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
OTHER_PAGES = [*sorted(ROOT.glob("README*.md")), ROOT / "CONTRIBUTING.md", ROOT / "AGENTS.md"]
PAGES = [page for page in (*OTHER_PAGES, *sorted((ROOT / "docs").rglob("*.md"))) if page.exists()]
HELP_FILES = [ROOT / "src/trainer/cli/help.py", *sorted((ROOT / "src/trainer/cli/commands").glob("[a-z]*.py"))]
FENCE = re.compile(r'^```(\w+)(?: title="([^"\n]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# commands in the text, and overrides that may be appended to one
INLINE = re.compile(r"(?<!`)`((?:trainer|python|pip|make) [^`\n]+|'?[+~]*[a-z][\w.]*=[^`\n]+)`(?!`)")
SHELLS = ("bash", "sh")
HEREDOC = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """Fenced code block of a page."""

    line: int
    language: str
    title: str
    text: str

    @property
    def is_run(self) -> bool:
        """Whether the tests execute it."""
        return bool(self.title) or self.language in ("bash", "python")


class Command(NamedTuple):
    """Command that a reader may copy, with its location."""

    location: str
    text: str


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page that start at the left margin."""
    text = page.read_text(encoding="utf-8")
    return [Block(text.count("\n", 0, m.start()) + 1, m[1], m[2] or "", m[3]) for m in FENCE.finditer(text)]


def list_commands(page: Path) -> list[Command]:
    """Return the commands of the shell blocks, and those in the text that are no placeholders."""
    commands = []
    for block in read_blocks(page):
        if block.language in SHELLS and not block.title:
            text = HEREDOC.sub("", block.text).replace("\\\n", " ")
            lines = [line.strip() for line in text.splitlines()]
            commands += [Command(f"{page.name}:{block.line}", line) for line in lines if line and line[0] != "#"]
    text = FENCE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))
    for match in INLINE.finditer(text):
        commands.append(Command(f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}", match[1]))
    return commands


def list_help_commands(file: Path) -> Iterator[Command]:
    """Yield the examples in a help text: lines that start with two blanks, or follow `e.g.`, without their comment."""
    statements = ast.parse(file.read_text(encoding="utf-8")).body
    values = [getattr(statement, "value", None) for statement in statements]
    for value in (item.value for item in values if isinstance(item, ast.Constant) and isinstance(item.value, str)):
        for line in value.splitlines():
            match = re.search(r"(?:^\s{2,}|e\.g\. )(trainer .*)", line)
            if match:
                yield Command(file.name, re.split(r"\s{3,}", match[1])[0])


def strip_comment(command: str) -> str:
    """Return a command without the comment at its end."""
    quote = ""
    for index, char in enumerate(command):
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
        elif char == "#" and not quote and (index == 0 or command[index - 1].isspace()):
            return command[:index].rstrip()
    return command


def find_unquoted(command: str) -> list[str]:
    """Return the characters outside of quotes that bash or zsh replace: `[`, `*`, `?`, `^`, `=(`, `~name`."""
    found = []
    quote = ""
    command = strip_comment(command)
    for index, char in enumerate(command):
        pair = command[index : index + 2]
        if char in "'\"" and quote in ("", char):
            quote = "" if quote else char
        elif not quote and (char in "[*?^" or pair == "=(" or re.fullmatch(r"~\w", pair)):
            found.append(char)
    return found

"""The commands beside a run, one module each: `trainer sample RUN` is `trainer.cli.commands.sample`.

A module's name is the command, its docstring what `trainer COMMAND --help` prints (its first line stands in
`trainer --help`), and its `main(words) -> int` takes what stands behind the command and returns the exit status. What
the user can mend it raises as `UserError`.
"""

import ast
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from trainer.core.errors import UserError, did_you_mean
from trainer.core.lazy_imports import late_imports

FOLDER = Path(__file__).parent


def commands() -> dict[str, str]:
    """What each command does, by its name."""
    names = sorted(file.stem for file in FOLDER.glob("*.py") if not file.stem.startswith("_"))
    return {name: manual(name).partition("\n")[0] for name in names}


def manual(name: str) -> str:
    """How a command is used: the docstring of its module, which is not imported for this."""
    return ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))) or ""


def is_command(word: str) -> bool:
    """Whether the first word of a command line is a command, and not part of a run's config."""
    return word.isidentifier() and not word.startswith("_") and (FOLDER / f"{word}.py").is_file()


def in_full(words: list[str]) -> list[str]:
    """The words of a command line, where `--plan` is short for a command."""
    if "--plan" not in words:
        return words
    return ["sweep", "plan", *(word for word in words if word not in ("--plan", "-m", "--multirun"))]


def run_command(name: str, words: list[str]) -> int:
    """Run a command with the words behind it.

    Returns:
        int: The exit status; 1 where there was a mistake, which has been told.
    """
    if {"-h", "--help"} & {*words}:
        print(manual(name))
        return 0
    sys.path.append(os.getcwd())  # `_target_: my_code.Net` works for a file in the working directory
    with late_imports():
        command = import_module(f"{__name__}.{name}")
    try:
        return int(command.main(words))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def as_typed(value: Any) -> str:
    """A value of a config as one would type it."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def trusted(words: Sequence[str]) -> tuple[list[str], str]:
    """The words without those that begin with `trust=`, and the packages that these declare, with commas between."""
    declared = [word.removeprefix("trust=") for word in words if word.startswith("trust=")]
    return [word for word in words if not word.startswith("trust=")], ",".join(declared)


def split_words(words: list[str], settings: list[str], usage: str) -> tuple[list[str], dict[str, str]]:
    """The names and the settings (`key=value`) of a command line.

    Args:
        words: Behind the command.
        settings: The keys that there are.
        usage: One line, for messages.

    Raises:
        UserError: There is no such key, or a key comes twice.
    """
    names, given = [], dict[str, str]()
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():  # a path may have = in it
            names.append(word)
        elif key not in settings:
            raise UserError(f"there is no setting '{key}'{did_you_mean(key, settings)}\n  {usage}")
        elif key in given:
            raise UserError(f"{key}: is there twice\n  {usage}")
        else:
            given[key] = value
    return names, given

"""Subcommands of `trainer`, one module each: `trainer sample RUN` calls `trainer.cli.commands.sample.main`.

The module's docstring is the text of `trainer COMMAND --help`, and its first line the summary in `trainer --help`.
`main(argv)` takes the arguments after the command and returns the exit status; errors of the user are raised as
`UserError`.
"""

import ast
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from trainer.core.errors import UserError, did_you_mean
from trainer.core.lazy_imports import lazy_imports

COMMANDS_DIR = Path(__file__).parent


def list_commands() -> dict[str, str]:
    """Return the summary of each command by name."""
    names = sorted(file.stem for file in COMMANDS_DIR.glob("*.py") if not file.stem.startswith("_"))
    return {name: read_help(name).partition("\n")[0] for name in names}


def read_help(name: str) -> str:
    """Return the help of a command, the docstring of its module, without importing it."""
    return ast.get_docstring(ast.parse((COMMANDS_DIR / f"{name}.py").read_text("utf-8"))) or ""


def is_command(name: str) -> bool:
    """Return whether the first argument of a command line is a command instead of an override."""
    return name.isidentifier() and not name.startswith("_") and (COMMANDS_DIR / f"{name}.py").is_file()


def expand_plan_option(argv: list[str]) -> list[str]:
    """Replace the option `--plan` by the command `sweep plan`."""
    if "--plan" not in argv:
        return argv
    return ["sweep", "plan", *(arg for arg in argv if arg not in ("--plan", "-m", "--multirun"))]


def run_command(name: str, argv: list[str]) -> int:
    """Run a command with its arguments.

    Returns:
        int: Exit status; 1 if a `UserError` was printed.
    """
    if {"-h", "--help"} & {*argv}:
        print(read_help(name))
        return 0
    sys.path.append(os.getcwd())  # finds `_target_: my_code.Net` in the working directory
    with lazy_imports():
        command = import_module(f"{__name__}.{name}")
    try:
        return int(command.main(argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


class _CommandParser(ArgumentParser):
    """Argument parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            message += did_you_mean(unknown[1], [*self._option_string_actions])
        print(f"error: {self.prog}: {message}  (see trainer {self.prog.split()[0]} --help)", file=sys.stderr)
        raise SystemExit(2)


def parse_arguments(command: str, argv: Sequence[str], *positionals: str, **options: Any) -> Namespace:
    """Parse the arguments of a command; exit with status 2 if they are invalid.

    Args:
        command: Name of the command.
        argv: Arguments after the command.
        positionals: Names of the positional arguments, each optionally with the `nargs` `?`, `*` or `+` at its end.
        options: Default of each option: False for a flag, a tuple for one of several values, None or a string for text,
            the keyword arguments of `add_argument` for others.
    """
    parser = _CommandParser(prog=command, add_help=False, allow_abbrev=False)
    for positional in positionals:
        name = positional.rstrip("?*+")
        kwargs: dict[str, Any] = {"nargs": positional[len(name) :] or None}
        if kwargs["nargs"] == "*":
            kwargs["default"] = []  # otherwise argparse lists it as required
        parser.add_argument(name, **kwargs)
    for name, default in options.items():
        settings = {"default": default}
        if default is False:
            settings = {"action": "store_true"}
        elif isinstance(default, tuple):
            settings = {"choices": default}
        elif isinstance(default, dict):
            settings = default
        parser.add_argument(f"--{name.replace('_', '-')}", **settings)
    return parser.parse_intermixed_args(argv)


def integer(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """Return an argument type for integers in a range."""

    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum or (maximum is not None and int(text) > maximum):
            limits = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            raise ArgumentTypeError(f"'{text}' is not an integer {limits}")
        return int(text)

    return parse


def format_value(value: Any) -> str:
    """Return a value of a config in the syntax of an override."""
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print a table of strings and rich texts; strings contain no markup."""
    from rich.box import SIMPLE_HEAD  # not needed by most commands
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    table = Table(
        *(Column(Text(name), overflow="fold") for name in columns), title=title and Text(title), box=SIMPLE_HEAD
    )
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console().print(table)

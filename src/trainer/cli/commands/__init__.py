"""Subcommands of `trainer`, one module each: `trainer sample RUN` calls `trainer.cli.commands.sample.main`.

The module's docstring is the text of `trainer COMMAND --help`, and its first line the summary in `trainer --help`.
`main(argv)` takes the arguments after the command and returns the exit status; errors of the user are raised as
`UserError`. `JSON_OUTPUTS` has the types of the documents that `--json` prints.
"""

import ast
import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from trainer.cli.json_output import JSON_FLAG, reserve_stdout
from trainer.core.errors import UserError, did_you_mean
from trainer.core.escaping import terminal_text
from trainer.core.lazy_imports import lazy_imports
from trainer.core.standard_streams import find_output_width

COMMANDS_DIR = Path(__file__).parent
TRAINING_COMMANDS = ("train", "fit", "run")  # commands of other tools
MIN_SIMILARITY = 0.75  # of a misspelled command
OUTPUT_FORMATS = ("csv", "markdown", "json")  # flags, of which a command accepts one at a time


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


def explain_unknown_command(name: str) -> str:
    """Return the error about a first argument that is no command but resembles one; "" for all other arguments."""
    if name == "help":
        return "help: not a command; expected trainer --help"
    if name in TRAINING_COMMANDS:
        return f"{name}: not a command; leave it out: 'trainer OVERRIDES' trains"
    similar = get_close_matches(name, list_commands(), n=1, cutoff=MIN_SIMILARITY) if name.isidentifier() else []
    return f"{name}: not a command; did you mean '{similar[0]}'?" if similar else ""


def expand_plan_option(argv: list[str]) -> list[str]:
    """Replace the option `--plan` by the command `sweep plan`."""
    if "--plan" not in argv:
        return argv
    return ["sweep", "plan", *(arg for arg in argv if arg not in ("--plan", "-m", "--multirun"))]


def run_command(name: str, argv: list[str]) -> int:
    """Run a command with its arguments.

    Returns:
        int: Exit status; 1 if a `UserError` was printed to standard error.
    """
    if {"-h", "--help"} & {*argv}:
        print(read_help(name))
        return 0
    os.getcwd()  # raises an error if the working directory was deleted
    with lazy_imports():
        command = import_module(f"{__name__}.{name}")
    try:
        with reserve_stdout() if JSON_FLAG in argv else nullcontext():
            return int(command.main(argv))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


class _CommandParser(ArgumentParser):
    """Argument parser that reports an error in one line."""

    def error(self, message: str) -> NoReturn:
        if unknown := re.match(r"unrecognized arguments: (--[\w-]+)", message):
            message += did_you_mean(unknown[1], [*self._option_string_actions])
        elif flag := re.match(r"argument (--[\w-]+): ignored explicit argument", message):
            message = f"argument {flag[1]}: takes no value; expected {flag[1]}"
        print(f"error: {self.prog}: {message}  (see trainer {self.prog.split()[0]} --help)", file=sys.stderr)
        raise SystemExit(2)


def parse_arguments(command: str, argv: Sequence[str], *positionals: str, **options: Any) -> Namespace:
    """Parse the arguments of a command; exit with status 2 if they are invalid.

    Each option may be given once and needs a value, and only one of the output formats is allowed.

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
    flags = {name: f"--{name.replace('_', '-')}" for name in options}
    for name, default in options.items():
        parser.add_argument(flags[name], **_build_settings(default))
    args, unknown = parser.parse_known_intermixed_args(argv)
    for text in [*_list_positionals(args, positionals), *unknown]:
        name, has_value, value = text.partition("=")
        name = name.replace("-", "_")
        if has_value and name in options:
            expected = flags[name] if options[name] is False else f"{flags[name]}={value}"
            parser.error(f"argument '{text}': options start with two dashes; expected {expected}")
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    for name, default in options.items():
        setattr(args, name, _take_single(parser, flags[name], getattr(args, name), default))
    formats = [flags[name] for name in OUTPUT_FORMATS if getattr(args, name, False)]
    if len(formats) > 1:
        parser.error(f"arguments {' and '.join(formats)}: contradict each other; expected one of them")
    return args


def _build_settings(default: Any) -> dict[str, Any]:
    """Return the keyword arguments of `add_argument` for an option, whose values are collected in a list."""
    if default is False:
        return {"action": "append_const", "const": True}
    settings: dict[str, Any] = {"action": "append"}
    if isinstance(default, tuple):
        settings["choices"] = default
    elif isinstance(default, dict):
        settings |= {key: value for key, value in default.items() if key != "default"}
    else:
        settings["type"] = os.path.expanduser  # the shell does not expand --output=~/file
    return settings


def _list_positionals(args: Namespace, positionals: Sequence[str]) -> list[str]:
    values = [getattr(args, positional.rstrip("?*+")) for positional in positionals]
    return [text for value in values for text in ([value] if isinstance(value, str) else value or ())]


def _take_single(parser: ArgumentParser, flag: str, values: Sequence[Any] | None, default: Any) -> Any:
    """Return the value of an option, or its default if it is not given."""
    if values is None:
        return default.get("default") if isinstance(default, dict) else None if isinstance(default, tuple) else default
    if len(values) > 1:
        parser.error(f"argument {flag}: given {len(values)} times; expected it once")
    if values[0] == "":
        parser.error(f"argument {flag}: empty value; expected {flag}=VALUE, or leave it out")
    return values[0]


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
    """Print a table of strings and rich texts; strings contain no markup, and their control characters are shown."""
    from rich.box import SIMPLE_HEAD  # not needed by most commands
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(
        *(Column(terminal_text(name), overflow="fold") for name in columns),
        title=title and terminal_text(title),
        box=SIMPLE_HEAD,
    )
    for row in rows:
        table.add_row(*(terminal_text(cell) if isinstance(cell, str) else cell for cell in row))
    Console(width=find_output_width()).print(table)

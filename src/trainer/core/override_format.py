"""Overrides in messages and commands, quoted for Hydra's grammar and for the shell."""

import re
from collections.abc import Sequence
from pathlib import Path

from trainer.core.formatting import quote_argument

# paths and names that Hydra's grammar reads as they are, and not as a number or another type
_PLAIN_TEXT = re.compile(
    r"(?!(true|false|null|nan|inf)$)(~/|\.{0,2}/)?[a-z_][\w./-]*( [\w./-]+)*", re.IGNORECASE | re.ASCII
)
_WHOLE_NUMBER = re.compile(r"0|[1-9]\d*", re.ASCII)


def format_override(key: str, value: str | int | Path) -> str:
    """Return the override that sets a key to a text, a path or a number, as the reader may copy it into a shell."""
    return quote_argument(f"{key}={value if isinstance(value, int) else _format_text(str(value))}")


def format_list_override(key: str, names: Sequence[str]) -> str:
    """Return the override that sets a key to a list of names, as the reader may copy it into a shell.

    Whole numbers are not quoted: names of classes may be numbers.
    """
    names = [name if _WHOLE_NUMBER.fullmatch(name) else _format_text(name) for name in names]
    return quote_argument(f"{key}=[{','.join(names)}]")


def quote_text(text: str) -> str:
    """Return a text as a value in the grammar of overrides."""
    return '"' + re.sub(r'(\\*)("|$)', lambda end: end[1] * 2 + end[2].replace('"', '\\"'), text) + '"'


def escape_interpolation(text: object) -> str:
    """Return a text as a value of a config, in which `${` starts no interpolation."""
    return str(text).replace("${", "\\${")


def _format_text(text: str) -> str:
    return text if _PLAIN_TEXT.fullmatch(text) else quote_text(escape_interpolation(text))

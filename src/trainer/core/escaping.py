"""Escaping of texts that come from files, configs and other programs: in terminals, CSV files and Markdown."""

import logging
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

# control characters except tab and line break, marks that change the direction of text, and bytes that are no UTF-8
_CONTROL_PATTERN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA_PATTERN = re.compile(r"\s*[=+\-@\t\r].*", re.DOTALL)
_NO_FORMULA_PATTERN = re.compile(r"[+-]+|[+-]?(\d[\d,.' ]*|\.\d+)([eE][+-]?\d+)?%?|[+-]?(inf|nan)", re.ASCII)
_OVERRIDE_PATTERN = re.compile(r"\+{1,2}[\w./@-]+=[^(|!]*")  # +key=value, without a call

_MARKDOWN_PATTERN = re.compile(r"(\\*)(<|>|\]\()")  # HTML, links and images, after backslashes


def escape_control(text: str) -> str:
    r"""Return a text for a terminal or a log, with control characters such as ESC as `\x1b`."""
    return _CONTROL_PATTERN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def terminal_text(text: str) -> "Text":
    """Return a text for a terminal, which contains no markup such as `[red]`, and in which long words are broken."""
    from rich.text import Text

    return Text(escape_control(text), overflow="fold")


def escape_csv_cell(value: Any) -> Any:
    """Return a value for a CSV file that people open: a spreadsheet runs a text that starts like a formula.

    Such a text gets an apostrophe at its start. Numbers, also in texts, and overrides are returned unchanged.
    """
    if not isinstance(value, str):
        return value
    text = escape_control(value)
    is_plain = _NO_FORMULA_PATTERN.fullmatch(value.strip()) or _OVERRIDE_PATTERN.fullmatch(value)
    return f"'{text}" if _FORMULA_PATTERN.fullmatch(value) and not is_plain else text


def escape_markdown(text: str) -> str:
    """Return a text as one line of Markdown, without HTML, links and images."""
    text = " ".join(escape_control(text).split())
    return _MARKDOWN_PATTERN.sub(lambda match: f"{match[1] * 2}\\{match[2]}", text)


class LogFormatter(logging.Formatter):
    """Formatter of log messages without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_control(super().format(record))

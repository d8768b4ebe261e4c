"""Errors and warnings about configs, with key, suggestion and source location."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from trainer.core.errors import UserError
from trainer.core.escaping import terminal_text

REQUIRED_KEY_MESSAGE = "required in every config"


@dataclass(frozen=True)
class SourceLocation:
    """Location of a value: an override of the command line, or a line of a file.

    Args:
        text: The override, or the path of the file relative to the working directory.
        line: Line of the file, from 1. Defaults to 0, for an override.
    """

    text: str
    line: int = 0

    @property
    def file(self) -> str | None:
        """Path of the file; None for an override."""
        return self.text if self.line else None

    @property
    def override(self) -> str | None:
        """The override; None for a line of a file."""
        return None if self.line else self.text

    def __str__(self) -> str:
        return f"in {self.text}:{self.line}" if self.line else f"command line: {self.text}"


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning about a config.

    Args:
        key: Dotted key; "" if the problem belongs to no key.
        problem: Description of the problem.
        suggestion: Possible fix, e.g. "did you mean 'hidden'?". Defaults to none.
        location: Location of the value. Defaults to None, if it is not set anywhere.
        jobs: Numbers of the affected jobs of a sweep. Defaults to none, for a single run.
        is_error: Whether the run is refused; otherwise this is a warning. Defaults to true.
    """

    key: str
    problem: str
    suggestion: str = ""
    location: SourceLocation | None = None
    jobs: tuple[int, ...] = ()
    is_error: bool = True

    def __str__(self) -> str:
        text = f"{self.key}: {self.problem}" if self.key else self.problem
        text += f"; {self.suggestion}" if self.suggestion else ""
        jobs = f"  (job{'s' * (len(self.jobs) > 1)} {_format_ranges(self.jobs)})" if self.jobs else ""
        return text + (f"  ({self.location})" if self.location else "") + jobs


def raise_on_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise if there are errors among the diagnostics.

    Raises:
        UserError: Lists all errors, one a line.
    """
    errors = [str(diagnostic) for diagnostic in diagnostics if diagnostic.is_error]
    if errors:
        raise UserError("\n       ".join(errors))


def build_diagnostic_table(diagnostics: Iterable[Diagnostic]) -> Table:
    """Return a table for the terminal with one diagnostic a row."""
    rows = [*diagnostics]
    has_jobs = any(row.jobs for row in rows)
    table = Table("key", "location", "problem", "suggestion", *["jobs"] * has_jobs, box=SIMPLE_HEAD)
    for row in rows:
        location = f"{row.location.text}:{row.location.line}".removesuffix(":0") if row.location else ""
        problem = row.problem if row.is_error else f"warning: {row.problem}"
        cells = [row.key, location, problem, row.suggestion, *[_format_ranges(row.jobs)] * has_jobs]
        table.add_row(*(terminal_text(cell) for cell in cells))
    return table


def _format_ranges(jobs: tuple[int, ...]) -> str:
    """Return job numbers with consecutive ones merged: `0-3,7`."""
    ranges: list[list[int]] = []
    for job in sorted(jobs):
        if ranges and ranges[-1][1] == job - 1:
            ranges[-1][1] = job
        else:
            ranges.append([job, job])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)

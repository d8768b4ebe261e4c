"""Mistake: something in a config that a user can mend: its key, where it was written, and what would be right."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from trainer.core.errors import UserError

NEEDED = "every config needs it"


@dataclass(frozen=True)
class Place:
    """Where a value was written: on the command line, or in a file.

    Args:
        text: The words of the command line, or the path of the file as one would type it here.
        line: In the file, from 1; 0 for the command line.
    """

    text: str
    line: int = 0

    def __str__(self) -> str:
        return f"in {self.text}:{self.line}" if self.line else f"command line: {self.text}"


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong.

    Args:
        key: Dotted, as it is typed; "" where no key is to blame.
        problem: What is wrong.
        instead: What would be right, e.g. "did you mean 'hidden'?"; "" where nothing can be offered.
        place: Where it was written; None where it was not written at all.
        jobs: Numbers of the jobs of a sweep that have it; empty for a single run.
        stops: Whether a run is refused for it; if not, it is a warning.
    """

    key: str
    problem: str
    instead: str = ""
    place: Place | None = None
    jobs: tuple[int, ...] = ()
    stops: bool = True

    def __str__(self) -> str:
        text = f"{self.key}: {self.problem}" if self.key else self.problem
        text += f"; {self.instead}" if self.instead else ""
        jobs = f"  (job {_numbers(self.jobs)})" if self.jobs else ""
        return text + (f"  ({self.place})" if self.place else "") + jobs

    def as_dict(self) -> dict[str, Any]:
        """For JSON: `file` and `line` are null for what stands on the command line."""
        facts = asdict(self)
        place = facts.pop("place") or {"text": None, "line": 0}
        in_file = bool(place["line"])
        return {
            **facts,
            "file": place["text"] if in_file else None,
            "line": place["line"] or None,
            "typed": None if in_file else place["text"],
            "jobs": list(self.jobs),
        }


def refuse(mistakes: Iterable[Mistake]) -> None:
    """End here if one of them stops a run.

    Raises:
        UserError: Names all of them, one a line.
    """
    stopping = [str(mistake) for mistake in mistakes if mistake.stops]
    if stopping:
        raise UserError("\n       ".join(stopping))


def table(mistakes: Iterable[Mistake]) -> Table:
    """All mistakes for the terminal, one a row."""
    rows, swept = [*mistakes], any(mistake.jobs for mistake in mistakes)
    shown = Table("key", "where", "what is wrong", "what would be right", *(["jobs"] if swept else []), box=SIMPLE_HEAD)
    for each in rows:
        where = "" if each.place is None else f"{each.place.text}:{each.place.line}".removesuffix(":0")
        problem = each.problem if each.stops else f"warning: {each.problem}"
        cells = [each.key, where, problem, each.instead, *([_numbers(each.jobs)] if swept else [])]
        shown.add_row(*(Text(cell, overflow="fold") for cell in cells))  # as text: brackets are no markup
    return shown


def _numbers(jobs: tuple[int, ...]) -> str:
    """`0-3,7`: numbers with runs of them drawn together."""
    runs: list[list[int]] = []
    for job in sorted(jobs):
        if runs and runs[-1][1] == job - 1:
            runs[-1][1] = job
        else:
            runs.append([job, job])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)

"""What stands on a page, before it is HTML or Markdown: sections of facts, tables, charts, pictures and commands."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """Names and what is to be said of each."""

    rows: Sequence[tuple[str, str]]
    kind: str = "facts"


@dataclass(frozen=True)
class Table:
    """Rows of text; the first column names them.

    Args:
        header: Of the columns.
        rows: As many cells each.
        note: A line below.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Chart:
    """Curves.

    Args:
        title: Above it.
        svg: The drawing, its colours by the names of CSS variables.
        legend: Name of each line and number of its colour; None is grey.
        numbers: The same as a table, for a page without drawings.
    """

    title: str
    svg: str
    legend: Sequence[tuple[str, int | None]]
    numbers: Table
    kind: str = "chart"


@dataclass(frozen=True)
class Picture:
    """A picture of the run's TensorBoard events.

    Args:
        title: Its tag.
        step: When it was drawn.
        width: In pixels.
        height: In pixels.
        data: As a data URI.
    """

    title: str
    step: int
    width: int
    height: int
    data: str
    kind: str = "picture"


@dataclass(frozen=True)
class Code:
    """Text to copy.

    Args:
        text: The lines.
        language: Of the lines, for Markdown.
        folded: The title under which it is hidden; "" shows it.
    """

    text: str
    language: str = "bash"
    folded: str = ""
    kind: str = "code"


Block = Facts | Table | Chart | Picture | Code


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """All of it.

    Args:
        title: Of the page.
        lead: One line below it.
        warnings: What must not be overlooked.
        sections: Those without blocks are left out.
    """

    title: str
    lead: str
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=list)

    @property
    def shown(self) -> list[Section]:
        """The sections that have something in them."""
        return [section for section in self.sections if section.blocks]


def number(value: float | None) -> str:
    """A number as tables have it: four digits that count."""
    return "" if value is None else f"{value:.4g}"

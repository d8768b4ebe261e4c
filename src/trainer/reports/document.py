"""Content of a report page, independent of its format."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class DescriptionList:
    """Names and their descriptions."""

    rows: Sequence[tuple[str, str]]
    kind: str = "descriptions"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        header: Column names.
        rows: Rows of as many cells; the first column contains the row names.
        note: A line below the table.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    kind: str = "table"


@dataclass(frozen=True)
class Chart:
    """A line chart.

    Args:
        title: Title above the chart.
        svg: SVG element with CSS variables as colors.
        legend: Name and color number of each line; None is gray.
        numbers: Summary of the lines, for pages without drawings.
    """

    title: str
    svg: str
    legend: Sequence[tuple[str, int | None]]
    numbers: Table
    kind: str = "chart"


@dataclass(frozen=True)
class Image:
    """An image from the run's TensorBoard events.

    Args:
        title: Tag of the image.
        step: Training step.
        width: Width in pixels.
        height: Height in pixels.
        data: The image as a data URI.
    """

    title: str
    step: int
    width: int
    height: int
    data: str
    kind: str = "image"


@dataclass(frozen=True)
class Code:
    """Text to copy.

    Args:
        text: The text.
        language: Language of the text, for Markdown.
        summary: Title of the collapsed text; if empty, the text is visible.
    """

    text: str
    language: str = "bash"
    summary: str = ""
    kind: str = "code"


Block = DescriptionList | Table | Chart | Image | Code


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A report page.

    Args:
        title: Title of the page.
        subtitle: A line below the title.
        warnings: Warnings at the top of the page.
        sections: Sections; those without blocks are left out.
    """

    title: str
    subtitle: str
    warnings: Sequence[str] = ()
    sections: Sequence[Section] = field(default_factory=list)

    @property
    def visible_sections(self) -> list[Section]:
        """The sections that have blocks."""
        return [section for section in self.sections if section.blocks]

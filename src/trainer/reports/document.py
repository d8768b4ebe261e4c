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
    """A chart.

    Args:
        title: Title above the chart.
        svg: SVG element with CSS variables as colors.
        legend: Name and color number of each line; None is gray.
        numbers: Numbers of the chart, for pages without drawings and for readers who do not see it.
        note: A line below the chart.
    """

    title: str
    svg: str
    legend: Sequence[tuple[str, int | None]]
    numbers: Table
    note: str = ""
    kind: str = "chart"


@dataclass(frozen=True)
class Image:
    """An image from the run's TensorBoard events.

    Args:
        title: Tag of the image.
        description: Content of images with this tag.
        step: Training step.
        width: Width in pixels.
        height: Height in pixels.
        data: The image as a data URI.
    """

    title: str
    description: str
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
    """A part of a page under a heading.

    Args:
        title: The heading.
        blocks: Content.
        note: A line below the heading.
    """

    title: str
    blocks: Sequence[Block]
    note: str = ""


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

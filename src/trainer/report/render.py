"""Rendering: a page as one HTML file that asks nothing of any server, or as Markdown."""

import time
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

import trainer
from trainer.report.document import Block, Chart, Code, Facts, Page, Picture, Table


def html(page: Page) -> str:
    """One file with everything in it; whatever comes from a run is text there, and never markup."""
    room = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    template = room.get_template("page.html")
    return template.render(page=page, version=trainer.__version__, today=time.strftime("%Y-%m-%d %H:%M"))


def markdown(page: Page) -> str:
    """The same without drawings: of a curve its first, lowest, highest and last value, of a picture its name."""
    parts = [f"# {page.title}", page.lead, *(f"**{warning}**" for warning in page.warnings)]
    for section in page.shown:
        parts += [f"## {section.title}", *filter(None, map(_told, section.blocks))]
    return "\n\n".join(parts) + "\n"


def _told(block: Block) -> str:
    match block:
        case Facts(rows):
            return _table(["", ""], rows)
        case Table(header, rows, note):
            return _table(header, rows) + (f"\n\n{note}" if note else "")
        case Chart(title, _, _, numbers):
            return f"### {title}\n\n{_table(numbers.header, numbers.rows)}" if numbers.rows else ""
        case Picture(title, step):
            return f"- picture `{title}` of step {step}: in the HTML report, and in TensorBoard"
        case Code(text, language, folded):
            fence = "`" * 3
            while fence in text:
                fence += "`"
            code = f"{fence}{language}\n{text.rstrip()}\n{fence}"
            return f"<details><summary>{folded}</summary>\n\n{code}\n\n</details>" if folded else code


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)

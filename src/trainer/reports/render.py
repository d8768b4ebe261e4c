"""Rendering of a page as a self-contained HTML file or as Markdown."""

import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

import trainer
from trainer.core.escaping import escape_markdown
from trainer.core.formatting import format_markdown_table
from trainer.reports.document import Block, Chart, Code, DescriptionList, Image, Page, Table


def render_html(page: Page) -> str:
    """Return one HTML file with all content; text from runs is escaped."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    template = environment.get_template("page.html")
    return template.render(page=page, version=trainer.__version__, today=time.strftime("%Y-%m-%d %H:%M"))


def render_markdown(page: Page) -> str:
    """Return the page as Markdown, with tables in place of charts and names in place of images."""
    warnings = [f"**{escape_markdown(warning)}**" for warning in page.warnings]
    parts = [f"# {escape_markdown(page.title)}", escape_markdown(page.subtitle), *warnings]
    for section in page.visible_sections:
        note = escape_markdown(section.note)
        parts += [f"## {escape_markdown(section.title)}", *filter(None, [note, *map(_render_block, section.blocks)])]
    return "\n\n".join(parts) + "\n"


def _render_block(block: Block) -> str:
    match block:
        case DescriptionList(rows):
            return format_markdown_table(["", ""], rows)
        case Table(header, rows, note):
            return format_markdown_table(header, rows) + (f"\n\n{escape_markdown(note)}" if note else "")
        case Chart(title, numbers=numbers):
            if not numbers.rows:
                return ""
            return f"### {escape_markdown(title)}\n\n{format_markdown_table(numbers.header, numbers.rows)}"
        case Image(title, description, step):
            content = f"{escape_markdown(title)} at step {step} ({escape_markdown(description)})"
            return f"- image {content}: in the HTML report and in TensorBoard"
        case Code(text, language, summary):
            fence = "`" * 3
            while fence in text:
                fence += "`"
            code = f"{fence}{language}\n{text.rstrip()}\n{fence}"
            return (
                f"<details><summary>{escape_markdown(summary)}</summary>\n\n{code}\n\n</details>" if summary else code
            )

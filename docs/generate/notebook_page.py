"""Hook of MkDocs that shows docs/tutorial.ipynb as the page tutorial.md, with its stored outputs."""

import html
import json
from itertools import groupby
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add a page for each notebook."""
    for file in [*files]:
        if file.src_uri.endswith(".ipynb"):
            notebook = json.loads(Path(config.docs_dir, file.src_uri).read_text(encoding="utf-8"))
            name = file.src_uri.replace(".ipynb", ".md")
            files.append(File.generated(config, name, content=format_markdown(notebook)))


def format_markdown(notebook: dict[str, Any]) -> str:
    """Return the cells of a notebook and their outputs as Markdown."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        outputs = map(format_output, cell.get("outputs", []))
        for is_html, group in groupby(outputs, key=lambda output: output.startswith("<")):
            text = ("\n" if is_html else "").join(group)
            parts.append(f"<div>\n{text}\n</div>" if is_html else f"<pre>{html.escape(text.rstrip())}</pre>")
    return "\n\n".join(parts) + "\n"


def format_output(output: dict[str, Any]) -> str:
    """Return an output as HTML if it has this form, or else as text."""
    data = output.get("data", {})
    return "".join(data.get("text/html") or output.get("text") or data.get("text/plain", ""))

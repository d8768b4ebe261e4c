"""Build of the documentation site (`make docs`), with docs/tutorial.ipynb as a page that shows its stored outputs."""

import html
import json
import re
import shutil
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COLORED = re.compile(r'<span style="color:[^"]*">')  # colors for a white background; the site also has a dark one


def build_site(target: Path) -> None:
    """Write the site to a directory, which is replaced.

    Raises:
        CalledProcessError: A page has a broken link or another problem; the program has printed it.
    """
    with TemporaryDirectory() as directory:
        root = Path(directory)
        shutil.copy(ROOT / "zensical.toml", root)
        shutil.copytree(ROOT / "docs", root / "docs", ignore=shutil.ignore_patterns("generate"))
        for file in (root / "docs").rglob("*.ipynb"):
            notebook = json.loads(file.read_text(encoding="utf-8"))
            file.with_suffix(".md").write_text(format_notebook(notebook), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=root, check=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(root / "site", target)


def format_notebook(notebook: dict[str, Any]) -> str:
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
    text = "".join(data.get("text/html") or output.get("text") or data.get("text/plain", ""))
    return COLORED.sub("<span>", text)


if __name__ == "__main__":
    build_site(ROOT / "site")

"""Generator of the output of `make demo` in the documentation, from one real run.

    make demo-output

Runs the command of `make demo`, draws its output as docs/pictures/demo.svg, and replaces the text in the pages.
"""

import os
import re
import subprocess
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ".venv/bin/trainer"
ARGUMENTS = "experiment=digits_cnn"
COLUMNS = 88
PICTURE = ROOT / "docs/pictures/demo.svg"
PAGES = [ROOT / "docs/first-run.md", ROOT / "docs/first-run.zh.md"]
OUTPUT = re.compile(r"^data   digits: .*?^view logs .*?$", re.MULTILINE | re.DOTALL)
# rich's template loads a font from another host
SVG_TEMPLATE = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img"
  aria-label="Output of make demo">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def run_demo() -> Text:
    """Run the command of `make demo` and return its output with styles.

    Raises:
        CalledProcessError: The command failed.
    """
    path = f"{ROOT / PROGRAM}".removesuffix("/trainer")
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}", "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
    process = subprocess.run(
        [PROGRAM, ARGUMENTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return Text.from_ansi(process.stdout)


def draw(output: Text) -> str:
    """Return an SVG of a terminal with the command and its output; it loads nothing from other hosts."""
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text.assemble(("$ ", "bold green"), "make demo"))
    console.print(output)
    svg = console.export_svg(title="trainer", theme=MONOKAI, code_format=SVG_TEMPLATE, unique_id="demo")
    return re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE)


def main() -> None:
    """Write the picture and the pages."""
    output = run_demo()
    PICTURE.write_text(draw(output), encoding="utf-8")
    plain = "\n".join(line.rstrip() for line in output.plain.splitlines())
    for page in PAGES:
        text, count = OUTPUT.subn(lambda _: plain, page.read_text(encoding="utf-8"))
        assert count == 1, f"{page}: {count} outputs of make demo"
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

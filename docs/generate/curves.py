"""Generator of the pictures of docs/reading-curves.md, from real runs.

    make curves

Each picture shows the runs of the commands above it. The runs take about a minute together.
"""

import csv
import re
import shlex
import tempfile
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

import trainer

PAGE = Path(__file__).resolve().parents[1] / "reading-curves.md"
FIGURE = re.compile(r"^```sh\n((?:trainer .*\n)+)```\n\n!\[.*?\]\((pictures/\w+\.svg)\)$", re.MULTILINE)
COLORS = ("#1f6fb4", "#d2690e", "#2b8a3e")
SIZE_INCHES = (6.4, 3.4)
Points = tuple[list[float], list[float]]  # epochs and values


def train(command: str, directory: Path) -> Path:
    """Run a command without its test and return `metrics.csv`."""
    run = trainer.train(*shlex.split(command)[1:], "test=false", f"hydra.run.dir={directory}")
    return run.directory / "metrics.csv"


def read_curve(file: Path, metric: str) -> Points:
    """Return epochs and values of a metric; the steps of an epoch are spread over it."""
    with file.open(newline="") as lines:
        rows = [*csv.DictReader(lines)]
    steps = max(int(row["step"]) for row in rows) + 1
    epochs = max(int(row["epoch"]) for row in rows) + 1
    points = [((int(row["step"]) + 1) * epochs / steps, float(row[metric])) for row in rows if row.get(metric)]
    return [x for x, _ in points], [y for _, y in points]


def draw(picture: Path, files: dict[str, Path]) -> None:
    """Write the picture of the loss curves of some runs.

    Args:
        picture: SVG file.
        files: `metrics.csv` of each run by its label.
    """
    style = {"svg.fonttype": "none", "svg.hashsalt": picture.stem, "font.size": 10}
    with rc_context(style | {"axes.grid": True, "grid.color": "#dddddd"}):
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for (label, file), color in zip(files.items(), COLORS, strict=False):
            for metric, line, width in (("train/loss", "-", 0.8), ("val/loss", "--", 1.8)):
                name = metric if len(files) == 1 else f"{metric}, {label}"
                axes.plot(*read_curve(file, metric), line, color=color, linewidth=width, label=name)
        axes.set(xlabel="epoch", ylabel="loss", ylim=(0, 3))
        figure.legend(fontsize=8, loc="outside upper center", ncols=len(files))
        figure.savefig(picture, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = picture.read_text("utf-8")
    picture.write_text(re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE), "utf-8")


def main() -> None:
    """Run the commands of the page and write its pictures."""
    figures = FIGURE.findall(PAGE.read_text("utf-8"))
    assert figures, PAGE
    with tempfile.TemporaryDirectory() as directory:
        for block, picture in figures:
            files = {
                command.rpartition(" ")[2]: train(command, Path(directory, f"{Path(picture).stem}_{number}"))
                for number, command in enumerate(block.splitlines())
            }
            draw(PAGE.parent / picture, files)


if __name__ == "__main__":
    main()

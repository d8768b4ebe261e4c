"""Generator of llms.txt, an overview of the documentation for language models, from the tables of docs/index.md."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "llms.txt"
# title and summary, as https://llmstxt.org describes the format
HEADER = """\
# trainer

> A command that trains, sweeps and compares PyTorch networks. Hydra composes the config of a run from YAML files,
> Lightning runs the training loop, and TensorBoard shows the curves.

A run is described by overrides: `trainer experiment=digits_cnn trainer.max_epochs=3`. `trainer list`,
`trainer describe model/cnn` and `trainer check OVERRIDES` list, describe and check them without a training; `--json`
prints the same for programs."""
CODE_PAGES = {
    "README.md": "installation and first steps",
    "AGENTS.md": "set-up, tests and rules for coding agents that change this code",
    "CONTRIBUTING.md": "architecture, writing rules, and how to add a network, a data set or a command",
    "experiments/README.md": "all experiments with commands, seeds, times and measured results",
    "benchmarks/README.md": "measured speed",
}


def render_file() -> str:
    """Return the content of the file."""
    sections = {"Code": [f"- [{page}]({page}): {text}" for page, text in CODE_PAGES.items()]}
    sections = {**list_sections(), **sections}
    return "\n\n".join([HEADER, *(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())]) + "\n"


def list_sections() -> dict[str, list[str]]:
    """Return a line for each link in the tables of the manual's first page, by the title of the table."""
    sections: dict[str, list[str]] = {}
    title = ""
    for line in (ROOT / "docs/index.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\*\*(.+)\*\*", line):
            title = heading[1]
        elif title and (row := re.fullmatch(r"\| (.+?) \| (\[.+\)) \|", line)):
            sections.setdefault(title, []).extend(iter_links(*row.groups()))
    return sections


def iter_links(task: str, links: str) -> Iterator[str]:
    """Yield a line for each link of a row, with the task of the row as its description."""
    for name, target in re.findall(r"\[([^]]+)\]\(([^)]+)\)", links):
        yield f"- [{name[0].upper()}{name[1:]}](docs/{target}): {task.replace('**', '')}"


def main() -> None:
    """Write the file."""
    FILE.write_text(render_file(), encoding="utf-8")


if __name__ == "__main__":
    main()

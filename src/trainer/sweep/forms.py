"""Forms: a report as rows, a table for the terminal, CSV and Markdown, and its best config as a recipe."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from trainer.artifacts.record import Record
from trainer.sweep.report import SEEDS, Group, Report
from trainer.sweep.statistics import Estimate

MOST_SHOWN = 10  # trials of a search in the terminal


def rows(report: Report) -> list[dict[str, Any]]:
    """One row a group: what a table, a CSV file and Markdown show."""
    return [
        {
            "config": (group.words or "(all)") + _mark(group),
            "n": group.estimate.count,
            f"{report.metric} mean": group.estimate.mean,
            "deviation": group.estimate.deviation,
            "95 % interval": _interval(group.estimate),
            "best": (max if report.higher else min)(group.values.values()),
            "against baseline": _against(group, report),
            "seconds a run": group.seconds / len(group.runs),
        }
        for group in report.groups
    ]


def write(report: Report, folder: Path) -> list[Path]:
    """Write `report.md`, `report.csv` and `best.yaml` into a folder."""
    texts = {"report.md": as_markdown(report), "report.csv": as_csv(report), "best.yaml": best_recipe(report)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def as_table(report: Report, *, searched: bool = False) -> Table:
    """What fits into a terminal, with the parameters that explain most below; of a search the best, and no more."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report.importances.items() if share >= 0.01)
    single = searched and all(group.estimate.count == 1 for group in report.groups)
    heads = ["config", "n", report.metric, "95 % interval", "against the baseline", "s a run"]
    caption = [f"the best {MOST_SHOWN} of {len(report.groups)}"] * (single and len(report.groups) > MOST_SHOWN)
    caption += [f"of the variance explain: {shares}"] * bool(shares)
    table = Table(
        *([heads[0], heads[2], heads[5]] if single else heads), box=SIMPLE_HEAD, caption="\n".join(caption) or None
    )
    for row in rows(report)[: MOST_SHOWN if single else None]:
        config, n, mean, deviation, interval, _, against, seconds = map(shown, row.values())
        cells = [config, n, f"{mean} ± {deviation}" if deviation else mean, interval, against, seconds]
        table.add_row(*(Text(cell, overflow="fold") for cell in ([config, mean, seconds] if single else cells)))
    return table


def as_csv(report: Report) -> str:
    """The rows as CSV, with all digits."""
    text, made = io.StringIO(), rows(report)
    writer = csv.DictWriter(text, [*made[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows(made)
    return text.getvalue()


def as_markdown(report: Report) -> str:
    """The rows as a table, and below it what explains the differences."""
    made = rows(report)
    lines = [[*made[0]], ["---"] * len(made[0]), *([shown(value) for value in row.values()] for row in made)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    text += [line for note in report.mixed for line in ("", note)]
    if report.importances:
        text += ["", "| parameter | share of the variance |", "| --- | --- |"]
        text += [f"| {name} | {share:.0%} |" for name, share in report.importances.items()]
    return "\n".join(text) + "\n"


def best_recipe(report: Report) -> str:
    """The best config as the text of an experiment: put it into `experiments/`, and `experiment=NAME` runs it."""
    best = report.groups[0]
    run = best.runs[0]
    values: dict[str, Any] = {}
    choices, notes = [], []
    for word in run.overrides:
        name, _, value = word.lstrip("+").partition("=")
        if word.startswith("~"):
            notes.append(f"#   and on the command line: '{word}'")
        elif name in ("experiment", "debug"):
            choices.append(f"  - {value}" if name == "experiment" else f"  - override /debug: {value}")
        elif "." not in name and isinstance(run.nested_config.get(name), dict):
            choices.append(f"  - override /{name}: {value}")
        elif name not in (*SEEDS, "resume", "hparams_search") and not name.startswith(("hydra", "callbacks.pruning")):
            _put(values, name.split("."), _value(run, name, value))
    spread = f" +- {best.estimate.deviation:.2g}" if best.estimate.count > 1 else ""
    head = f"# The best of {len(report.groups)} configs by {report.metric}: {best.estimate.mean:.4g}{spread}"
    lines = [head + f" ({best.estimate.count} runs).", *notes]
    lines += ["defaults:", *choices] if choices else []
    return "\n".join(lines) + "\n" + (yaml.safe_dump(values, sort_keys=False) if values else "")


def shown(value: Any) -> str:
    """A cell of a table."""
    return (
        ""
        if isinstance(value, float) and math.isnan(value)
        else f"{value:.4g}"
        if isinstance(value, float)
        else str(value)
    )


def _mark(group: Group) -> str:
    """The code versions of a group, if the report has several."""
    return f" [code {', '.join(map(str, group.versions))}]" if group.versions else ""


def _interval(made: Estimate) -> str:
    if math.isinf(made.half_width):
        return "-"
    return f"{made.mean - made.half_width:.4g} to {made.mean + made.half_width:.4g}"


def _against(group: Group, report: Report) -> str:
    if group.against is None:
        return "baseline"
    width = "" if math.isinf(group.against.half_width) else f" ± {group.against.half_width:.2g}"
    number = "" if math.isnan(group.against.mean) else f"{group.against.mean:+.4g}{width}: "
    return number + group.against.verdict(report.higher)


def _put(values: dict[str, Any], steps: Sequence[str], value: Any) -> None:
    for step in steps[:-1]:
        values = values.setdefault(step, {})
    values[steps[-1]] = value


def _value(run: Record, name: str, typed: str) -> Any:
    node: Any = run.nested_config
    for step in name.split("."):
        node = node.get(step) if isinstance(node, dict) else None
    return typed if "${" in typed else node

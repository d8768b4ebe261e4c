"""Forms: a report as rows, a table for the terminal, CSV and Markdown."""

import csv
import io
import math
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from trainer.report.best_experiment import best_recipe
from trainer.report.comparison import Report
from trainer.report.grouping import Group
from trainer.report.statistics import Estimate

MOST_SHOWN = 10  # trials of a search in the terminal
IMPORTANCE = (
    "Share that a parameter explains by itself (eta squared); k values in n runs explain (k - 1) / (n - 1) by chance."
)


def rows(report: Report) -> list[dict[str, Any]]:
    """One row a group: what a table, a CSV file and Markdown show."""
    best = {True: max, False: min}
    return [
        {
            "config": (group.words or "(all)") + _mark(group),
            "n": group.estimate.count,
            f"{report.metric} mean": group.estimate.mean,
            "deviation": group.estimate.deviation,
            "95 % interval": _interval(group.estimate),
            "best": math.nan if report.higher is None else best[report.higher](group.values.values()),
            "against baseline": _against(group, report),
            "p (Holm)": group.against.p if group.against else math.nan,
            "seconds a run": group.seconds / len(group.runs),
        }
        for group in report.groups
    ]


def write(report: Report, folder: Path) -> list[Path]:
    """Write `report.md`, `report.csv` and `best.yaml` into a folder; no `best.yaml` if no config is the best."""
    texts = {"report.md": as_markdown(report), "report.csv": as_csv(report)}
    if report.best:
        texts["best.yaml"] = best_recipe(report)
    else:
        (folder / "best.yaml").unlink(missing_ok=True)  # of an earlier report
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def as_table(report: Report, *, searched: bool = False) -> Table:
    """What fits into a terminal, with the parameters that explain most below; of a search the best, and no more."""
    shares = ", ".join(f"{name} {share:.0%}" for name, share in report.importances.items() if share >= 0.01)
    single = searched and all(group.estimate.count == 1 for group in report.groups)
    heads = ["config", "n", report.metric, "95 % interval", "against the baseline", "s a run"]
    which = "best" if report.best else "first"
    caption = [f"the {which} {MOST_SHOWN} of {len(report.groups)}"] * (single and len(report.groups) > MOST_SHOWN)
    caption += [f"of the variance explain: {shares}"] * bool(shares)
    table = Table(
        *([heads[0], heads[2], heads[5]] if single else heads), box=SIMPLE_HEAD, caption="\n".join(caption) or None
    )
    for row in rows(report)[: MOST_SHOWN if single else None]:
        config, n, mean, deviation, interval, _, against, _, seconds = map(shown, row.values())
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
    """The rows as a table, and below it what explains the differences and what a reader must know."""
    made = rows(report)
    lines = [[*made[0]], ["---"] * len(made[0]), *([shown(value) for value in row.values()] for row in made)]
    text = [f"| {' | '.join(line)} |" for line in lines]
    text += [line for note in report.mixed for line in ("", note)]
    if report.importances:
        text += ["", "| parameter | share of the variance |", "| --- | --- |"]
        text += [f"| {name} | {share:.0%} |" for name, share in report.importances.items()]
        text += ["", IMPORTANCE]
    for note in [*report.tests, *report.notes]:
        text += ["", note]
    return "\n".join(text) + "\n"


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

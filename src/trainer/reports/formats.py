"""Output of a report as a terminal table, CSV and Markdown."""

import csv
import io
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from trainer.core.atomic_write import atomic_write_text
from trainer.core.escaping import escape_control, escape_csv_cell, escape_markdown, terminal_text
from trainer.core.formatting import format_markdown_table, format_number
from trainer.core.standard_streams import find_output_width
from trainer.reports.best_experiment import format_best_experiment
from trainer.reports.comparison import Report
from trainer.reports.grouping import Group, PooledMetric
from trainer.reports.statistics import Estimate

MAX_TERMINAL_ROWS = 10  # for a search with one run per config
OTHER_COLUMNS_WIDTH = 52  # of a narrow table, without the configs
MIN_CONFIG_WIDTH = 16
CELL_PADDING = 3  # characters between two columns
IMPORTANCE_NOTE = (
    "Fraction of the variance that a parameter explains by itself (eta squared); k values in n runs explain "
    "(k - 1) / (n - 1) by chance."
)


def build_pooled_rows(report: Report) -> list[dict[str, str]]:
    """Return one row per config and test metric of all folds of a cross-validation together; empty without one."""
    return [
        {
            "config": metric.config or "(all)",
            "pooled metric": metric.metric,
            "value": format_number(metric.value),
            "95 % interval": " to ".join(map(format_number, metric.interval)) if metric.interval else "-",
            "examples": _format_examples(metric),
        }
        for metric in report.pooled
    ]


def build_rows(report: Report) -> list[dict[str, Any]]:
    """Return one row per group with the columns of the table, the CSV file and the Markdown page."""
    best: Any = {True: max, False: min, None: lambda _: math.nan}[report.higher_is_better]
    return [
        {
            "config": (group.overrides or "(all)") + _format_versions(group),
            "n": group.estimate.count,
            f"{report.metric} mean": group.estimate.mean,
            "std": group.estimate.std,
            "95 % interval": _format_interval(group.estimate),
            "best": best(group.values.values()),
            "against baseline": _format_comparison(group, report),
            "p (Holm)": group.comparison.p if group.comparison else math.nan,
            "seconds a run": group.seconds / len(group.runs),
        }
        for group in report.groups
    ]


def write_report(report: Report, directory: Path) -> list[Path]:
    """Write `report.md`, `report.csv` and, if there is a best config, `best.yaml`; return their paths."""
    texts = {"report.md": format_markdown(report), "report.csv": format_csv(report)}
    if report.best:
        texts["best.yaml"] = format_best_experiment(report)
    else:
        (directory / "best.yaml").unlink(missing_ok=True)  # of an earlier report
    for name, text in texts.items():
        atomic_write_text(directory / name, text)
    return [directory / name for name in texts]


def format_best_run(report: Report) -> list[str]:
    """Return a line with the directory, the metric and the overrides of the best run; none if no config is the best."""
    if not report.best:
        return []
    run = report.best_run
    value = format_number(run.metrics[report.metric])
    return [f"best  {run.path}  {report.metric} {value}  {report.best.overrides}".rstrip()]


def print_table(report: Report, *, searched: bool = False) -> None:
    """Print a table; of a search with one run per config, the first rows and fewer columns.

    The metrics of all folds of a cross-validation together are a second table.
    """
    console = Console(width=find_output_width())
    console.print(format_table(report, console.width, searched=searched))
    if rows := build_pooled_rows(report):
        table = Table(*(Column(terminal_text(name)) for name in rows[0]), box=SIMPLE_HEAD)
        for row in rows:
            table.add_row(*map(terminal_text, row.values()))
        console.print(table)


def format_table(report: Report, width: int, *, searched: bool = False) -> Table:
    """Return the table that `print_table` prints.

    Args:
        report: Results of a sweep.
        width: Width of the terminal. Configs have a line for each override if the table is wider.
        searched: Whether the sweep is a search. Defaults to False.
    """
    is_compact = searched and all(group.estimate.count == 1 for group in report.groups)
    headers = ["config", "n", report.metric, "95 % interval", "against the baseline", "s a run"]
    caption = []
    if is_compact and len(report.groups) > MAX_TERMINAL_ROWS:
        caption.append(f"the {'best' if report.best else 'first'} {MAX_TERMINAL_ROWS} of {len(report.groups)}")
    if shares := [f"{name} {fraction:.0%}" for name, fraction in report.importances.items() if fraction >= 0.01]:
        caption.append(f"fraction of the variance: {', '.join(shares)}")
    rows = []
    for row in build_rows(report)[: MAX_TERMINAL_ROWS if is_compact else None]:
        config, n, mean, std, interval, _, difference, _, seconds = map(format_cell, row.values())
        rows.append([config, n, f"{mean} ± {std}" if std else mean, interval, difference, seconds])
    shown = [0, 2, 5] if is_compact else range(len(headers))
    header, *cells = [[row[index] for index in shown] for row in (headers, *rows)]
    table = Table(
        *(Column(terminal_text(name), no_wrap=name == headers[0]) for name in header),
        box=SIMPLE_HEAD,
        caption=terminal_text("\n".join(caption)) if caption else None,
    )
    config_width = _find_config_width([header, *cells], width)
    for config, *others in cells:
        lines = textwrap.wrap(escape_control(config), config_width, break_on_hyphens=False)
        table.add_row(Text("\n".join(lines)), *map(terminal_text, others))
    return table


def _find_config_width(rows: Sequence[Sequence[str]], width: int) -> int:
    """Return the width of the first column, as rich would break its words before it wraps the texts of the others."""
    longest, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    remaining = width - 1 - CELL_PADDING * len(rows[0]) - sum(others)
    longest_word = max(len(word) for config, *_ in rows for word in config.split())
    return max(MIN_CONFIG_WIDTH, min(longest, remaining), min(longest_word, width - OTHER_COLUMNS_WIDTH))


def format_csv(report: Report) -> str:
    """Return the rows as CSV, with all digits."""
    output = io.StringIO()
    rows = build_rows(report)
    writer = csv.DictWriter(output, [*rows[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: escape_csv_cell(value) for name, value in row.items()} for row in rows)
    return output.getvalue()


def format_markdown(report: Report) -> str:
    """Return the rows as a Markdown table, followed by importances and notes."""
    rows = build_rows(report)
    parts = [format_markdown_table([*rows[0]], [[format_cell(value) for value in row.values()] for row in rows])]
    if pooled := build_pooled_rows(report):
        parts.append(format_markdown_table([*pooled[0]], [[*row.values()] for row in pooled]))
    parts += map(escape_markdown, report.version_conflicts)
    if report.importances:
        importances = [[name, f"{fraction:.0%}"] for name, fraction in report.importances.items()]
        parts += [format_markdown_table(["parameter", "fraction of the variance"], importances), IMPORTANCE_NOTE]
    return "\n\n".join([*parts, *map(escape_markdown, [*report.significance_notes, *report.notes])]) + "\n"


def format_cell(value: Any) -> str:
    """Return a table cell; empty for NaN."""
    if not isinstance(value, float):
        return str(value)
    return "" if math.isnan(value) else format_number(value)


def _format_examples(metric: PooledMetric) -> str:
    untested = f" of {metric.available:,}" if metric.available > metric.examples else ""
    return f"{metric.examples:,}{untested} in {metric.folds} folds"


def _format_versions(group: Group) -> str:
    return f" [code {', '.join(map(str, group.versions))}]" if group.versions else ""


def _format_interval(estimate: Estimate) -> str:
    if math.isinf(estimate.half_width):
        return "-"
    bounds = (estimate.mean - estimate.half_width, estimate.mean + estimate.half_width)
    return " to ".join(map(format_number, bounds))


def _format_comparison(group: Group, report: Report) -> str:
    difference = group.comparison
    if difference is None:
        return "baseline"
    width = "" if math.isinf(difference.half_width) else f" ± {difference.half_width:.2g}"
    number = "" if math.isnan(difference.mean) else f"{format_number(difference.mean, signed=True)}{width}: "
    return number + difference.verdict(report.higher_is_better)

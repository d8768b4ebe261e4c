"""List runs in a table with overrides, states and results.

trainer runs [DIRECTORY...] [KEY=VALUE...] [METRIC>NUMBER...] [--sort METRIC] [--csv | --markdown | --json]

    trainer runs                                          all runs in outputs/
    trainer runs outputs/mnist_cnn --sort test/accuracy   those of one experiment, the best last
    trainer runs state=finished data._target_=trainer.data.mnist.MNIST 'test/accuracy>0.99'

Filters with `=` or `!=` select runs by a value of the config or by state, those with `>` or `<` by a metric.
`--sort` takes a metric, `seconds` or another column of the table; `--sort=-COLUMN` sorts in descending order.
"""

import csv
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from trainer.artifacts.hparams import find_differing_overrides
from trainer.artifacts.run_record import RunRecord, find_runs
from trainer.cli.commands import format_value, parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError, did_you_mean
from trainer.core.escaping import escape_csv_cell
from trainer.core.formatting import format_markdown_table, format_number
from trainer.core.standard_streams import find_output_width

FILTER_PATTERN = re.compile(r"([\w./-]+)(!=|=|>|<)(.*)", re.DOTALL)
MAX_METRIC_COLUMNS = 3  # in a terminal
COLUMN_MARGIN = 3  # characters between two columns
DEFAULT_METRIC_PATTERN = re.compile(r"(test/[^/]+|val/[^/]+_best)")  # metrics of the table


@dataclass(frozen=True)
class ListedRun:
    """A run.

    Args:
        run: Run directory.
        changed: Overrides that differ between the runs.
        state: `finished`, `failed`, `test_failed`, `pruned`, `interrupted`, `running`, `killed`, or
            `unreadable: REASON`.
        metrics: Metrics of the test, and the best values of the validation; without those that were not finite.
        seconds: Duration; null if the run has written no result.
    """

    run: Path
    changed: str
    state: str
    metrics: dict[str, float]
    seconds: float | None


JSON_OUTPUTS: JsonOutputs = {"runs": (list[ListedRun], "Runs from the oldest to the newest, or sorted by `--sort`.")}


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    args = parse_arguments("runs", argv, "filters*", sort=None, csv=False, markdown=False, json=False)
    filters = [match for text in args.filters if (match := FILTER_PATTERN.fullmatch(text))]
    directories = [Path(text) for text in args.filters if not FILTER_PATTERN.fullmatch(text)]
    for directory in directories:
        if not directory.is_dir():
            raise UserError(f"runs: no directory '{directory}'")
    records = [record for directory in directories or [Path("outputs")] for record in find_runs(directory)]
    pairs = zip(records, find_differing_overrides(records), strict=True)
    runs = [list_run(record, changed) for record, changed in pairs if _matches(record, filters)]
    if args.sort:
        runs = _sort_runs(runs, args.sort)
    rows = [*map(build_row, runs)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if args.json:
        print_json(runs)
    elif args.csv:
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: escape_csv_cell(value) for name, value in row.items()} for row in rows)
    elif args.markdown:
        print(format_markdown_table(columns, [[_format_cell(row.get(name)) for name in columns] for row in rows]))
    else:
        _print_rows(rows, columns, [condition[1] for condition in filters] + [(args.sort or "").lstrip("-")])
    return 0


def list_run(record: RunRecord, changed: str) -> ListedRun:
    """Return the entry of a run.

    Args:
        record: Record of the run.
        changed: Overrides that differ between the runs.
    """
    metrics = {name: value for name, value in record.metrics.items() if DEFAULT_METRIC_PATTERN.fullmatch(name)}
    return ListedRun(record.path, changed, record.state, metrics, record.seconds)


def build_row(run: ListedRun) -> dict[str, Any]:
    """Return the columns of a run in tables."""
    head = {"run": str(run.run), "changed": run.changed, "state": run.state}
    return {**head, **run.metrics, "seconds": run.seconds}


def _matches(record: RunRecord, filters: Sequence[re.Match[str]]) -> bool:
    for name, operator, text in (condition.groups() for condition in filters):
        if operator in "<>":
            limit = _parse_float(text, name)
            value = record.metrics.get(name, record.seconds if name == "seconds" else None)
            if value is None or value == limit or (value > limit) != (operator == ">"):
                return False
            continue
        values = {"state": record.state, **record.config}
        if name not in values and record.config:
            raise UserError(f"runs: '{record.path}' has no key '{name}'{did_you_mean(name, [*values])}")
        if (format_value(values.get(name)) == text) != (operator == "="):
            return False
    return True


def _sort_runs(runs: list[ListedRun], key: str) -> list[ListedRun]:
    name = key.removeprefix("-")
    rows = [*map(build_row, runs)]
    columns = {column for row in rows for column in row}
    if runs and name not in columns:
        raise UserError(f"runs: no column '{name}' to sort by{did_you_mean(name, sorted(columns))}")
    values = [row.get(name) for row in rows]
    incomplete = [run for run, value in zip(runs, values, strict=True) if value is None]
    pairs = sorted(
        ((value, run) for run, value in zip(runs, values, strict=True) if value is not None), key=itemgetter(0)
    )
    complete = [run for _, run in pairs]
    return incomplete + (complete[::-1] if key.startswith("-") else complete)


def _parse_float(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"runs: {name}: '{text}' is not a number") from None


def _print_rows(rows: list[dict[str, Any]], columns: Sequence[str], requested: Sequence[str]) -> None:
    """Print a table with few metrics: those in filters or sorting first, then monitored ones and those of the test."""
    if not rows:
        print("no runs")
        return
    metrics = [name for name in columns if "/" in name]
    others = [name for name in metrics if name.endswith("_best") or not re.search("loss|naive_", name)]
    chosen = [*dict.fromkeys([*(name for name in metrics if name in requested), *others])][:MAX_METRIC_COLUMNS]
    directory = os.path.commonpath([Path(row["run"]).parent for row in rows])
    cells = {
        "run": [os.path.relpath(row["run"], directory) for row in rows],
        **{name: [_format_cell(row.get(name)) for row in rows] for name in ("changed", "state", *chosen, "seconds")},
    }
    optional = ["seconds", *(name for name in reversed(chosen[1:]) if name not in requested)]
    optional += ["state"] * (len({*cells["state"]}) == 1)
    omitted = _omit_columns(cells, optional, find_output_width() or shutil.get_terminal_size().columns)
    print_table([*cells], zip(*cells.values(), strict=True), title=f"{directory}/")
    if omitted:
        print(f"not shown in this width: {', '.join(omitted)}; --csv prints all columns")


def _omit_columns(cells: dict[str, list[str]], optional: Sequence[str], width: int) -> list[str]:
    """Remove columns until words need no line breaks, and return their names.

    Args:
        cells: Cells of each column.
        optional: Names of the columns that may be removed, in this order.
        width: Characters of a line.
    """
    needed = {
        name: max(len(word) for cell in [name, *column] for word in cell.split()) for name, column in cells.items()
    }
    omitted = []
    for name in optional:
        if sum(needed[name] + COLUMN_MARGIN for name in cells) + 1 <= width:
            break
        del cells[name]
        omitted.append(name)
    return omitted


def _format_cell(value: Any) -> str:
    return format_number(value) if value is None or isinstance(value, float) else str(value)

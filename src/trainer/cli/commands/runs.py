"""A table of runs: what was changed, how they ended, how good they are.

trainer runs [FOLDER...] [KEY=VALUE...] [METRIC>NUMBER...] [sort=METRIC] [--csv | --markdown | --json]

    trainer runs                                        all runs below outputs/
    trainer runs outputs/mnist_cnn sort=test/accuracy   those of one experiment, the best last
    trainer runs state=finished data._target_=trainer.data.mnist.MNIST 'test/accuracy>0.99'

A word with `=` or `!=` keeps the runs whose config, or state, has that value; one with `>` or `<` those whose metric is
so. `sort=` takes a metric, `seconds` or a key of the config; `sort=-KEY` turns it round.
"""

import csv
import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from trainer.artifacts.hparams import changed_words
from trainer.artifacts.run_record import Record, records
from trainer.cli.commands import as_typed
from trainer.core.errors import UserError, did_you_mean

FORMS = ("--csv", "--markdown", "--json")
WORD = re.compile(r"([\w./-]+)(!=|=|>|<)(.*)", re.DOTALL)
MOST = 3  # metrics in a terminal
LIKED = re.compile(r"(test/[^/]+|val/[^/]+_best)")  # the metrics that stand in the table


def main(words: list[str]) -> int:
    """List the runs that the words ask for; the exit status is 0."""
    forms = [word for word in words if word in FORMS]
    wrong = [word for word in words if word.startswith("-") and word not in FORMS]
    if wrong or len(forms) > 1:
        raise UserError(f"runs: {' '.join(wrong or forms)}: give one of {', '.join(FORMS)}, or none")
    conditions = [match for word in words if (match := WORD.fullmatch(word))]
    folders = [Path(word) for word in words if word not in FORMS and not WORD.fullmatch(word)]
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"runs: no folder '{folder}'")
    found = [record for folder in folders or [Path("outputs")] for record in records(folder)]
    pairs = zip(found, changed_words(found), strict=True)
    rows = [row_of(record, changed) for record, changed in pairs if _kept(record, conditions)]
    for condition in conditions:
        if condition[1] == "sort":
            rows = _sorted(rows, condition[3])
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if forms:
        _print(rows, columns, forms[0])
    else:
        _show(rows, columns, [condition[1 if condition[1] != "sort" else 3].lstrip("-") for condition in conditions])
    return 0


def row_of(record: Record, changed: str) -> dict[str, Any]:
    """What the table says of a run: the words that not all of the runs have, and the metrics people look at."""
    metrics = {name: value for name, value in record.metrics.items() if LIKED.fullmatch(name)}
    row = {"run": str(record.path), "changed": changed, "state": record.state, **metrics}
    return {**row, "seconds": record.seconds}


def _kept(record: Record, conditions: Sequence[re.Match[str]]) -> bool:
    for name, sign, wanted in (condition.groups() for condition in conditions):
        if name == "sort":
            continue
        if sign in "<>":
            value = record.metrics.get(name, record.seconds if name == "seconds" else None)
            if value is None or (value > _float(wanted, name)) != (sign == ">") or value == _float(wanted, name):
                return False
            continue
        known = {"state": record.state, **record.config}
        if name not in known and record.config:
            raise UserError(f"runs: '{record.path}' has no key '{name}'{did_you_mean(name, [*known])}")
        if (as_typed(known.get(name)) == wanted) != (sign == "="):
            return False
    return True


def _sorted(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    name = key.removeprefix("-")
    known = {column for row in rows for column in row}
    if rows and name not in known:
        raise UserError(f"runs: no column '{name}' to sort by{did_you_mean(name, sorted(known))}")
    with_value = sorted((row for row in rows if row.get(name) is not None), key=lambda row: row[name])
    without = [row for row in rows if row.get(name) is None]
    return without + (with_value[::-1] if key.startswith("-") else with_value)


def _float(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"runs: {name} is compared with '{text}', which is no number") from None


def _print(rows: list[dict[str, Any]], columns: list[str], form: str) -> None:
    if form == "--json":
        print(json.dumps(rows, indent=2))
    elif form == "--csv":
        writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        cells = [columns, ["---"] * len(columns), *([_shown(row.get(name)) for name in columns] for row in rows)]
        print("\n".join(f"| {' | '.join(line)} |" for line in cells))


def _show(rows: list[dict[str, Any]], columns: Sequence[str], asked: Sequence[str]) -> None:
    """A table for the terminal, with the few metrics that fit: asked for, monitored, of the test."""
    if not rows:
        print("no runs")
        return
    metrics = [name for name in columns if "/" in name]
    telling = [name for name in metrics if name.endswith("_best") or not re.search("loss|naive_", name)]
    chosen = [*(name for name in metrics if name in asked), *(name for name in telling if name not in asked)][:MOST]
    folder = os.path.commonpath([Path(row["run"]).parent for row in rows])
    table = Table("run", "changed", "state", *chosen, "seconds", title=escape(f"{folder}/"), box=SIMPLE_HEAD)
    for row in rows:
        behind = ["changed", "state", *chosen, "seconds"]
        cells = [os.path.relpath(row["run"], folder), *(_shown(row.get(name)) for name in behind)]
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    Console().print(table)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)

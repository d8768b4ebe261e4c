"""Combine several runs to one model, which can be tested, exported and used like that of a run.

trainer ensemble RUNS... --output DIRECTORY [--best K] [--metric val/accuracy] [--average outputs|weights] [--calibrate]
                 [--trust my_package]

    trainer ensemble outputs/digits_cnn/SWEEP --output runs/five_seeds
    trainer ensemble outputs/digits_cnn/SWEEP --best 3 --metric val/loss --output runs/best_three

RUNS         run directories, or directories of runs such as a sweep; runs that are not finished are left out
--output     new run directory; trainer test, predict, export, compare and report accept it
--best       number of runs with the best validation metric; by default all
--metric     validation metric for --best and the table; by default the first one that is not the loss
--average    outputs: mean of the probabilities or values (default); weights: one network with the mean weights
--calibrate  divide the logits by the temperature that minimizes the cross-entropy of the validation examples
--trust      comma-separated packages of yours whose code the checkpoints name

All runs must have the same data, preprocessing and objective; their networks may differ, except for --average=weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from trainer.artifacts.intervals import format_intervals
from trainer.cli.commands import integer, parse_arguments, print_table
from trainer.core.errors import UserError
from trainer.core.formatting import format_number, quote_argument
from trainer.inference.ensemble_members import Member, choose_metric, find_candidates, load_members, select_best

MIN_MEMBERS = 2


def main(argv: list[str]) -> int:
    """Run the command; the exit status is 0."""
    best = {"type": integer(1), "default": None}
    args = parse_arguments(
        "ensemble",
        argv,
        "runs+",
        output=None,
        best=best,
        metric=None,
        average=("outputs", "weights"),
        calibrate=False,
        trust="",
    )
    if args.output is None:
        raise UserError("ensemble: --output is missing; expected --output=DIRECTORY, a new run directory")
    records, skipped = find_candidates([Path(path) for path in args.runs])
    for path, reason in skipped.items():
        print(f"left out: {path}: {reason}")
    if len(records) < (1 if args.calibrate else MIN_MEMBERS):
        hint = "" if args.calibrate else ", or one with --calibrate"
        raise UserError(f"ensemble: {len(records)} usable run(s); expected at least {MIN_MEMBERS}{hint}")
    members = load_members(records, args.trust)
    metric = choose_metric(members, args.metric)
    chosen = select_best(members, metric, args.best) if args.best else members
    from trainer.training.ensemble import write_ensemble  # imports Lightning's loops

    directory = Path(args.output)
    result = write_ensemble(chosen, directory, average=args.average or "outputs", calibrate=bool(args.calibrate))
    _print_results(chosen, result, metric)
    if len(chosen) < len(members):
        print(f"{len(chosen)} of {len(members)} runs, the best by {metric}")
    if args.calibrate:
        print(f"temperature {format_number(result['temperature'])}, chosen on validation")
    print(f"to use it: trainer predict {quote_argument(directory)} FILES...")
    return 0


def _print_results(members: Sequence[Member], result: Mapping[str, Any], metric: str) -> None:
    """Print the loss and a metric of each member, their means, and those of the ensemble."""
    validation = dict.fromkeys(["val/loss", metric])
    names = [name for base in validation for name in (base, base.replace("val/", "test/", 1))]
    rows = [[str(member.record.path), member.validation | _select_test(member.record.metrics)] for member in members]
    shown = [name for name in names if any(name in metrics for _, metrics in rows)]
    means = {
        name: fmean(values) for name in shown if len(values := [row[name] for _, row in rows if name in row]) == len(rows)
    }
    test_metric = metric.replace("val/", "test/", 1)
    cells = [[*_format_row(*row, shown), format_intervals(m.record.result).get(test_metric, "")] for row, m in zip(rows, members)]
    cells.append([*_format_row("mean of the runs", means, shown), ""])
    cells.append([*_format_row("ensemble", result["metrics"], shown), format_intervals(result).get(test_metric, "")])
    print_table(["run", *shown, f"{test_metric}, 95 %"], cells)


def _select_test(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("test/")}


def _format_row(title: str, metrics: Mapping[str, float], names: Sequence[str]) -> list[str]:
    return [title, *(format_number(metrics.get(name)) for name in names)]

"""Combine several runs to one model, which can be tested, exported and used like that of a run.

trainer ensemble RUNS... --output DIRECTORY [--best K] [--metric val/accuracy] [--average outputs|weights] [--calibrate]
                 [--trust my_package] [--json]

    trainer ensemble outputs/digits_cnn/SWEEP --output runs/five_seeds
    trainer ensemble outputs/digits_cnn/SWEEP --best 3 --metric val/loss --output runs/best_three

RUNS         run directories, or directories of runs such as a sweep; runs that are not finished are left out
--output     new run directory; trainer test, predict, export, compare and report accept it
--best       number of runs with the best validation metric; by default all
--metric     validation metric for --best and the table; by default the first one of the objective
--average    outputs: mean of the probabilities or values (default); weights: one network with the mean weights
--calibrate  divide the logits by the temperature that minimizes the cross-entropy of the validation examples
--trust      comma-separated packages of yours whose code the checkpoints name

All runs must have the same data, preprocessing and objective; their networks may differ, except for --average=weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from trainer.artifacts.intervals import format_intervals
from trainer.cli.commands import integer, parse_arguments, print_table
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.core.errors import UserError
from trainer.core.formatting import format_number, quote_argument
from trainer.inference.ensemble_members import Member, choose_metric, find_candidates, load_members, select_best

MIN_MEMBERS = 2


@dataclass(frozen=True)
class EnsembleRun:
    """Run directory of an ensemble.

    Args:
        directory: New run directory.
        members: Directories of the runs that it combines.
        left_out: Reasons by the directory of each run that cannot be used.
        metric: Validation metric by which `--best` selects runs.
        metrics: Metrics of the ensemble on validation and test.
        calibration: Temperature, and the cross-entropy without and with it; empty without `--calibrate`.
    """

    directory: Path
    members: list[Path]
    left_out: dict[str, str]
    metric: str
    metrics: dict[str, float | None]
    calibration: dict[str, float]


JSON_OUTPUTS: JsonOutputs = {"ensemble": (EnsembleRun, "The new run.")}


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
        json=False,
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
    if args.json:
        left_out = {str(path): reason for path, reason in skipped.items()}
        paths = [member.record.path for member in chosen]
        calibration = result.get("calibration", {})
        print_json(EnsembleRun(directory, paths, left_out, metric, result["metrics"], calibration))
        return 0
    _print_results(chosen, result, metric)
    if len(chosen) < len(members):
        print(f"{len(chosen)} of {len(members)} runs, the best by {metric}")
    if calibration := result.get("calibration"):
        losses = " -> ".join(
            format_number(calibration[name]) for name in ("uncalibrated_cross_entropy", "cross_entropy")
        )
        print(f"temperature {format_number(calibration['temperature'])}: cross-entropy of validation {losses}")
    print(f"to use it: trainer predict {quote_argument(directory)} FILES...")
    return 0


def _print_results(members: Sequence[Member], result: Mapping[str, Any], metric: str) -> None:
    """Print the loss and a metric of each member, their means, and those of the ensemble."""
    results = {
        str(member.record.path): {**member.record.result, "metrics": _list_metrics(member)} for member in members
    }
    metrics = [row["metrics"] for row in results.values()]
    names = [name for name in _list_names(metric) if all(name in row for row in metrics)]
    means = {name: fmean(row[name] for row in metrics) for name in names}
    rows = []
    for title, row in {**results, "mean of the runs": {"metrics": means}, "ensemble": result}.items():
        values = [format_number(row["metrics"].get(name)) for name in names]  # callbacks of the runs may log more
        rows.append([title, *values, format_intervals(row).get(_list_names(metric)[-1], "")])
    print_table(["run", *names, "95 %"], rows)


def _list_names(metric: str) -> list[str]:
    """Return the names of the loss and of a metric, each on validation and test."""
    bases = dict.fromkeys(["loss", metric.removeprefix("val/")])
    return [f"{stage}/{base}" for base in bases for stage in ("val", "test")]


def _list_metrics(member: Member) -> dict[str, float]:
    """Return the validation metrics of a member's checkpoint and its test metrics."""
    test = {name: value for name, value in member.record.metrics.items() if name.startswith("test/")}
    return member.validation | test

"""Comparison of the files of two runs: records, metrics, TensorBoard scalars and checkpoints."""

import csv
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RELATIVE_TOLERANCE = 1e-5  # of weights and logged values
ABSOLUTE_TOLERANCE = 2e-7  # of logged values; a unit in the last place of 1, which scores near 0 are computed from
STATE_TOLERANCE = 1e-4  # of the averages of optimizers, relative to the norm
# values that differ between two executions of one run
VOLATILE = ("provenance", "timer", "path", "save_dir", "seconds", "hydra", "saved_at", "best_k_models", "events")
UNEQUAL_KEYS = {"seconds", "phase_seconds", "checkpoint", "metrics", "intervals"}  # of result.json
UNEQUAL_FILES = {"code.diff"}  # of the working tree, which may change in the meantime


def find_differences(first: Path, second: Path, ignored_weights: Sequence[str] = ()) -> list[str]:
    """Return the differences of two runs; none if they are equal except for rounding.

    Args:
        first: Run directory.
        second: Run directory.
        ignored_weights: Parts of the names of weights whose gradients are noise, as they are 0 in theory.
    """
    return [
        *_compare_files(first, second),
        *_compare_records(first, second),
        *compare_metrics(first, second),
        *_compare_scalars(first, second),
        *_compare_checkpoints(first, second, ignored_weights),
    ]


def _compare_files(first: Path, second: Path) -> Iterator[str]:
    names = [
        sorted("events.out" if "events.out" in path.name else str(path.relative_to(run)) for path in run.rglob("*"))
        for run in (first, second)
    ]
    different = ({*names[0]} ^ {*names[1]}) - UNEQUAL_FILES
    if different:
        yield f"files: {sorted(different)}"


def _compare_records(first: Path, second: Path) -> Iterator[str]:
    """Yield the differences of the configs, and of results except for their metrics and their time."""
    for name in (".hydra/overrides.yaml", ".hydra/config.yaml", ".hydra/hydra.yaml", "config.yaml"):
        texts = [(run / name).read_text().replace(f"{run.parent.name}/{run.name}", "RUN") for run in (first, second)]
        values = [_flatten(yaml.safe_load(text)) for text in texts]
        different = {key for key in values[0].keys() | values[1].keys() if values[0].get(key) != values[1].get(key)}
        if different:
            yield f"{name}: {sorted(different)}"
    results = [json.loads((run / "result.json").read_text()) for run in (first, second)]
    if [*results[0]] != [*results[1]]:
        yield f"keys of result.json: {[*results[0]]}, {[*results[1]]}"
    for key in results[0].keys() & results[1].keys() - {
        "seconds",
        "phase_seconds",
        "checkpoint",
        "metrics",
        "intervals",
    }:
        if results[0][key] != results[1][key]:
            yield f"result.json: {key}: {results[0][key]}, {results[1][key]}"
    yield from _compare_numbers("result.json", results[0].get("metrics", {}), results[1].get("metrics", {}))
    bounds = [_flatten(result.get("intervals", {})) for result in results]
    for key in bounds[0].keys() | bounds[1].keys():
        if not _are_equal(key, *(values.get(key) for values in bounds)):
            yield f"result.json: intervals: {key}: {bounds[0].get(key)}, {bounds[1].get(key)}"


def compare_metrics(first: Path, second: Path) -> Iterator[str]:
    """Yield the differences of metrics.csv of two runs."""
    rows = [_read_rows(run / "metrics.csv") for run in (first, second)]
    if len(rows[0]) != len(rows[1]):
        yield f"metrics.csv: {len(rows[0])} and {len(rows[1])} rows"
    for number, pair in enumerate(zip(*rows, strict=False)):
        yield from _compare_numbers(f"metrics.csv, row {number}", *pair)


def _read_rows(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        return []
    with file.open() as lines:
        return [{key: float(text) for key, text in row.items() if text} for row in csv.DictReader(lines)]


def _compare_scalars(first: Path, second: Path) -> Iterator[str]:
    scalars = [_read_scalars(run) for run in (first, second)]
    for tag in sorted(scalars[0].keys() | scalars[1].keys()):
        yield from _compare_numbers(f"TensorBoard {tag}", *(values.get(tag, {}) for values in scalars))


def _read_scalars(run: Path) -> dict[str, dict[int, float]]:
    """Return the scalars by tag and step, except measurements of time."""
    if not (run / "tensorboard").is_dir():
        return {}
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "second" not in tag and not tag.startswith("throughput")]
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def _compare_numbers(title: str, first: dict[Any, Any], second: dict[Any, Any]) -> Iterator[str]:
    if [*first] != [*second]:
        yield f"{title}: {[*first]}, {[*second]}"
    for key in first.keys() & second.keys():
        if not _are_close(first[key], second[key]) and "second" not in str(key):
            yield f"{title}: {key}: {first[key]}, {second[key]}"


def _are_close(first: float | None, second: float | None) -> bool:
    if first is None or second is None:
        return first is second
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return math.isclose(first, second, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE)


def _compare_checkpoints(first: Path, second: Path, ignored_weights: Sequence[str]) -> Iterator[str]:
    for file in sorted((first / "checkpoints").glob("*.ckpt")):
        other = second / "checkpoints" / file.name
        if not other.is_file():
            continue
        values = [_flatten(torch.load(path, weights_only=True)) for path in (file, other)]
        keys = [{key for key in part if not any(name in key for name in VOLATILE)} for part in values]
        if keys[0] != keys[1]:
            yield f"keys of {file.name}: {sorted(keys[0] ^ keys[1])}"
        for key in sorted(keys[0] & keys[1]):
            if not any(name in key for name in ignored_weights) and not _are_equal(key, *(v[key] for v in values)):
                yield f"{file.name}: {key}: {values[0][key]}, {values[1][key]}"


def _are_equal(key: str, first: Any, second: Any) -> bool:
    """Return whether two values of checkpoints are equal; numbers except for rounding."""
    if isinstance(first, float) and isinstance(second, float):
        return _are_close(first, second)
    if not isinstance(first, torch.Tensor):
        return bool(first == second)
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if not first.is_floating_point() or not bool(first.isfinite().all()):
        return torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
    tolerance = STATE_TOLERANCE if key.startswith(".optimizer_states") else RELATIVE_TOLERANCE
    return float((first - second).double().norm()) <= tolerance * float(first.double().norm()) + 1e-9


def _flatten(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested dicts and lists by their keys."""
    if isinstance(value, dict):
        items = [*value.items()]
    elif isinstance(value, list | tuple):
        items = [*enumerate(value)]
    else:
        return {key: value}
    return {name: leaf for child, part in items for name, leaf in _flatten(part, f"{key}.{child}").items()}

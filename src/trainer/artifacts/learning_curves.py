"""Description of the learning curves of a run in one sentence."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

from trainer.artifacts.run_record import RunRecord
from trainer.core.errors import UserError
from trainer.core.formatting import format_number
from trainer.core.metric_name import MetricName

Series = Sequence[tuple[int, float]]

MIN_VALIDATIONS = 5
SMOOTHED_FRACTION = 0.1  # of the validations: length of the moving average
RECENT_FRACTION = 0.2  # of the validations: the end of the curve
NOISE_FACTOR = 2.0  # a smaller change of the average, relative to the usual change of a value, is noise
MIN_RECENT_DROP = 0.05  # of the whole drop
MIN_CHANGE = 0.02  # of the first value
PLATEAU_TOLERANCE = 0.02  # of the range of the curve


def describe_run_curves(record: RunRecord, result: Mapping[str, Any]) -> str:
    """Return what the losses of a run show, or "" if they are missing, too short, not finite or invalid.

    Args:
        record: Record of the run.
        result: Content of its `result.json`.
    """
    if not (result.get("steps") and result.get("epochs")):
        return ""
    try:
        return describe_curves(record.read_metric_series(), result["steps"] / result["epochs"])
    except UserError:  # the file is invalid
        return ""


def describe_curves(series: Mapping[str, Series], steps_per_epoch: float) -> str:
    """Return what the losses of training and validation show, or "" if that is unclear or they are not finite.

    The curves are moving averages over a tenth of the validations, so that noise is not described.

    Args:
        series: (step, value) of the logged values by metric, with steps from 0.
        steps_per_epoch: Steps of an epoch.
    """
    losses = {stage: _find_loss(series, stage) for stage in ("train", "val")}
    training, validation = losses.values()
    values = [value for _, value in [*training, *validation]]
    if len(validation) < MIN_VALIDATIONS or len(training) < 2 or not all(map(math.isfinite, values)):
        return ""
    width = max(1, round(len(validation) * SMOOTHED_FRACTION))
    steps = [step for step, _ in validation]
    curve = _smooth([value for _, value in validation], width)
    noise = NOISE_FACTOR * _estimate_noise([value for _, value in validation])
    best = min(range(len(curve)), key=curve.__getitem__)
    best_epoch = max(1, round((steps[best] + 1) / steps_per_epoch))
    recent = max(1, round(len(curve) * RECENT_FRACTION))
    if max(curve) - min(curve) < MIN_CHANGE * abs(curve[0]):
        change = f"from {format_number(curve[0])} to {format_number(curve[-1])}"
        return f"val/loss has hardly changed, {change}: another optimizer.lr may help, if the targets are predictable"
    if len(curve) - 1 - best >= recent and curve[-1] - curve[best] > noise:
        rise = f"val/loss rose from {format_number(curve[best])} (epoch {best_epoch}) to {format_number(curve[-1])}"
        is_overfitting = _falls_after(training, steps[best])
        return (
            f"{rise}{', while train/loss fell: overfitting' if is_overfitting else '; a lower optimizer.lr may help'}"
        )
    drop = curve[-1 - recent] - curve[-1]
    if len(curve) - 1 - best < width and drop > max(noise / 2, MIN_RECENT_DROP * (curve[0] - curve[-1])):
        return "val/loss was still falling at the end: more epochs may improve it"
    start = _find_start_of_plateau(curve, noise)
    if best == len(curve) - 1 and curve[start] - curve[-1] > MIN_RECENT_DROP * (max(curve) - min(curve)):
        return ""  # it may be falling, but not more than it changes by chance
    return f"val/loss has hardly changed since epoch {max(1, round((steps[start] + 1) / steps_per_epoch))}"


def _find_loss(series: Mapping[str, Series], stage: str) -> Series:
    return next((points for name, points in series.items() if MetricName.parse(name) == (stage, "loss", "")), ())


def _smooth(values: Sequence[float], width: int) -> list[float]:
    """Return the mean of each value and the `width - 1` values before it."""
    return [fmean(values[max(0, end - width) : end]) for end in range(1, len(values) + 1)]


def _estimate_noise(values: Sequence[float]) -> float:
    """Return the median distance of a value from the mean of its neighbors, which a steady fall does not change."""
    triples = zip(values, values[1:], values[2:], strict=False)
    return median(abs(now - (before + after) / 2) for before, now, after in triples)


def _falls_after(training: Series, step: int) -> bool:
    """Return whether the mean of the training loss is lower after a step than in the same number of values before."""
    after = [value for at, value in training if at > step]
    before = [value for at, value in training if at <= step][-len(after) :] if after else []
    return bool(before) and fmean(after) < fmean(before)


def _find_start_of_plateau(curve: Sequence[float], noise: float) -> int:
    """Return the first index after which the curve stays close to its last value."""
    tolerance = max(noise, PLATEAU_TOLERANCE * (max(curve) - min(curve)))
    outside = [index for index, value in enumerate(curve) if abs(value - curve[-1]) > tolerance]
    return outside[-1] + 1 if outside else 0

"""Stage, metric and class in the names of logged values."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

STAGES = ("train", "val", "test")
LOADER_SUFFIX = "/dataloader_idx_"  # added by Lightning if a stage has several data loaders
_OPTIMIZER_NAME = re.compile(r"(train/)?(lr|grad_norm)([-_/].+)?")
_STAGED_NAME = re.compile(r"(train|val|valid|validation|test)[/_](.+)")


class MetricName(NamedTuple):
    """Parts of a name such as `val/loss`, `val_loss` or `test/recall/cat`.

    Args:
        stage: `train`, `val` or `test`; empty if the name contains no stage.
        metric: Name of the metric, with the number of the data loader if there are several.
        label: Name of a class; empty for a metric of all classes.
    """

    stage: str
    metric: str
    label: str

    @classmethod
    def parse(cls, name: str) -> "MetricName":
        """Return the parts of a logged name."""
        base, _, loader = name.partition(LOADER_SUFFIX)
        match = _STAGED_NAME.fullmatch(base)
        stage, rest = match.groups() if match else ("", base)
        metric, _, label = rest.partition("/") if stage else (rest, "", "")
        metric = f"{metric} (loader {loader})" if loader else metric
        return cls("val" if stage.startswith("val") else stage, metric, label)


def list_metrics(names: Iterable[str], *stages: str) -> list[str]:
    """Return the distinct names of the metrics of some stages, without those of single classes."""
    parsed = {name: MetricName.parse(name) for name in names}
    return [name for name, parts in parsed.items() if parts.stage in stages and not parts.label]


def group_by_stage(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the values of all metrics, by metric and stage, without those of single classes and of optimizers.

    The stage of a name that contains none is `value`.
    """
    rows: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        stage, metric, label = MetricName.parse(name)
        if not label and not _OPTIMIZER_NAME.fullmatch(name):
            rows.setdefault(metric, {})[stage or "value"] = value
    return rows


def group_by_class(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the values of single classes by class and metric."""
    rows: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        parsed = MetricName.parse(name)
        if parsed.label:
            rows.setdefault(parsed.label, {})[parsed.metric] = value
    return rows


def list_columns(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the columns of grouped values: stages in their order, then others in order of appearance."""
    columns = dict.fromkeys(name for row in rows.values() for name in row)
    return sorted(columns, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))

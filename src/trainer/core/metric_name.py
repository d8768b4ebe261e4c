"""Stage, metric and class in the names of logged values."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

STAGES = ("train", "val", "test")
LOADER_SUFFIX = "/dataloader_idx_"  # added by Lightning if a stage has several data loaders
ACCURACY_NAMES = ("acc", "accuracy")
INTERVAL_COLUMN = "test, 95 %"
Rows = list[list[str]]
# a class name may contain a line break
_OPTIMIZER_NAME = re.compile(r"(train/)?(lr|grad_norm)([-_/].+)?", re.DOTALL)
_STAGED_NAME = re.compile(r"(train|val|valid|validation|test)[/_](.+)", re.DOTALL)


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


def make_tensorboard_tag(name: str) -> str:
    """Return the tag of a metric in TensorBoard, which sorts groups by name and opens only the first two of them.

    The first groups are accuracy and losses, each with its curves of training and validation: `val/loss` has the tag
    `loss/val`. All other metrics are in the group `metrics`, those of single classes in `per_class`, and those of
    optimizers, epochs and speed in `other`. Names without a stage and a slash, such as `val_loss`, are their own tags.
    """
    if _OPTIMIZER_NAME.fullmatch(name) or name in ("epoch", "steps_per_second"):
        return f"other/{name}"
    if not name.startswith(tuple(f"{stage}/" for stage in STAGES)):
        return name
    stage, metric, label = MetricName.parse(name)
    if label:
        return f"per_class/{metric}/{stage}/{label}"
    suffix = "_best" if metric.endswith("_best") else ""
    metric = metric.removesuffix(suffix)
    has_group = metric in ACCURACY_NAMES or re.search("loss", metric)
    return f"{metric if has_group else f'metrics/{metric}'}/{stage}{suffix}"


def list_metrics(names: Iterable[str], *stages: str) -> list[str]:
    """Return the distinct names of the metrics of some stages, without those of single classes."""
    parsed = {name: MetricName.parse(name) for name in names}
    return [name for name, parts in parsed.items() if parts.stage in stages and not parts.label]


def tabulate_metrics(
    metrics: Mapping[str, float], format_value: Callable[[float | None], str], intervals: Mapping[str, str]
) -> Iterator[Rows]:
    """Yield the tables of a run's metrics, each with its header: all metrics by stage, and single classes by metric.

    Metrics of optimizers are left out. The stage of a name that contains none is `value`.

    Args:
        metrics: Values by name.
        format_value: Function that formats a value, or None if it is missing.
        intervals: Intervals of test metrics by name, as text; they are a further column.
    """
    by_stage: dict[str, dict[str, float]] = {}
    by_class: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        stage, metric, label = MetricName.parse(name)
        if label:
            by_class.setdefault(label, {})[metric] = value
        elif not _OPTIMIZER_NAME.fullmatch(name):
            by_stage.setdefault(metric, {})[stage or "value"] = value
    for title, values in (("metric", by_stage), ("class", by_class)):
        names = dict.fromkeys(name for row in values.values() for name in row)
        columns = sorted(names, key=lambda name: STAGES.index(name) if name in STAGES else len(STAGES))
        rows = [[label, *(format_value(row.get(column)) for column in columns)] for label, row in values.items()]
        table = [[title, *columns], *rows]
        if title == "metric" and intervals:
            cells = [INTERVAL_COLUMN, *(intervals.get(f"test/{name}", "") for name in values)]
            table = [[*row, cell] for row, cell in zip(table, cells, strict=True)]
        if rows:
            yield table

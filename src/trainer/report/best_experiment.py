"""The best run of a sweep as the text of an experiment file."""

import shlex
from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from trainer.artifacts.fingerprint import is_within
from trainer.artifacts.run_record import Record
from trainer.config.multirun import GLOBAL_GROUPS
from trainer.config.schema import Sweep
from trainer.core.metric_direction import UNKNOWN
from trainer.report.comparison import Report

LEFT_OUT = ("resume", "hydra", "callbacks.pruning")  # of the sweep, and not of its jobs
NO_SEARCH: dict[str, Any] = {  # the defaults, in place of what `hparams_search` has set
    "sweep": {key: getattr(Sweep, key) for key in ("trials", "sampler", "pruner")},
    "hydra": {"sweeper": {"params": None}},
}


def best_recipe(report: Report) -> str:
    """Return an experiment that repeats the best run; stored as `experiments/NAME.yaml`, `experiment=NAME` launches it.

    Args:
        report: Of the sweep.

    Raises:
        ValueError: No config is the best, as it is unknown which values are good.
    """
    best = report.best
    if best is None:
        raise ValueError(UNKNOWN.format(report.metric))
    run = report.best_run
    overrides = OverridesParser.create().parse_overrides(run.overrides)
    kept = [each for each in overrides if not is_within(each.key_or_group, LEFT_OUT)]
    choices = [each for each in kept if _is_choice(each, run)]
    values: dict[str, Any] = {}
    for each in kept:
        if each not in choices and not each.is_delete():
            _put(values, each.key_or_group.split("."), each.value(), run.nested_config)
    if any(each.key_or_group == "hparams_search" for each in choices):
        values |= NO_SEARCH
    spread = f" +- {best.estimate.deviation:.2g}" if best.estimate.count > 1 else ""
    deleted = [shlex.quote(each.input_line or "") for each in kept if each.is_delete()]
    runs = f"{best.estimate.count} run{'s' * (best.estimate.count > 1)}"
    mean = f"{report.metric}: {best.estimate.mean:.4g}{spread} ({runs})"
    head = [
        f"The best of {len(report.groups)} configs by {mean}.",
        f"Its best run: {run.path.name}, seed {run.config.get('seed')}: {run.metrics[report.metric]:.6g}",
        *report.notes,
        f"Copy this file to experiments/NAME.yaml, then: {' '.join(['trainer experiment=NAME', *deleted])}",
    ]
    lines = [f"# {line}" for line in head]
    lines += ["defaults:", *(f"  - {line}" for line in _defaults(choices))] * bool(choices)
    return "\n".join(lines) + "\n" + (OmegaConf.to_yaml(OmegaConf.create(values)) if values else "")


def _is_choice(override: Override, run: Record) -> bool:
    """Return whether an override chooses a file, and sets no value."""
    key = override.key_or_group
    if override.is_delete() or isinstance(override.value(), dict):
        return False
    return key in run.choices or (key in run.nested_config and isinstance(run.nested_config[key], dict))


def _defaults(choices: list[Override]) -> Iterator[str]:
    """Yield the entries of a defaults list: experiments and what else may set any key first, in Hydra's order."""
    for group in GLOBAL_GROUPS:
        for each in choices:
            if each.key_or_group == group:
                value: Any = each.value()
                names = value if isinstance(value, list) else [value]
                yield from (name if group == "experiment" else f"/{group}@_global_: {name}" for name in names if name)
    for each in choices:
        if each.key_or_group not in GLOBAL_GROUPS:
            yield f"override /{each.key_or_group}: {each.get_value_element_as_str()}"


def _put(values: dict[str, Any], steps: list[str], value: Any, node: Any) -> None:
    """Set a value below nested keys; YAML has no key for one element of a list, so that the whole list is set.

    Args:
        values: Changed.
        steps: Keys, from the outermost.
        value: To be set.
        node: The run's config at the outermost key.
    """
    inner = node.get(steps[0]) if isinstance(node, dict) else None
    if len(steps) == 1 or isinstance(inner, list):
        values[steps[0]] = value if len(steps) == 1 else inner
    else:
        _put(values.setdefault(steps[0], {}), steps[1:], value, inner)

"""The best run of a sweep as an experiment file."""

import shlex
from collections.abc import Iterator
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from trainer.artifacts.run_record import RunRecord
from trainer.config.multirun import GLOBAL_GROUPS
from trainer.config.schema import SweepConfig
from trainer.core.formatting import format_number
from trainer.core.mappings import is_within
from trainer.core.metric_direction import UNKNOWN_DIRECTION_MESSAGE
from trainer.reports.comparison import Report

EXCLUDED_KEYS = ("resume", "hydra", "callbacks.pruning")  # settings of the sweep, not of its jobs
SEARCH_DEFAULTS: dict[str, Any] = {  # undo the settings of `hparams_search`
    "sweep": {key: getattr(SweepConfig, key) for key in ("n_trials", "sampler", "pruner")},
    "hydra": {"sweeper": {"params": None}},
}


def format_best_experiment(report: Report) -> str:
    """Return the text of an experiment file `experiments/NAME.yaml` that repeats the best run.

    Raises:
        ValueError: If the direction of the metric is unknown.
    """
    best = report.best
    if best is None:
        raise ValueError(UNKNOWN_DIRECTION_MESSAGE.format(report.metric))
    run = report.best_run
    parsed = OverridesParser.create().parse_overrides(run.overrides)
    overrides = [override for override in parsed if not is_within(override.key_or_group, EXCLUDED_KEYS)]
    choices = [override for override in overrides if _is_choice(override, run)]
    values: dict[str, Any] = {}
    for override in overrides:
        if override not in choices and not override.is_delete():
            _set_nested(values, override.key_or_group.split("."), override.value(), run.nested_config)
    if any(choice.key_or_group == "hparams_search" for choice in choices):
        values |= SEARCH_DEFAULTS
    mean = format_number(best.estimate.mean)
    std = f" +- {best.estimate.std:.2g}" if best.estimate.count > 1 else ""
    deletions = [shlex.quote(override.input_line or "") for override in overrides if override.is_delete()]
    count = f"{best.estimate.count} run{'s' * (best.estimate.count > 1)}"
    header = [
        f"The best of {len(report.groups)} configs by {report.metric}: {mean}{std} ({count}).",
        f"Its best run: {run.path.name}, seed {run.config.get('seed')}: {run.metrics[report.metric]:.6g}",
        *report.notes,
        f"Copy this file to experiments/NAME.yaml, then: {' '.join(['trainer experiment=NAME', *deletions])}",
    ]
    lines = [f"# {line}" for line in header]
    lines += ["defaults:", *(f"  - {line}" for line in _format_defaults_list(choices))] * bool(choices)
    return "\n".join(lines) + "\n" + (OmegaConf.to_yaml(OmegaConf.create(values)) if values else "")


def _is_choice(override: Override, run: RunRecord) -> bool:
    """Return whether an override selects a config file instead of setting a value."""
    key = override.key_or_group
    if override.is_delete() or isinstance(override.value(), dict):
        return False
    return key in run.choices or isinstance(run.nested_config.get(key), dict)


def _format_defaults_list(choices: list[Override]) -> Iterator[str]:
    """Yield the entries of a defaults list, in Hydra's order: first groups that may set any key."""
    for group in GLOBAL_GROUPS:
        for choice in choices:
            if choice.key_or_group == group:
                value: Any = choice.value()
                names = value if isinstance(value, list) else [value]
                yield from (name if group == "experiment" else f"/{group}@_global_: {name}" for name in names if name)
    for choice in choices:
        if choice.key_or_group not in GLOBAL_GROUPS:
            yield f"override /{choice.key_or_group}: {choice.get_value_element_as_str()}"


def _set_nested(values: dict[str, Any], keys: list[str], value: Any, config: Any) -> None:
    """Set a value below nested keys of `values`; `config` is the run's config at the same level.

    For a list element, set the complete list of the config, because YAML cannot set a single element.
    """
    inner = config.get(keys[0]) if isinstance(config, dict) else None
    if len(keys) == 1 or isinstance(inner, list):
        values[keys[0]] = value if len(keys) == 1 else inner
    else:
        _set_nested(values.setdefault(keys[0], {}), keys[1:], value, inner)

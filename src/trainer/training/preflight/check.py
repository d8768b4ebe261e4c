"""All preflight checks of one config."""

import json
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig

from trainer.config.diagnostics import REQUIRED_KEY_MESSAGE, Diagnostic, raise_on_errors
from trainer.config.import_path import add_working_directory
from trainer.config.launchers import is_remote
from trainer.config.schema import DATASETS_TARGET, GROUPS_TARGET, MODULE_PARTS, ROOT_KEYS, find_targets
from trainer.config.value_sources import Layer, find_location, load_current_run_layers
from trainer.core.errors import suggest_names
from trainer.core.metric_direction import Direction
from trainer.core.warning_filters import install_warning_filters
from trainer.task.parameter_groups import GROUP_SETTINGS, PATTERN_KEYS
from trainer.training.build_module import find_ignored_keys
from trainer.training.build_optimizer import find_own_settings
from trainer.training.preflight.call_signatures import check_calls
from trainer.training.preflight.consistency import check_consistency
from trainer.training.preflight.dry_run import KNOWN_PACKAGES, run_dry_run
from trainer.training.preflight.dry_run_cache import Facts, dry_run_results
from trainer.training.preflight.environment import check_devices, check_environment
from trainer.training.preflight.interpolation import MISSING, resolve_config
from trainer.training.preflight.loggers import check_loggers
from trainer.training.preflight.monitored_metrics import read_objective_directions
from trainer.training.preflight.unused_settings import check_unused_settings

log = logging.getLogger(__name__)

# keys, at the top ("") or in a group, that do not change a dry run; jobs that differ only in them share one
IGNORED_KEYS = {
    "": {"seed", "tags", "task_name", "outputs", "sweep"},
    "data": {"seed", "data_seed"},
    "callbacks": {"dirpath"},
    "logger": {"save_dir"},
}


def collect_diagnostics(config: DictConfig) -> tuple[list[Diagnostic], Facts]:
    """Return all errors and warnings of a config, without locations, and the facts of its dry run (or an empty dict).

    Equivalent jobs of a sweep share one dry run.
    """
    values, diagnostics = resolve_config(config)
    add_working_directory(find_targets(values, with_paths=True))
    if missing := [Diagnostic(key, REQUIRED_KEY_MESSAGE, f"remove ~{key}") for key in ROOT_KEYS if key not in values]:
        return diagnostics + missing, {}
    if isinstance(data := values["data"], dict) and "train" in data:
        data.setdefault("_target_", DATASETS_TARGET)
    diagnostics += [*_check_nodes(values), *_check_unknown_keys(values)]
    diagnostics += _check_all_calls(values)
    if diagnostics:
        return diagnostics, {}  # further checks rely on valid types
    device_errors = [*check_devices(values["trainer"])]
    diagnostics = [*check_environment(values), *check_consistency(values), *check_loggers(values["logger"] or {})]
    key = json.dumps([_relevant_values(values), [*_code_versions(values)]], default=str)
    if key not in dry_run_results or any(item.is_error for item in dry_run_results[key][0]):
        dry_run_results[key] = run_dry_run(config)  # errors may have been fixed since
    dry_run_diagnostics, facts = dry_run_results[key]
    reported = {item.key for item in [*device_errors, *diagnostics] if item.is_error}
    reported |= {name.partition(".")[0] for name in reported}
    if not is_remote(config):  # on a remote machine each job checks its devices itself
        diagnostics = device_errors + diagnostics
    return diagnostics + [item for item in dry_run_diagnostics if item.key not in reported], facts


def _relevant_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a config that a dry run depends on."""
    return {
        name: _drop_keys(node, IGNORED_KEYS.get(name, set()))
        for name, node in values.items()
        if name not in IGNORED_KEYS[""]
    }


def _drop_keys(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {str(name): _drop_keys(child, names) for name, child in value.items() if name not in names}
    return value


def _code_versions(values: dict[str, Any]) -> Iterator[int]:
    """Yield a number for each user-defined target; it changes with the code, as in a notebook."""
    for target in find_targets(values):
        if not target.startswith(KNOWN_PACKAGES):
            resolved = resolve_name(target)
            file = getattr(sys.modules.get(getattr(resolved, "__module__", "")), "__file__", None)
            yield Path(file).stat().st_mtime_ns if file else id(resolved)


def validate_config(config: DictConfig) -> float:
    """Raise the errors and log the warnings of a config.

    Returns:
        float: Upper bound of the multiplications in a forward pass; infinite if it is not known.

    Raises:
        UserError: Lists all errors, each with key, problem, suggestion and location.
    """
    diagnostics, facts = collect_diagnostics(config)
    if diagnostics or facts.get("unused"):
        layers = load_current_run_layers()
        diagnostics = [*add_locations(diagnostics, layers), *check_unused_settings(facts.get("unused", {}), layers)]
    raise_on_errors(diagnostics)
    for warning in diagnostics:
        log.warning(f"warning: {warning}")
    return float(facts.get("work", math.inf))


def require_objective_directions(config: DictConfig) -> dict[str, Direction]:
    """Return the directions that the objective of a config declares for its metrics, by name.

    Raises:
        UserError: An optimized metric is not logged.
    """
    install_warning_filters()
    raise_on_errors(item for item in collect_diagnostics(config)[0] if item.key == "optimized_metric")
    return read_objective_directions(config)


def add_locations(diagnostics: Sequence[Diagnostic], layers: Sequence[Layer]) -> list[Diagnostic]:
    """Return diagnostics with the locations of their values."""
    return [
        item if item.location else replace(item, location=find_location(layers, item.key.split(", ")[0]))
        for item in diagnostics
    ]


def _check_nodes(values: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each node that must describe an object and does not."""
    nodes = {key: values.get(key) for key in ("data", "model", "objective", "optimizer", "scheduler", "trainer")}
    for group in ("callbacks", "logger"):
        if isinstance(values[group], dict):
            nodes |= {f"{group}.{name}": node for name, node in values[group].items()}
    for key, node in nodes.items():
        if node != MISSING and not (isinstance(node, dict) and "_target_" in node):
            group = key.partition(".")[0]
            hint = f"to remove it: ~{key}" if group in ("callbacks", "logger") else f"choose one: {group}=NAME"
            yield Diagnostic(key, f"{node!r} has no _target_; expected the config of an object", hint)


def _check_unknown_keys(values: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield an error for each unknown root key that was added with `+`."""
    for key in values:
        if key not in ROOT_KEYS:
            yield Diagnostic(key, "unknown config key", suggest_names(str(key), ROOT_KEYS))


def _check_all_calls(values: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield the errors of `check_calls` in a config, of which a run completes the nodes of module and optimizer."""
    for key, node in values.items():
        if key not in ("model", "optimizer", "scheduler") or not (isinstance(node, dict) and "_target_" in node):
            yield from check_calls(key, node)
            continue
        try:
            find = find_ignored_keys if key == "model" else partial(find_own_settings, key)
            ignored = find(node["_target_"])
        except Exception:  # the check of the call reports it
            ignored = set()
        arguments = {name: value for name, value in node.items() if name not in ignored}
        yield from check_calls(key, arguments, provided={*MODULE_PARTS} - {"net"} if key == "model" else ())
        if key == "optimizer":
            yield from _check_parameter_groups(node)


def _check_parameter_groups(node: dict[str, Any]) -> Iterator[Diagnostic]:
    """Yield the errors in the settings of parameter groups, and in the options of each group."""
    settings = {name: value for name, value in node.items() if name in GROUP_SETTINGS}
    yield from check_calls("optimizer", {"_target_": GROUPS_TARGET, "_partial_": True, **settings})
    groups = settings.get("groups")
    for name, group in groups.items() if isinstance(groups, dict) else ():
        if isinstance(group, dict):
            options = {option: value for option, value in group.items() if option not in PATTERN_KEYS}
            yield from check_calls(
                f"optimizer.groups.{name}", {"_target_": node["_target_"], "_partial_": True, **options}
            )

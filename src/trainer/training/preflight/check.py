"""Check: all that is wrong with one config, found at once."""

import json
import logging
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from omegaconf import DictConfig

from trainer.config.diagnostics import NEEDED, Mistake, refuse
from trainer.config.launchers import is_elsewhere
from trainer.config.schema import KEYS, OF_MODEL
from trainer.config.value_sources import Layer, layers_of_this_run, place_of
from trainer.core.errors import nearest
from trainer.core.metric_direction import Direction
from trainer.core.warning_filters import quieten
from trainer.training.preflight.call_signatures import mistakes_of_calls
from trainer.training.preflight.consistency import mistakes_of_plan
from trainer.training.preflight.dry_run import KNOWN, rehearse
from trainer.training.preflight.dry_run_cache import Facts, rehearsed
from trainer.training.preflight.environment import mistakes_of_devices, mistakes_of_machine
from trainer.training.preflight.interpolation import MISSING, resolved
from trainer.training.preflight.monitored_metrics import measured_directions
from trainer.training.preflight.unused_settings import without_effect

log = logging.getLogger(__name__)

# keys, at the top ("") or in a group, on which the rehearsal does not depend; jobs that differ in no other are alike
INDIFFERENT = {
    "": {"seed", "tags", "task_name", "outputs", "sweep"},
    "data": {"seed", "data_seed"},
    "callbacks": {"dirpath"},
    "logger": {"save_dir"},
}


def mistakes_of(config: DictConfig) -> tuple[list[Mistake], Facts]:
    """Everything wrong with a config, without the places; jobs of a sweep that are alike are rehearsed once.

    Args:
        config: As composed.

    Returns:
        list[Mistake]: Warnings too.
        dict: What the rehearsal said of the network; empty where there was none.
    """
    values, found = resolved(config)
    if absent := [Mistake(key, NEEDED, f"leave ~{key} out") for key in KEYS if key not in values]:
        return found + absent, {}
    found += [*_no_objects(values), *_unknown_keys(values)]
    found += mistakes_of_calls("", values)
    if found:
        return found, {}  # what has the wrong type can be neither compared nor built
    lacking = [*mistakes_of_devices(values["trainer"])]
    found = [*lacking, *mistakes_of_machine(values), *mistakes_of_plan(values)]
    likeness = json.dumps([_essence(values), [*_versions(values)]], default=str)
    if likeness not in rehearsed or any(each.stops for each in rehearsed[likeness][0]):
        rehearsed[likeness] = rehearse(config)  # what was not right may have been corrected since
    of_rehearsal, facts = rehearsed[likeness]
    # such as a device: once is enough
    told = {key for mistake in found if mistake.stops for key in (mistake.key, mistake.key.partition(".")[0])}
    if is_elsewhere(config):  # where the jobs run there may be such devices; each looks for itself
        found = found[len(lacking) :]
    return found + [mistake for mistake in of_rehearsal if mistake.key not in told], facts


def _essence(values: dict[str, Any]) -> dict[str, Any]:
    """Return all values of a config on which the rehearsal depends."""
    top = {name: node for name, node in values.items() if name not in INDIFFERENT[""]}
    return {name: _without(node, INDIFFERENT.get(name, set())) for name, node in top.items()}


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, dict):
        return {str(name): _without(child, names) for name, child in value.items() if name not in names}
    return value


def _versions(value: Any) -> Iterator[int]:
    """Yield a number for each part of the user's own code that changes when it does, as in a notebook."""
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _versions(child)
    target = value.get("_target_") if isinstance(value, dict) else None
    if target and not target.startswith(KNOWN):
        found = resolve_name(target)
        file = getattr(sys.modules.get(getattr(found, "__module__", "")), "__file__", None)
        yield Path(file).stat().st_mtime_ns if file else id(found)


def check(config: DictConfig) -> float:
    """Refuse a config that cannot run, and say what to look out for in one that can.

    Args:
        config: As composed.

    Returns:
        float: Multiplications in a forward pass, at most; infinite where that cannot be told.

    Raises:
        UserError: Lists every mistake: the key, what is wrong, what to type instead and where it was written.
    """
    found, facts = mistakes_of(config)
    if found or facts.get("unused"):
        layers = layers_of_this_run()
        found = [*placed(found, layers), *without_effect(facts.get("unused", {}), layers)]
    refuse(found)
    for warning in found:
        log.warning(f"warning: {warning}")
    return float(facts.get("work", math.inf))


def directions_stated_in(config: DictConfig) -> dict[str, Direction]:
    """Return the directions that the objective of a config states of its metrics, by their names.

    Raises:
        UserError: An optimized metric is not logged, so that its direction does not matter.
    """
    quieten()
    refuse(each for each in mistakes_of(config)[0] if each.key == "optimized_metric")
    return measured_directions(config)


def placed(found: Sequence[Mistake], layers: Sequence[Layer]) -> list[Mistake]:
    """Mistakes with the places where what is wrong was written."""
    return [each if each.place else replace(each, place=place_of(layers, each.key.split(", ")[0])) for each in found]


def _no_objects(values: dict[str, Any]) -> Iterator[Mistake]:
    """Places where an object is described, and something else stands."""
    model = values["model"] if isinstance(values["model"], dict) else {}
    one = {key: values.get(key) for key in ("data", "objective", "optimizer", "scheduler", "trainer")}
    places = one | {f"model.{key}": model.get(key) for key in ("task", "net")}
    for group in ("callbacks", "logger"):
        members = values[group] or {}
        if isinstance(members, dict):
            places |= {f"{group}.{name}": node for name, node in members.items()}
    for key, node in places.items():
        if node != MISSING and not (isinstance(node, dict) and "_target_" in node):
            group = key.partition(".")[0]
            offer = f"to leave it out: ~{key}" if group in ("callbacks", "logger") else f"a choice is {group}=NAME"
            yield Mistake(key, f"{node!r} describes no object (it has no _target_)", offer)


def _unknown_keys(values: dict[str, Any]) -> Iterator[Mistake]:
    """Keys that a `+` has let in where nothing reads them."""
    model = values["model"] if isinstance(values["model"], dict) else {}
    for before, there, known in (("", values, KEYS), ("model.", model, [*OF_MODEL])):
        for key in there:
            if key not in known:
                yield Mistake(f"{before}{key}", "nothing reads this key", nearest(str(key), known))

"""Check: all that is wrong with one config, found at once."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from omegaconf import DictConfig

from trainer.config import Config
from trainer.errors import did_you_mean
from trainer.mistake import Mistake, refuse
from trainer.origin import Layer, layers_of_this_run, place_of
from trainer.preflight.calls import mistakes_of_calls
from trainer.preflight.machine import mistakes_of_machine
from trainer.preflight.plan import mistakes_of_plan
from trainer.preflight.rehearsal import rehearse
from trainer.preflight.values import MISSING, resolved

log = logging.getLogger(__name__)

KEYS = [field.name for field in fields(Config)]
# whether things fit does not depend on these, wherever they stand; jobs that differ in nothing else are alike
INDIFFERENT = {"seed", "data_seed", "tags", "task_name", "outputs", "dir", "dirpath", "save_dir"}


@dataclass
class Checker:
    """Checks configs; what jobs of a sweep have in common is looked at once.

    Args:
        facts: Filled in: what the last config's rehearsal said of its network.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    _seen: dict[str, tuple[list[Mistake], dict[str, Any]]] = field(default_factory=dict)

    def mistakes(self, config: DictConfig) -> list[Mistake]:
        """Everything wrong with a config, without the places.

        Args:
            config: As composed.
        """
        values, found = resolved(config)
        if absent := [Mistake(key, "every config needs it", f"leave ~{key} out") for key in KEYS if key not in values]:
            return found + absent
        found += [*_no_objects(values), *_unknown_keys(values)]
        found += mistakes_of_calls("", values)
        if found:
            return found  # what has the wrong type can be neither compared nor built
        found = [*mistakes_of_machine(values), *mistakes_of_plan(values)]
        likeness = json.dumps(_essence(values), default=str)
        if likeness not in self._seen:
            self._seen[likeness] = rehearse(config)
        rehearsed, self.facts = self._seen[likeness]
        told = {mistake.key.partition(".")[0] for mistake in found if mistake.stops}
        return found + [mistake for mistake in rehearsed if mistake.key not in told]  # such as a device: once is enough


def _essence(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _essence(child) for name, child in value.items() if name not in INDIFFERENT}
    return value


def check(config: DictConfig) -> None:
    """Refuse a config that cannot run, and say what to look out for in one that can.

    Args:
        config: As composed.

    Raises:
        UserError: Lists every mistake: the key, what is wrong, what to type instead and where it was written.
    """
    found = CHECKER.mistakes(config)
    if found:
        found = placed(found, layers_of_this_run())
    refuse(found)
    for warning in found:
        log.warning(f"warning: {warning}")


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
    known_keys = {"": KEYS, "model": ["task", "net", "monitor"]}
    for parent, known in known_keys.items():
        for key in (values["model"] if isinstance(values["model"], dict) else ()) if parent else values:
            if key not in known:
                offer = did_you_mean(str(key), known).removeprefix("; ")
                yield Mistake(f"{parent}.{key!s}".strip("."), "nothing reads this key", offer)


CHECKER = Checker()  # of this process: the jobs of a sweep are checked before the first one, and again as each begins

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
from trainer.preflight.values import resolved

log = logging.getLogger(__name__)

NUMBERS = (
    "seed",
    "tags",
    "task_name",
    "outputs",
)  # say nothing of whether things fit; jobs that differ in them are alike


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
            config: As composed, without Hydra's own part.
        """
        values, found = resolved(config)
        found += _unknown_keys(values)
        found += mistakes_of_calls("", values)
        if not any(
            mistake.key.startswith(("trainer", "data", "outputs", "callbacks", "scheduler")) for mistake in found
        ):
            found += [*mistakes_of_machine(values), *mistakes_of_plan(values)]
        if any(mistake.stops for mistake in found):
            return found  # what has the wrong type cannot be built
        likeness = json.dumps({name: values[name] for name in values if name not in NUMBERS}, default=str)
        if likeness not in self._seen:
            self._seen[likeness] = rehearse(config)
        rehearsed, self.facts = self._seen[likeness]
        return found + rehearsed


def check(config: DictConfig) -> None:
    """Refuse a config that cannot run, and say what to look out for in one that can.

    Args:
        config: As composed, without Hydra's own part.

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


def _unknown_keys(values: dict[str, Any]) -> Iterator[Mistake]:
    """Keys that a `+` has let in where nothing reads them."""
    known_keys = {"": [field.name for field in fields(Config)], "model": ["task", "net", "monitor"]}
    for parent, known in known_keys.items():
        for key in (values["model"] if isinstance(values["model"], dict) else ()) if parent else values:
            if key not in known:
                offer = did_you_mean(str(key), known).removeprefix("; ")
                yield Mistake(f"{parent}.{key!s}".strip("."), "nothing reads this key", offer)


CHECKER = Checker()  # of this process: the jobs of a sweep are checked before the first one, and again as each begins

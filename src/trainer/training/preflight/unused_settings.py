"""Effects: which parts of a config have no effect, because the task does not use what it is given."""

from collections.abc import Iterator, Sequence
from copy import copy
from functools import partial
from typing import Any
from weakref import ref

from torch import nn

from trainer.config.diagnostics import Mistake
from trainer.config.value_sources import Layer, written_by_user

Unused = dict[str, str]  # the reason, by key


def kind_of(made: Any) -> type:
    """Return the class of an object, which may be one that `Uses` watches."""
    kind = type(made)
    return kind.__base__ or kind if kind.__module__ == __name__ else kind


class Uses:
    """Notes which objects from the config are used, and which attributes of them."""

    def __init__(self) -> None:
        self.noted: set[str] = set()  # "optimizer", "objective", "objective.penalty"
        self._objects: dict[str, Any] = {}  # weak references

    def watch(self, name: str, made: Any) -> Any:
        """Return a copy of an object that notes each use, or the object itself if it cannot be copied so.

        Args:
            name: Its key in the config.
            made: A call that lacks arguments, or any object.
        """

        def note(instance: Any, attribute: str) -> Any:
            if not attribute.startswith("__"):
                self.noted |= {name, f"{name}.{attribute}"}
            return kind.__getattribute__(instance, attribute)

        def call(instance: Any, *given: Any, **more: Any) -> Any:
            self.noted.add(name)
            return kind.__call__(instance, *given, **more)

        kind: Any = type(made)
        try:
            watched = type(kind.__name__, (kind,), {"__getattribute__": note, "__call__": call, "__module__": __name__})
            if isinstance(made, partial):
                again = watched(made.func, *made.args, **made.keywords)
                vars(again).update(vars(made))
            else:
                again = copy(made)
                again.__class__ = watched
            self._objects[name] = ref(again)
        except TypeError:  # a function, or a class that cannot be derived from
            self.noted |= {name, f"{name}.penalty"}
            return made
        return again

    def is_held(self, name: str) -> bool:
        """Return whether something holds the object, and so may still use it."""
        return name not in self._objects or self._objects[name]() is not None


def unused(uses: Uses, task: Any, net: nn.Module, *, configured: bool, stepped: bool) -> Unused:
    """Return what of the config a task does not use, with the reason for each key.

    Args:
        uses: What it has used of optimizer, scheduler and objective.
        task: That was built with them.
        net: That it was built with.
        configured: Whether its `configure_optimizers` was called and has returned.
        stepped: Whether a training step was made.
    """
    name = f"{type(task).__module__}.{type(task).__qualname__}"
    found: Unused = {}
    for key in ("optimizer", "scheduler"):
        if configured and key not in uses.noted:
            found[key] = f"{name} configures its own {key}, or none"
    if "objective" not in uses.noted and not uses.is_held("objective"):
        found["objective"] = f"{name} does not use the objective of the config"
    elif stepped and task.automatic_optimization and "objective.penalty" not in uses.noted:
        found["objective.penalty"] = f"{name} does not add the penalty to its loss"
    if stepped and "compile" not in uses.noted:
        found["compile"] = f"{name} calls parts of the network, and only a network that is called itself is compiled"
    weights = {id(weight) for weight in task.parameters()}
    if any(True for _ in net.parameters()) and not any(id(weight) in weights for weight in net.parameters()):
        found |= dict.fromkeys(("model.net", "compile"), f"{name} does not use the network of the config")
    return found


def without_effect(found: Unused, layers: Sequence[Layer]) -> Iterator[Mistake]:
    """Yield a mistake for each key of these that the user has set.

    Args:
        found: As `unused` returns it.
        layers: What the config is composed of.
    """
    for parent, reason in found.items():
        for entry in written_by_user(layers, parent):
            if parent == "model.net" and entry.place.line:  # a model needs a network, used or not
                continue
            yield Mistake(entry.key, f"has no effect: {reason}", "leave it out", entry.place)

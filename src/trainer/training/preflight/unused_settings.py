"""Detection of settings without effect, because the task does not use the objects that they configure."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from typing import Any, SupportsIndex
from weakref import ref

from torch import nn

from trainer.config.diagnostics import Diagnostic
from trainer.config.value_sources import Layer, find_user_entries
from trainer.task.supervised import Supervised

UnusedSettings = dict[str, str]  # reasons by key
WATCHED_PARTS = ("objective", "optimizer", "scheduler")  # parts of a module whose use is recorded


def get_original_class(instance: Any) -> type:
    """Return the class of an object, also if `UsageTracker` has replaced it."""
    cls = type(instance)
    return cls.__base__ or cls if cls.__module__ == __name__ else cls


class CallRecorder:
    """Forward pre-hook that records calls of the whole network in training, which `compile` replaces.

    Unlike a method of an object with a config, it can be pickled and copied with the network.

    Args:
        used: Set that receives `compile`.
    """

    def __init__(self, used: set[str]) -> None:
        self.used = used

    def __call__(self, net: nn.Module, inputs: Any) -> None:
        if net.training:
            self.used.add("compile")


class UsageTracker:
    """Record of the objects of a config that a task uses, and of their attributes."""

    def __init__(self) -> None:
        self.used: set[str] = set()  # "optimizer", "objective", "objective.penalty"
        self._references: dict[str, Any] = {}  # weak references by name

    def watch(self, name: str, instance: Any) -> Any:
        """Return a copy of an object that records each use, or the object itself if that is impossible.

        Args:
            name: Key in the config.
            instance: Any object, or a `partial`.
        """

        def get_attribute(self_: Any, attribute: str) -> Any:
            if not attribute.startswith("__"):
                self.used |= {name, f"{name}.{attribute}"}
            return cls.__getattribute__(self_, attribute)

        def call(self_: Any, *args: Any, **kwargs: Any) -> Any:
            self.used.add(name)
            return cls.__call__(self_, *args, **kwargs)

        def reduce(_: Any, protocol: SupportsIndex) -> Any:  # Lightning removes hyperparameters without pickle support
            return instance.__reduce_ex__(protocol)

        cls: Any = type(instance)
        namespace = {"__getattribute__": get_attribute, "__call__": call, "__module__": __name__}
        namespace["__reduce_ex__"] = reduce
        try:
            watched_class = type(cls.__name__, (cls,), namespace)
            if isinstance(instance, partial):
                watched = watched_class(instance.func, *instance.args, **instance.keywords)
                vars(watched).update(vars(instance))
            else:
                watched = copy(instance)
                watched.__class__ = watched_class
            self._references[name] = ref(watched)
        except TypeError:  # a function, or a class without subclasses
            self.used |= {name, f"{name}.penalty"}
            return instance
        return watched

    def is_referenced(self, name: str) -> bool:
        """Return True if the object still exists, so that the task may use it later."""
        return name not in self._references or self._references[name]() is not None


def find_unused_settings(
    usage: UsageTracker,
    parts: Mapping[str, Any],
    task: Any,
    data: Any,
    *,
    configured: bool,
    stepped: bool,
    folds: int | None,
) -> UnusedSettings:
    """Return the keys of a config that a task or the split of the data does not use, with reasons.

    Args:
        usage: Record of the task's optimizer, scheduler and objective.
        parts: Arguments of the task that were built from the config.
        task: The task.
        data: The data module.
        configured: Whether `configure_optimizers` has returned.
        stepped: Whether a training step was run.
        folds: Number of folds of a cross-validation; None without one.
    """
    name = f"{type(task).__module__}.{type(task).__qualname__}"
    reason = "the test split is a fold of data.folds"
    unused: UnusedSettings = dict.fromkeys(("data.test_fraction", "data.test_size"), reason) if folds else {}
    for key in ("optimizer", "scheduler"):
        if key not in parts or (configured and key not in usage.used):
            unused[key] = f"{name} configures its own {key}, or none"
    is_unused = "objective" not in usage.used and not usage.is_referenced("objective")
    if "objective" not in parts or is_unused:
        unused["objective"] = f"{name} does not use the objective of the config"
    elif stepped and task.automatic_optimization and "objective.penalty" not in usage.used:
        unused["objective.penalty"] = f"{name} does not add the penalty to its loss"
    has_training_metrics = isinstance(task, Supervised) and hasattr(data, "sample_training_batches")
    if "objective" not in unused and not has_training_metrics:
        unused["objective.training_examples"] = (
            f"{name} with {type(data).__name__} logs no metrics of training examples"
        )
    if stepped and "compile" not in usage.used:
        unused["compile"] = f"{name} calls parts of the network, but only calls of the whole network are compiled"
    weights = {id(weight) for weight in task.parameters()}
    net_weights = {id(weight) for weight in parts["net"].parameters()} if "net" in parts else set()
    if "net" not in parts or (net_weights and not net_weights & weights):
        unused |= dict.fromkeys(("model.net", "compile"), f"{name} does not use the network of the config")
    return unused


def check_unused_settings(unused: UnusedSettings, layers: Sequence[Layer]) -> Iterator[Diagnostic]:
    """Yield an error for each unused key that the user has set.

    Args:
        unused: Result of `find_unused_settings`.
        layers: Sources of the config.
    """
    for parent, reason in unused.items():
        for entry in find_user_entries(layers, parent):
            yield Diagnostic(entry.key, f"has no effect: {reason}", "leave it out", entry.location)

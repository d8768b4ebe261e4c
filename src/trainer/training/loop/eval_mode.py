"""Modes: all modules set to evaluation and back to what they were, without PyTorch's work for each of them."""

from collections.abc import Iterator
from typing import Any

from torch.nn import Module

Modes = list[tuple[dict[str, Any], bool]]  # of each module: its attributes, and whether it was in training


def evaluate(whole: Module) -> Modes | None:
    """Do what `whole.eval()` does; None, and nothing done, where a module has its own way of doing it.

    Args:
        whole: With all modules in it.

    Returns:
        Modes: What `restore` takes.
    """
    modes = []
    for module in _with_all_within(whole):
        kind, own = type(module), vars(module)
        if kind.train is not Module.train or kind.eval is not Module.eval or "training" not in own:
            return None
        modes.append((own, own["training"]))
    for own, _ in modes:
        own["training"] = False
    return modes


def restore(modes: Modes) -> None:
    """Set each module to what it was."""
    for own, training in modes:
        own["training"] = training


def _with_all_within(module: Module) -> Iterator[Module]:
    """A module that is in several places comes several times."""
    yield module
    for child in module._modules.values():
        if child is not None:
            yield from _with_all_within(child)

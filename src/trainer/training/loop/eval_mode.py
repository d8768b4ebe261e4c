"""Fast equivalent of `Module.eval()` that can be undone."""

from collections.abc import Iterator
from typing import Any

from torch.nn import Module

ModuleModes = list[tuple[dict[str, Any], bool]]  # for each module: its attributes, and its previous `training`


def set_eval_mode(root: Module) -> ModuleModes | None:
    """Set a module and all its submodules to evaluation mode, as `root.eval()` does.

    Returns:
        ModuleModes: Argument of `restore_modes`; None, with no mode changed, if a module overrides `train` or `eval`.
    """
    modes = []
    for module in _iterate_modules(root):
        attributes = vars(module)
        is_overridden = type(module).train is not Module.train or type(module).eval is not Module.eval
        if is_overridden or "training" not in attributes:
            return None
        modes.append((attributes, attributes["training"]))
    for attributes, _ in modes:
        attributes["training"] = False
    return modes


def restore_modes(modes: ModuleModes) -> None:
    """Set each module to its previous mode."""
    for attributes, training in modes:
        attributes["training"] = training


def _iterate_modules(module: Module) -> Iterator[Module]:
    """Yield a module and its submodules; shared ones several times, as no set of visited modules is built."""
    yield module
    for child in module._modules.values():
        if child is not None:
            yield from _iterate_modules(child)

"""Detection of display callbacks, which cannot change the metrics of a run and are not part of its fingerprint.

A callback class declares this by the class attribute `affects_training = False`, which its subclasses inherit. A class
without a declaration can change the metrics. No class is imported.
"""

import sys
from typing import Any

DECLARATION_ATTRIBUTE = "affects_training"
LIGHTNING_CALLBACKS_MODULE = "pytorch_lightning.callbacks"
# Lightning's callbacks that only print or write
LIGHTNING_DISPLAY_CALLBACKS = frozenset(
    {
        *("ProgressBar", "RichProgressBar", "TQDMProgressBar", "ModelSummary", "RichModelSummary"),
        *("DeviceStatsMonitor", "LearningRateMonitor", "ThroughputMonitor"),
        *("BasePredictionWriter", "OnExceptionCheckpoint"),
    }
)


def affects_training(target: str) -> bool:
    """Return whether the callback of a `_target_` can change the metrics of a run.

    Args:
        target: Dotted path of a class or function; the result for a function is True.
    """
    module, _, name = target.rpartition(".")
    imported = getattr(sys.modules.get(module), "__dict__", {}).get(name)
    if isinstance(imported, type):
        return _read_class_declaration(imported) is not False
    return _read_source_declaration(target) is not False


def is_display(callback: Any) -> bool:
    """Return whether the class of a callback declares that it cannot change the metrics of a run."""
    return _read_class_declaration(type(callback)) is False


def _read_class_declaration(cls: type) -> bool | None:
    """Return the declaration of an imported class, or None if it has none."""
    for base in cls.__mro__:
        if DECLARATION_ATTRIBUTE in vars(base):
            return bool(vars(base)[DECLARATION_ATTRIBUTE])
        if _is_lightning_display(base.__module__, base.__name__):
            return False
    return None


def _read_source_declaration(target: str) -> bool | None:
    """Return the declaration in the source of a class or its nearest base class, or None if there is none."""
    import griffe  # slow, and not needed for imported classes

    from trainer.config.introspection.source_lookup import iter_class_hierarchy, locate

    cls = locate(target)
    for base in iter_class_hierarchy(cls) if isinstance(cls, griffe.Class) else ():
        if base and isinstance(declaration := base.members.get(DECLARATION_ATTRIBUTE), griffe.Attribute):
            return str(declaration.value) != "False"
        if base and _is_lightning_display(base.module.path, base.name):
            return False
    return None


def _is_lightning_display(module: str, name: str) -> bool:
    return module.startswith(LIGHTNING_CALLBACKS_MODULE) and name in LIGHTNING_DISPLAY_CALLBACKS

"""Display callbacks: those that cannot change the numbers of a run, and so have no part in its identity.

A callback class declares it by the class attribute `affects_training = False`, which its subclasses inherit. Those of
Lightning are listed here. A class without a declaration counts as one that can change the numbers. No class is imported
for this.
"""

import ast
import sys
from functools import cache
from pathlib import Path
from typing import Any

from trainer.config.introspection.module_finder import file_of

ATTRIBUTE = "affects_training"
LIGHTNING = "pytorch_lightning.callbacks"
# Lightning's callbacks that show or write, and neither change weights nor stop the training
LIGHTNING_DISPLAY = frozenset(
    {
        *("ProgressBar", "RichProgressBar", "TQDMProgressBar", "ModelSummary", "RichModelSummary"),
        *("DeviceStatsMonitor", "LearningRateMonitor", "ThroughputMonitor"),
        *("BasePredictionWriter", "OnExceptionCheckpoint"),
    }
)
MAX_BASES = 12  # base classes and re-exports that are followed


def affects_training(target: str) -> bool:
    """Return whether the callback that a `_target_` names can change the numbers of a run.

    Args:
        target: Dotted path of a class, or of a function, which counts as one that can.
    """
    module, _, name = target.rpartition(".")
    declared = _declared_by_class(getattr(sys.modules.get(module), "__dict__", {}).get(name))
    return declared if declared is not None else _declared_in_source(module, name, MAX_BASES) is not False


def _declared_by_class(found: Any) -> bool | None:
    """The declaration of a class that is imported already; None if there is none."""
    for base in getattr(found, "__mro__", ()):
        if ATTRIBUTE in vars(base):
            return bool(vars(base)[ATTRIBUTE])
        if _is_lightning_display(base.__module__, base.__name__):
            return False
    return None


def _declared_in_source(module: str, name: str, depth: int) -> bool | None:
    """The declaration of a class, or of the nearest of its base classes, by their source; None if there is none."""
    if module.startswith(LIGHTNING) or not depth:
        return False if _is_lightning_display(module, name) else None
    file = file_of(module) if module else None
    if file is None or not file.is_file():
        return None
    imported, classes = _names_in(file, module, file.stat().st_mtime_ns)
    if name in classes:
        declared, bases = classes[name]
        places = [] if declared is not None else [_place_of(base, module, imported) for base in bases]
    else:
        declared, places = None, [imported[name]] if name in imported else []
    for place in places:
        home, _, own_name = place.rpartition(".")
        declared = _declared_in_source(home, own_name, depth - 1)
        if declared is not None:
            break
    return declared


def _is_lightning_display(module: str, name: str) -> bool:
    return module.startswith(LIGHTNING) and name in LIGHTNING_DISPLAY


def _place_of(name: str, module: str, imported: dict[str, str]) -> str:
    """The full path of what a name means in a module."""
    head, _, rest = name.partition(".")
    place = imported.get(head, f"{module}.{head}")
    return f"{place}.{rest}" if rest else place


@cache
def _names_in(file: Path, module: str, changed: int) -> tuple[dict[str, str], dict[str, tuple[bool | None, list[str]]]]:
    """The imported names of a module with their full paths; its classes with declaration and base classes.

    Args:
        file: Of the module.
        module: Its name, which relative imports are relative to.
        changed: When the file was written; after a change it is read again.
    """
    try:
        statements = ast.parse(file.read_text("utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return {}, {}
    imported = dict[str, str]()
    classes = dict[str, tuple[bool | None, list[str]]]()
    above = module.split(".")[: None if file.name == "__init__.py" else -1]
    for node in statements:
        if isinstance(node, ast.Import):
            for each in node.names:
                head = each.name.partition(".")[0]
                imported[each.asname or head] = each.name if each.asname else head
        elif isinstance(node, ast.ImportFrom):
            package = above[: len(above) - node.level + 1] if node.level else []
            source = ".".join([*package, *([node.module] if node.module else [])])
            imported |= {each.asname or each.name: f"{source}.{each.name}" for each in node.names}
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = _declaration(node), [ast.unparse(base) for base in node.bases]
    return imported, classes


def _declaration(node: ast.ClassDef) -> bool | None:
    """What the body of a class says; None if nothing."""
    for each in node.body:
        targets = (
            each.targets if isinstance(each, ast.Assign) else [each.target] if isinstance(each, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == ATTRIBUTE for target in targets):
            value = getattr(each, "value", None)
            return not (isinstance(value, ast.Constant) and value.value is False)
    return None

"""Detection of display callbacks, which cannot change the metrics of a run and are not part of its fingerprint.

A callback class declares this by the class attribute `affects_training = False`, which its subclasses inherit. A class
without a declaration can change the metrics. No class is imported.
"""

import ast
import sys
from functools import cache
from pathlib import Path
from typing import Any

from trainer.config.introspection.module_finder import find_source_file

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
MAX_LOOKUP_DEPTH = 12  # of base classes and re-exports


def affects_training(target: str) -> bool:
    """Return whether the callback of a `_target_` can change the metrics of a run.

    Args:
        target: Dotted path of a class or function; the result for a function is True.
    """
    module, _, name = target.rpartition(".")
    declared = _read_class_declaration(getattr(sys.modules.get(module), "__dict__", {}).get(name))
    return declared if declared is not None else _read_source_declaration(module, name, MAX_LOOKUP_DEPTH) is not False


def is_display(callback: Any) -> bool:
    """Return whether the class of a callback declares that it cannot change the metrics of a run."""
    return _read_class_declaration(type(callback)) is False


def _read_class_declaration(cls: Any) -> bool | None:
    """Return the declaration of an imported class, or None if it has none."""
    for base in getattr(cls, "__mro__", ()):
        if DECLARATION_ATTRIBUTE in vars(base):
            return bool(vars(base)[DECLARATION_ATTRIBUTE])
        if _is_lightning_display(base.__module__, base.__name__):
            return False
    return None


def _read_source_declaration(module: str, name: str, depth: int) -> bool | None:
    """Return the declaration in the source of a class or its nearest base class, or None if there is none."""
    if module.startswith(LIGHTNING_CALLBACKS_MODULE) or not depth:
        return False if _is_lightning_display(module, name) else None
    file = find_source_file(module) if module else None
    if file is None or not file.is_file():
        return None
    imports, classes = _parse_module(file, module, file.stat().st_mtime_ns)
    if name in classes:
        declared, bases = classes[name]
        if declared is not None:
            return declared
        paths = [_resolve_name(base, module, imports) for base in bases]
    else:
        paths = [imports[name]] if name in imports else []
    for path in paths:
        base_module, _, base_name = path.rpartition(".")
        declared = _read_source_declaration(base_module, base_name, depth - 1)
        if declared is not None:
            return declared
    return None


def _is_lightning_display(module: str, name: str) -> bool:
    return module.startswith(LIGHTNING_CALLBACKS_MODULE) and name in LIGHTNING_DISPLAY_CALLBACKS


def _resolve_name(name: str, module: str, imports: dict[str, str]) -> str:
    """Return the full path of a name used in a module."""
    head, dot, tail = name.partition(".")
    return imports.get(head, f"{module}.{head}") + dot + tail


@cache
def _parse_module(
    file: Path, module: str, mtime: int
) -> tuple[dict[str, str], dict[str, tuple[bool | None, list[str]]]]:
    """Return the imported names of a module with their full paths, and its classes with declaration and base classes.

    Args:
        file: File of the module.
        module: Name of the module, for relative imports.
        mtime: Modification time of the file, part of the cache key.
    """
    try:
        statements = ast.parse(file.read_text("utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return {}, {}
    imports = dict[str, str]()
    classes = dict[str, tuple[bool | None, list[str]]]()
    parents = module.split(".")[: None if file.name == "__init__.py" else -1]
    for node in statements:
        if isinstance(node, ast.Import):
            for alias in node.names:
                head = alias.name.partition(".")[0]
                imports[alias.asname or head] = alias.name if alias.asname else head
        elif isinstance(node, ast.ImportFrom):
            package = parents[: len(parents) - node.level + 1] if node.level else []
            source = ".".join([*package, *([node.module] if node.module else [])])
            imports |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = _parse_declaration(node), [ast.unparse(base) for base in node.bases]
    return imports, classes


def _parse_declaration(cls: ast.ClassDef) -> bool | None:
    for node in cls.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == DECLARATION_ATTRIBUTE for target in targets):
            return not (isinstance(node.value, ast.Constant) and node.value.value is False)
    return None

"""Compatibility of models and data sets, read from their source: `spec.require` calls and the kind in a `DataSpec`.

A network calls `spec.require("cnn", "image")` in its constructor; the `spec` of a data set returns
`DataSpec("mnist", "image", ...)` or `make_classification_spec("mnist", "image", ...)`. None is executed. Kinds that are
not string literals are unknown.
"""

import ast

import griffe

from trainer.config.introspection.group_options import Choice
from trainer.config.introspection.source_lookup import find_method, iter_class_hierarchy, locate


def find_required_kinds(target: str) -> list[str] | None:
    """Return the input kinds that a network's constructor requires, or None if they are unknown."""
    for call in _find_calls(target, "__init__", "require"):
        kinds = [ast.literal_eval(arg) for arg in call.args[1:] if isinstance(arg, ast.Constant)]
        return kinds if len(kinds) == len(call.args) - 1 else None
    return None


def find_provided_kind(target: str) -> str | None:
    """Return the input kind of a data set, or None if it is unknown."""
    kinds = set()
    for call in _find_calls(target, "spec", "DataSpec", "make_classification_spec"):
        args = [*(keyword.value for keyword in call.keywords if keyword.arg == "kind"), *call.args[1:2]]
        kinds.add(args[0].value if args and isinstance(args[0], ast.Constant) else None)
    return str(kinds.pop()) if len(kinds) == 1 and None not in kinds else None


def find_kinds(choice: Choice) -> list[str] | None:
    """Return the kinds that a choice of `model` reads or a choice of `data` provides, or None if they are unknown."""
    if not choice.is_readable:
        return None
    if choice.group == "model":
        return find_required_kinds(str((choice.content.get("net") or {}).get("_target_")))
    kind = find_provided_kind(str(choice.content.get("_target_")))
    return [kind] if kind else None


def find_compatible(choice: Choice, others: list[Choice]) -> tuple[list[str], list[str]]:
    """Return the names of the compatible choices of the other group, and of those whose kinds are unknown.

    Templates for classes of the user are left out.
    """
    kinds = find_kinds(choice)
    other_kinds = {other.name: find_kinds(other) for other in others if not other.is_template}
    if kinds is None:
        return [], [*other_kinds]
    compatible = [name for name, values in other_kinds.items() if values and {*values} & {*kinds}]
    return compatible, [name for name, values in other_kinds.items() if values is None]


def _find_calls(target: str, method: str, *functions: str) -> list[ast.Call]:
    """Return the calls of functions in a class's method, or in that of the nearest base class that has any."""
    member = locate(target)
    for cls in iter_class_hierarchy(member) if isinstance(member, griffe.Class) else ():
        body = find_method(cls, method) if cls else None
        nodes = [node for node in ast.walk(body) if isinstance(node, ast.Call)] if body else []
        calls = [node for node in nodes if ast.unparse(node.func).rpartition(".")[2] in functions]
        if calls:
            return calls
    return []

"""Which data a network takes, told from its source: the words of `spec.require`, and the kind in a `DataSpec`.

A network begins with `spec.require("cnn", "image")`, and a data set's `spec` makes `DataSpec("mnist", "image", ...)`.
Neither is run here. What is not written as plain words cannot be told this way, and is said to be unknown.
"""

import ast

import griffe

from trainer.config.introspection.group_options import Choice
from trainer.config.introspection.source_lookup import body_of, lineage, locate


def kinds_taken(target: str) -> list[str] | None:
    """The kinds of input that a network's constructor requires; None where it does not say."""
    for call in _calls(target, "__init__", "require"):
        kinds = [ast.literal_eval(each) for each in call.args[1:] if isinstance(each, ast.Constant)]
        return kinds if len(kinds) == len(call.args) - 1 else None
    return None


def kind_given(target: str) -> str | None:
    """The kind of input that a data set promises; None where its `spec` does not say."""
    kinds = set()
    for call in _calls(target, "spec", "DataSpec"):
        by_name = [keyword.value for keyword in call.keywords if keyword.arg == "kind"]
        kind = [*by_name, *call.args[1:2]]
        kinds.add(kind[0].value if kind and isinstance(kind[0], ast.Constant) else None)
    return str(kinds.pop()) if len(kinds) == 1 and None not in kinds else None


def kinds_of(choice: Choice) -> list[str] | None:
    """The kinds that a choice of `model` takes, or the one that a choice of `data` gives; None where it is unknown."""
    if not choice.is_readable:
        return None
    if choice.group == "model":
        return kinds_taken(str((choice.content.get("net") or {}).get("_target_")))
    kind = kind_given(str(choice.content.get("_target_")))
    return [kind] if kind else None


def fitting(choice: Choice, others: list[Choice]) -> tuple[list[str], list[str]]:
    """Which of the other side go with a model or a data set.

    Returns:
        Names of those that do, and of those of which it is unknown.
    """
    mine = kinds_of(choice)
    theirs = {other.name: kinds_of(other) for other in others}
    if mine is None:
        return [], [*theirs]
    fit = [name for name, kinds in theirs.items() if kinds and {*kinds} & {*mine}]
    return fit, [name for name, kinds in theirs.items() if kinds is None]


def _calls(target: str, method: str, function: str) -> list[ast.Call]:
    """The calls of a function in a class's method, or in that of the nearest base class that has any."""
    cls = locate(target)
    for each in lineage(cls) if isinstance(cls, griffe.Class) else ():
        body = body_of(each, method) if each else None
        nodes = [node for node in ast.walk(body) if isinstance(node, ast.Call)] if body else []
        calls = [node for node in nodes if ast.unparse(node.func).rpartition(".")[2] == function]
        if calls:
            return calls
    return []

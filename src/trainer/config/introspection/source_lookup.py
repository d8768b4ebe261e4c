"""Python files, found and parsed without being imported, and what a dotted name in one of them stands for."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe

from trainer.config.introspection.module_finder import file_of

# classes that stand in many signatures and in large files: these need not be read to see that they are classes
CLASSES = {
    "torch.Tensor",
    "torch.device",
    "torch.nn.Module",
    "torch.optim.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "pytorch_lightning.LightningModule",
    "pytorch_lightning.Trainer",
}
DEEPEST = 12  # re-exports that a name is followed through


def parsed(name: str) -> griffe.Module | None:
    """What a module defines and imports; None where it has no Python file, or one that is no Python."""
    file = file_of(name)
    return _parsed(name, file) if file else None


@cache
def _parsed(name: str, file: Path) -> griffe.Module | None:
    package, _, own_name = name.rpartition(".")
    try:
        return griffe.visit(own_name, file, file.read_text("utf-8"), parent=_package(package))
    except (SyntaxError, ValueError, OSError):
        return None


def syntax(module: griffe.Module) -> list[ast.stmt]:
    """The statements of a module that `parsed` has read."""
    assert isinstance(module.filepath, Path)
    return _syntax(module.filepath)


@cache
def _syntax(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text("utf-8")).body


@cache
def _package(name: str) -> griffe.Module | None:
    """A package in name only, unread: what relative imports below it are relative to."""
    above, _, own_name = name.rpartition(".")
    return griffe.Module(own_name, filepath=file_of(name), parent=_package(above)) if name else None


def locate(target: str, depth: int = 0) -> griffe.Object | None:
    """The class, function or value that a dotted path names, wherever it was defined.

    Args:
        target: Such as `"torch.optim.Adam"`, which stands in `torch/optim/adam.py`.
        depth: Re-exports that have been followed so far.

    Returns:
        None where there is no such thing, or where it is not written in Python.
    """
    names = target.split(".")
    for end in range(len(names) - 1, 0, -1):
        module = parsed(".".join(names[:end]))
        if module and depth < DEEPEST:
            return _member(module, names[end:], depth)
    return None


def _member(within: griffe.Module | griffe.Class, names: list[str], depth: int) -> griffe.Object | None:
    found = within.members.get(names[0])
    if found is None:
        aliases = [each for each in within.members.values() if isinstance(each, griffe.Alias) and each.wildcard]
        places = [".".join([each.target_path, *names]) for each in aliases]
        return next((it for place in places if (it := locate(place, depth + 1))), None)
    if isinstance(found, griffe.Alias):
        return locate(".".join([found.target_path, *names[1:]]), depth + 1)
    if isinstance(found, griffe.Class) and names[1:]:
        return _member(found, names[1:], depth)
    return None if names[1:] or isinstance(found, griffe.Module) else found


def names_in(module: str) -> list[str]:
    """The public names that a module has by its source."""
    found = parsed(module) if module else None
    return [name for name in found.members if not name.startswith("_") and "/" not in name] if found else []


def absolute(name: str, module: griffe.Module) -> str:
    """The full path of what a name means in a module: `Tensor` is `torch.Tensor` where that was imported."""
    head, _, rest = name.partition(".")
    found = module.members.get(head)
    if found is None:
        return name
    path = found.target_path if isinstance(found, griffe.Alias) else f"{module.path}.{head}"
    return f"{path}.{rest}" if rest else path


def lineage(cls: griffe.Class) -> Iterator[griffe.Class | None]:
    """A class and what it inherits from, nearest first, each read when it is asked for; None for one not in Python."""
    yield cls
    for base in cls.bases:
        path = absolute(str(base).partition("[")[0], cls.module)
        if path.startswith(("typing.", "abc.", "object")):
            continue
        found = locate(path)
        if isinstance(found, griffe.Class):
            yield from lineage(found)
        else:
            yield None


def body_of(cls: griffe.Class, name: str) -> ast.FunctionDef | None:
    """The statements of a method or property that a class itself defines."""
    nodes = syntax(cls.module)
    for part in cls.path.removeprefix(f"{cls.module.path}.").split("."):
        nodes = next((node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == part), [])
    return next((node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name), None)

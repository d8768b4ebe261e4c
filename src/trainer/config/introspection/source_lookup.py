"""Lookup and parsing of Python files and dotted names without importing them."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe

from trainer.config.introspection.module_finder import find_source_file

# classes of many signatures, defined in large files that need not be parsed to expand aliases
KNOWN_CLASSES = {
    "torch.Tensor",
    "torch.device",
    "torch.nn.Module",
    "torch.optim.Optimizer",
    "torch.optim.lr_scheduler.LRScheduler",
    "pytorch_lightning.LightningModule",
    "pytorch_lightning.Trainer",
}
MAX_ALIAS_DEPTH = 12  # re-exports that are followed


def parse_module(name: str) -> griffe.Module | None:
    """Return the definitions and imports of a module, or None if it has no valid Python file."""
    file = find_source_file(name)
    return _parse_file(name, file) if file else None


@cache
def _parse_file(name: str, file: Path) -> griffe.Module | None:
    package, _, stem = name.rpartition(".")
    try:
        return griffe.visit(stem, file, file.read_text("utf-8"), parent=_build_package(package))
    except (SyntaxError, ValueError, OSError):
        return None


def parse_statements(module: griffe.Module) -> list[ast.stmt]:
    """Return the statements of a module that `parse_module` returned."""
    assert isinstance(module.filepath, Path)
    return _parse_statements(module.filepath)


@cache
def _parse_statements(file: Path) -> list[ast.stmt]:
    return ast.parse(file.read_text("utf-8")).body


@cache
def _build_package(name: str) -> griffe.Module | None:
    """Return an empty module for a package, to resolve relative imports below it."""
    parent, _, stem = name.rpartition(".")
    return griffe.Module(stem, filepath=find_source_file(name), parent=_build_package(parent)) if name else None


def locate(target: str, depth: int = 0) -> griffe.Object | None:
    """Return the class, function or value of a dotted path, or None if it does not exist or is not written in Python.

    Args:
        target: Dotted path, such as `"torch.optim.Adam"`, which is defined in `torch/optim/adam.py`.
        depth: Number of re-exports followed so far. Defaults to 0.
    """
    names = target.split(".")
    for end in range(len(names) - 1, 0, -1):
        module = parse_module(".".join(names[:end]))
        if module and depth < MAX_ALIAS_DEPTH:
            return _find_member(module, names[end:], depth)
    return None


def _find_member(parent: griffe.Module | griffe.Class, names: list[str], depth: int) -> griffe.Object | None:
    member = parent.members.get(names[0])
    if member is None:
        aliases = [item for item in parent.members.values() if isinstance(item, griffe.Alias) and item.wildcard]
        members = (locate(".".join([alias.target_path, *names]), depth + 1) for alias in aliases)
        return next(filter(None, members), None)
    if isinstance(member, griffe.Alias):
        return locate(".".join([member.target_path, *names[1:]]), depth + 1)
    if isinstance(member, griffe.Class) and names[1:]:
        return _find_member(member, names[1:], depth)
    return None if names[1:] or isinstance(member, griffe.Module) else member


def list_public_names(module: str) -> list[str]:
    """Return the public names that a module defines or imports."""
    parsed = parse_module(module) if module else None
    return [name for name in parsed.members if not name.startswith("_") and "/" not in name] if parsed else []


def qualify_name(name: str, module: griffe.Module) -> str:
    """Return the full path of a name in a module: `torch.Tensor` for `Tensor` if it is imported from torch."""
    head, _, rest = name.partition(".")
    member = module.members.get(head)
    if member is None:
        return name
    path = member.target_path if isinstance(member, griffe.Alias) else f"{module.path}.{head}"
    return f"{path}.{rest}" if rest else path


def iter_class_hierarchy(cls: griffe.Class) -> Iterator[griffe.Class | None]:
    """Yield a class and its base classes lazily, nearest first; None for a base class not written in Python."""
    yield cls
    for base in cls.bases:
        path = qualify_name(str(base).partition("[")[0], cls.module)
        if path.startswith(("typing.", "abc.", "object")):
            continue
        member = locate(path)
        if isinstance(member, griffe.Class):
            yield from iter_class_hierarchy(member)
        else:
            yield None


def find_method(cls: griffe.Class, name: str) -> ast.FunctionDef | None:
    """Return the syntax tree of a method or property that a class itself defines, or None without one."""
    nodes = parse_statements(cls.module)
    for part in cls.path.removeprefix(f"{cls.module.path}.").split("."):
        nodes = next((node.body for node in nodes if isinstance(node, ast.ClassDef) and node.name == part), [])
    return next((node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name), None)

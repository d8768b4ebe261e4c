"""Equivalence of `lightning` and `pytorch_lightning`, two names of the same library, for the user's code.

The two packages have different classes, and only those of `pytorch_lightning` run here. So `import lightning` imports
them in this process, whichever is installed.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "lightning"
PACKAGES = {f"{PACKAGE}.pytorch": "pytorch_lightning", f"{PACKAGE}.fabric": "lightning_fabric"}


def install_lightning_alias() -> None:
    """Let later imports of `lightning` import `pytorch_lightning`; no effect if `lightning` is imported already."""
    if PACKAGE not in sys.modules and not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AliasFinder())


def resolve_alias(name: str) -> str:
    """Return the name of a module or its attribute in the package that `lightning` stands for."""
    for alias, package in PACKAGES.items():
        if name == alias or name.startswith(f"{alias}."):
            return package + name.removeprefix(alias)
    return name


class _AliasFinder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != PACKAGE and resolve_alias(name) == name:
            return None
        return ModuleSpec(name, _AliasLoader(), is_package=True)


class _AliasLoader(Loader):
    """Loader that returns an imported module under another name."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        if spec.name == PACKAGE:
            return _TopLevelPackage(spec.name)
        module = import_module(resolve_alias(spec.name))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        if not isinstance(module, _TopLevelPackage):
            module.__spec__ = self._spec  # the import system has replaced it


class _TopLevelPackage(ModuleType):
    """The module `lightning`, which exports the main classes of both packages."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(import_module("lightning_fabric" if name == "Fabric" else "pytorch_lightning"), name)

"""Finder of the files of modules, which imports none of them."""

import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path


def origin_of(name: str) -> Path | None:
    """Return the file of a module, compiled ones included; None if there is none."""
    spec = _spec_of(name, (*sys.path,))
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def file_of(name: str) -> Path | None:
    """Return the Python file of a module; None if there is none, as for compiled modules."""
    origin = origin_of(name)
    return origin if origin and origin.suffix == ".py" else None


@cache
def _spec_of(name: str, search: tuple[str, ...]) -> ModuleSpec | None:
    """Where a module lies; its packages are looked up in folders, and not imported as `find_spec` would.

    Args:
        name: Dotted.
        search: Folders; an answer is kept for as long as they are the same.
    """
    package, _, _ = name.rpartition(".")
    try:
        if not package:
            return PathFinder.find_spec(name, search) or find_spec(name)  # the latter asks what installers have added
        above = _spec_of(package, search)
        folders = above.submodule_search_locations if above else None
        return PathFinder.find_spec(name, [*folders]) if folders else None
    except (ImportError, ValueError):  # a finder's own trouble; a module without a spec, such as __main__
        return None

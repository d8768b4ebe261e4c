"""Source files of modules, found without importing them."""

import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path


def find_module_file(name: str) -> Path | None:
    """Return the file of a module, which may be a compiled one, or None if there is none.

    The working directory is searched last, as in a run.
    """
    spec = _find_module_spec(name, (*sys.path, str(Path.cwd())))
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def find_source_file(name: str) -> Path | None:
    """Return the Python file of a module, or None if there is none, as for compiled modules."""
    file = find_module_file(name)
    return file if file and file.suffix == ".py" else None


@cache
def _find_module_spec(name: str, search_path: tuple[str, ...]) -> ModuleSpec | None:
    """Return the spec of a module without importing its packages, unlike `find_spec`.

    Args:
        name: Dotted name.
        search_path: Directories to search; part of the cache key.
    """
    package, _, _ = name.rpartition(".")
    try:
        if not package:
            # `find_spec` asks the finders of editable installs
            return PathFinder.find_spec(name, search_path) or find_spec(name)
        parent = _find_module_spec(package, search_path)
        directories = parent.submodule_search_locations if parent else None
        return PathFinder.find_spec(name, [*directories]) if directories else None
    except (ImportError, ValueError):  # error of a finder, or a module without a spec, such as __main__
        return None

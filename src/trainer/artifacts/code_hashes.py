"""Hashes of the files that a run has imported, and detection of files that have changed.

A file is named by its path below its import directory: `my_code.py`, `my_package/networks.py`,
`trainer/training/run.py`. Files that were not imported, such as tests and documents, are ignored.
"""

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from trainer.config.introspection.module_finder import find_module_file
from trainer.core.errors import display_path

PACKAGE = "trainer"
PACKAGE_PREFIXES = (f"{PACKAGE}/", f"{PACKAGE}_command.py", f"hydra_plugins/{PACKAGE}_")
HASH_DIGITS = 16
STDLIB_PREFIX = f"{Path(os.__file__).parent}{os.sep}"
SITE_PACKAGES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# packages that a config may name; they are identified by their version
VERSIONED_PACKAGES = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning")

_listed: dict[str, Any] = {}  # last result of `list_imported_files`, and its packages and modules
_hashes: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()  # of each file when it was first read


@dataclass(frozen=True)
class ImportedFile:
    """File that this process has imported.

    Args:
        name: Path below its import directory.
        file: Absolute path.
        hash: Hash of the content when it was first read; later changes do not affect this process.
    """

    name: str
    file: Path
    hash: str

    @property
    def is_user_code(self) -> bool:
        """Return whether the file belongs to the user, not to this package or an installed one."""
        return not self.name.startswith(PACKAGE_PREFIXES) and not is_installed(str(self.file))

    @property
    def import_directory(self) -> Path:
        """Return the directory that the file is imported from."""
        return self.file.parents[self.name.count("/")]


def list_imported_files(targets: Iterable[str] = ()) -> list[ImportedFile]:
    """Return the imported files of this package, of the user and of the packages that a config names, sorted by name.

    Args:
        targets: Dotted paths in the config.
    """
    packages = {target.partition(".")[0] for target in targets} - {*VERSIONED_PACKAGES} | {PACKAGE}
    if _listed.get("packages") == packages and _listed["modules"] == sys.modules:  # nothing was imported since
        return [*_listed["files"]]
    modules = {**sys.modules}
    files = []
    for name, module in _iter_modules(packages):
        file = Path(module.__dict__["__file__"])
        if module not in _hashes:
            _hashes[module] = hash_file(file)
        depth = name.count(".") + (file.name == "__init__.py")
        files.append(ImportedFile("/".join(file.parts[-depth - 1 :]), file, _hashes[module]))
    files.sort(key=lambda item: item.name)
    _listed.update(packages=packages, modules=modules, files=[*files])
    return files


def find_changed_files(code: Mapping[str, str], directories: Sequence[str] = ()) -> list[str]:
    """Return a description of each file that has changed.

    Args:
        code: Hashes by name, from an earlier process.
        directories: Import directories of that process. A file in them that is no longer imported is unchanged.
    """
    changes = []
    for name, digest in code.items():
        module = to_module_name(name)
        candidates = [find_module_file(module), *(Path(directory, name) for directory in directories)]
        file = next((candidate for candidate in candidates if candidate and candidate.is_file()), None)
        if file is None:
            changes.append(f"{name}: missing")
        elif hash_file(file) != digest:
            changes.append(f"{display_path(file)}: changed")
        elif module in sys.modules and _hashes.get(sys.modules[module], digest) != digest:
            changes.append(f"{display_path(file)}: changed since this process imported it")
    return changes


def list_import_directories(code: Iterable[ImportedFile]) -> list[str]:
    """Return the import directories of the user's files."""
    return list(dict.fromkeys(str(item.import_directory) for item in code if item.is_user_code))


def hash_file(file: Path) -> str:
    """Return the first digits of the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:HASH_DIGITS]


def to_module_name(name: str) -> str:
    """Return the module that a file contains: `my_package` for `my_package/__init__.py`."""
    directory, _, file = name.rpartition("/")
    parts = [*directory.split("/"), file.partition(".")[0]] if directory else [file.partition(".")[0]]
    return ".".join(parts).removesuffix(".__init__")


def is_installed(file: str) -> bool:
    """Return whether a file belongs to Python or to an installed package."""
    return file.startswith(STDLIB_PREFIX) or any(directory in file for directory in SITE_PACKAGES)


def _iter_modules(packages: set[str]) -> Iterator[tuple[str, ModuleType]]:
    """Yield the modules that are not installed, and all modules of `packages`."""
    modules = {**sys.modules}
    ignored = {
        name
        for name in modules
        if "." not in name and (name.startswith("__") or is_installed(_get_module_file(modules[name])))
    }
    ignored -= packages
    for name, module in modules.items():
        package = name.partition(".")[0]
        if package in ignored:
            continue
        file = _get_module_file(module)
        if file and (package in packages or not is_installed(file)) and os.path.isfile(file):
            yield name, module


def _get_module_file(module: ModuleType) -> str:
    """Return the file of a module; "" if it has none, as a namespace package."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else ""

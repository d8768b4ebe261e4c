"""Code of a run: the hashes of the files that it has imported, and which of them are others now.

A file is named by its path below the folder that it is imported from: `my_code.py`, `my_package/networks.py`,
`trainer/training/run.py`. Only files that were imported count, so that tests and documents may change.
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

from trainer.config.introspection.module_finder import origin_of
from trainer.core.errors import shown

PACKAGE = "trainer"
OF_PACKAGE = (f"{PACKAGE}/", f"hydra_plugins/{PACKAGE}_")
HASH_DIGITS = 16
LIBRARY = f"{Path(os.__file__).parent}{os.sep}"  # of Python itself
INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
# packages of which a config may name classes, and which are known by their version
KNOWN = ("torch", "torchvision", "torchmetrics", "pytorch_lightning", "lightning")

_hashes: WeakKeyDictionary[ModuleType, str] = WeakKeyDictionary()  # of each file when it was first asked for


@dataclass(frozen=True)
class Imported:
    """A file that this process has imported.

    Args:
        name: Its path below the folder that it is imported from.
        file: Where it is.
        hash: Of its content when it was first asked for: what changes later is not what this process runs.
    """

    name: str
    file: Path
    hash: str

    @property
    def is_own(self) -> bool:
        """Whether it is the user's, and neither of this package nor of an installed one."""
        return not self.name.startswith(OF_PACKAGE) and not is_installed(str(self.file))

    @property
    def folder(self) -> Path:
        """The folder that it is imported from."""
        return self.file.parents[self.name.count("/")]


def imported_code(targets: Iterable[str] = ()) -> list[Imported]:
    """Return the imported files of this package, of the user and of the packages that a config names, by name.

    Args:
        targets: Dotted paths that the config names.
    """
    packages = {target.partition(".")[0] for target in targets} - {*KNOWN} | {PACKAGE}
    found = []
    for name, module in _modules(packages):
        file = Path(module.__dict__["__file__"])
        if module not in _hashes:
            _hashes[module] = hash_of(file)
        count = name.count(".") + (file.name == "__init__.py")
        found.append(Imported("/".join(file.parts[-count - 1 :]), file, _hashes[module]))
    return sorted(found, key=lambda each: each.name)


def changed_files(code: Mapping[str, str], folders: Sequence[str] = ()) -> list[str]:
    """Return the files that are not what they were, each with what has happened to it.

    Args:
        code: Hashes by name, of an earlier process.
        folders: That it has imported the user's files from; a file that is still there and that nothing imports now
            has not changed.
    """
    found = []
    for name, digest in code.items():
        module = module_of(name)
        places = [origin_of(module), *(Path(folder, name) for folder in folders)]
        file = next((place for place in places if place and place.is_file()), None)
        if file is None:
            found.append(f"{name}: missing")
        elif hash_of(file) != digest:
            found.append(f"{shown(file)}: changed")
        elif module in sys.modules and _hashes.get(sys.modules[module], digest) != digest:
            found.append(f"{shown(file)}: changed since this process has imported it")
    return found


def targets_in(config: Any) -> Iterator[str]:
    """Yield the dotted paths of all that a config, as plain containers, builds."""
    if isinstance(config, dict):
        if isinstance(target := config.get("_target_"), str):
            yield target
        config = [*config.values()]
    for child in config if isinstance(config, list) else ():
        yield from targets_in(child)


def folders_of(code: Iterable[Imported]) -> list[str]:
    """Return the folders that the user's files are imported from."""
    return list(dict.fromkeys(str(each.folder) for each in code if each.is_own))


def hash_of(file: Path) -> str:
    """Return the first digits of the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:HASH_DIGITS]


def module_of(name: str) -> str:
    """Return the module that a file contains: `my_package` for `my_package/__init__.py`."""
    folder, _, file = name.rpartition("/")
    steps = [*folder.split("/"), file.partition(".")[0]] if folder else [file.partition(".")[0]]
    return ".".join(steps).removesuffix(".__init__")


def is_installed(file: str) -> bool:
    """Return whether a file belongs to Python or to an installed package."""
    return file.startswith(LIBRARY) or any(folder in file for folder in INSTALLED)


def _modules(packages: set[str]) -> Iterator[tuple[str, ModuleType]]:
    """The modules outside of Python and of the installed packages, and those of some packages wherever they are."""
    modules = {**sys.modules}
    others = {
        name for name in modules if "." not in name and (name.startswith("__") or is_installed(_file_of(modules[name])))
    }
    others -= packages
    for name, module in modules.items():
        top = name.partition(".")[0]
        if top in others:
            continue
        file = _file_of(module)
        if file and (top in packages or not is_installed(file)) and os.path.isfile(file):
            yield name, module


def _file_of(module: ModuleType) -> str:
    """The file of a module as it was imported; "" if there is none, as of packages in several folders."""
    file = getattr(module, "__dict__", {}).get("__file__")
    return file if isinstance(file, str) else ""

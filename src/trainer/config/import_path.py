"""Import of the user's modules from the working directory. Imports no torch."""

import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.machinery import PathFinder


def add_working_directory(targets: Iterable[str]) -> None:
    """Make the working directory importable if it contains a module that one of the targets names.

    Without such a module it stays out of `sys.path`: libraries try to import optional packages, and a file such as
    `tensorflow.py` there would be executed. It comes last, so that it replaces no installed package.

    Args:
        targets: Dotted names in a config that the user has written, signed or declared as trusted.
    """
    with suppress(FileNotFoundError):  # the working directory was deleted
        directory = os.getcwd()
        if directory in sys.path:
            return
        packages = {target.partition(".")[0] for target in targets} - {*sys.modules}
        if any(_is_found(name, [directory]) and not _is_found(name, sys.path) for name in packages):
            sys.path.append(directory)


def add_packages_of_search_path(arguments: Iterable[str]) -> None:
    """Make the working directory importable if it contains a package whose config files the user adds.

    Args:
        arguments: Command line of the user, e.g. with `hydra.searchpath=[pkg://my_package.conf]`.
    """
    search_paths = [argument for argument in arguments if argument.lstrip("+").startswith("hydra.searchpath=")]
    add_working_directory(name for text in search_paths for name in re.findall(r"pkg://([\w.]+)", text))


def _is_found(package: str, directories: list[str]) -> bool:
    return package.isidentifier() and PathFinder.find_spec(package, directories) is not None

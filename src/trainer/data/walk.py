"""Walks through a user's directories: what is no data is skipped, counted and logged; links never lead in circles."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from trainer.errors import UserError

log = logging.getLogger(__name__)

# written by macOS, Windows, network storage and Python into directories of other files; in lower case
LEFT_BEHIND = frozenset(
    {
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "lost+found", "__pycache__"),
    }
)
HIDDEN = "hidden"
LOOPS = "linked again"
DIRECTORIES = "subdir"


def is_hidden(name: str) -> bool:
    """Return whether a file or a directory of this name belongs to a system or an editor, not to the user's data."""
    return name.startswith(".") or name.casefold() in LEFT_BEHIND


def subdirectories(folder: Path) -> list[str]:
    """Return the sorted names of the directories in one, without hidden ones and links back to it or to its parents.

    Raises:
        UserError: The directory cannot be read, or a name in it is not in UTF-8.
    """
    if not folder.is_dir():
        return []
    above = {_identity(each) for each in [folder, *folder.absolute().parents]}
    names = [each.name for each in entries(folder) if each.is_dir() and not is_hidden(each.name)]
    return sorted(name for name in names if _identity(folder / name) not in above)


def files_below(folder: Path, skipped: Counter[str]) -> Iterator[str]:
    """Yield the path of each file in a directory and in those below it, where links lead as well, each directory once.

    Args:
        folder: The directory.
        skipped: Receives the number of hidden files and directories, and of links to directories that were read.

    Raises:
        UserError: A directory cannot be read, a link leads to no file, or a name is not in UTF-8.
    """
    seen = {_identity(folder)}
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        names = sorted(folders)
        folders.clear()  # os.walk goes into those that are put back
        for name in names:
            directory = _identity(Path(place, name))
            if is_hidden(name):
                skipped[HIDDEN] += 1
            elif directory in seen:
                skipped[LOOPS] += 1
            else:
                seen.add(directory)
                folders.append(name)
        for name in files:
            if is_hidden(name):
                skipped[HIDDEN] += 1
                continue
            yield str(_checked(Path(place, name)))


def entries(folder: Path) -> list[Path]:
    """Return the sorted files and directories in one.

    Raises:
        UserError: The directory cannot be read, or a name in it is not in UTF-8.
    """
    try:
        return [_checked(each, link=False) for each in sorted(folder.iterdir())]
    except OSError as error:
        _refuse(error)


def files_of(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted files of one directory, sorted; what is skipped goes into the log.

    Raises:
        UserError: The directory cannot be read, or a name in it is not in UTF-8.
    """
    found: list[Path] = []
    skipped: Counter[str] = Counter()
    for file in entries(folder):
        if is_hidden(file.name):
            skipped[HIDDEN] += 1
        elif wanted(file):
            found.append(_checked(file))
        else:
            skipped[DIRECTORIES if file.is_dir() else kind_of(file.name)] += 1
    log_skipped(folder, skipped)
    return found


def kind_of(name: str) -> str:
    """Return what kind of file a name tells of: its ending."""
    return os.path.splitext(name)[1].lower() or "without an ending"


def log_skipped(folder: Path, skipped: Counter[str]) -> None:
    """Log in one line how many files of which kinds were skipped."""
    if listed := counts(skipped):
        log.warning("%s: skipped %s", folder, listed)


def counts(skipped: Counter[str]) -> str:
    """Return counts in words, the largest first: `12 .heic, 3 hidden`."""
    return ", ".join(f"{count} {kind}" for kind, count in skipped.most_common() if count)


def _checked(path: Path, link: bool = True) -> Path:
    """Return a path whose name is text and, if it is a link, leads to a file."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{path.parent}: the name {path.name!r} in it is not in UTF-8; rename it") from None
    if link and not path.exists():
        raise UserError(f"{path}: a link to a file that does not exist; remove it")
    return path


def _identity(directory: Path) -> tuple[int, int]:
    """Return what is equal for all paths to the same directory."""
    found = directory.stat()
    return found.st_dev, found.st_ino


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error

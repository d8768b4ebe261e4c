"""Walks through a user's directories: what is no data is skipped, counted and logged; links never lead in circles."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from trainer.core.errors import UserError

log = logging.getLogger(__name__)

# written by macOS, Windows, network storage and Python into directories of other files; in lower case
LEFT_BEHIND = frozenset(
    {
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "lost+found", "__pycache__"),
    }
)
HIDDEN = "hidden"
LINKED = "linked again"
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
    visible = [each for each in _scanned(str(folder)) if each.is_dir() and not is_hidden(each.name)]
    real = os.path.realpath(folder)
    return [each.name for each in visible if not (each.is_symlink() and _is_in(real, os.path.realpath(each)))]


def files_below(folder: Path, skipped: Counter[str], others: Iterable[str] = ()) -> Iterator[str]:
    """Yield the path of each file in a directory and in those below it; links are followed, but nothing is read twice.

    Args:
        folder: The directory.
        skipped: Receives the number of hidden files and directories, and of links to what is read anyway.
        others: Real paths of directories that are read by themselves: links into them are skipped.

    Raises:
        UserError: A directory cannot be read, a link leads to no file, or a name is not in UTF-8.
    """
    top = os.path.realpath(folder)
    read = {top, *others}
    seen = set(read)  # real paths of directories
    pending = [(str(folder), top)]
    while pending:
        place, real_place = pending.pop()
        for entry in _scanned(place):
            real = os.path.join(real_place, entry.name)
            if is_hidden(entry.name):
                skipped[HIDDEN] += 1
                continue
            if entry.is_symlink():
                real = _target(entry.path)
                if _is_in(top, real) or any(_is_in(real, each) for each in read):
                    skipped[LINKED] += 1
                    continue
            if not entry.is_dir():
                yield entry.path
            elif real in seen:
                skipped[LINKED] += 1
            else:
                seen.add(real)
                pending.append((entry.path, real))


def files_of(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """Return the wanted files of one directory, sorted; what is skipped goes into the log.

    Raises:
        UserError: The directory cannot be read, a link leads to no file, or a name is not in UTF-8.
    """
    found: list[Path] = []
    skipped: Counter[str] = Counter()
    for entry in _scanned(str(folder)):
        if is_hidden(entry.name):
            skipped[HIDDEN] += 1
        elif wanted(file := folder / entry.name):
            _target(entry.path)
            found.append(file)
        else:
            skipped[DIRECTORIES if entry.is_dir() else kind_of(entry.name)] += 1
    log_skipped(folder, skipped)
    return found


def count_others(folder: Path, skipped: Counter[str], kind: Callable[[str], str]) -> None:
    """Count what is hidden in a directory, and its files, if only what its subdirectories contain is read.

    Args:
        folder: The directory.
        skipped: Receives the numbers.
        kind: Returns what kind of file a path is counted as.
    """
    for entry in _scanned(str(folder)):
        if is_hidden(entry.name):
            skipped[HIDDEN] += 1
        elif not entry.is_dir():
            skipped[kind(entry.path)] += 1


def kind_of(name: str) -> str:
    """Return what kind of file a name tells of: its ending."""
    return os.path.splitext(name)[1].lower() or "without an ending"


def log_skipped(folder: Path, skipped: Counter[str]) -> None:
    """Log in one line how many files of which kinds were skipped."""
    if skipped:
        log.warning("%s: skipped %s", folder, counts(skipped))


def counts(skipped: Counter[str]) -> str:
    """Return counts in words, the largest first: `12 .heic, 3 hidden`."""
    return ", ".join(f"{count} {kind}" for kind, count in skipped.most_common())


def _scanned(folder: str) -> list[os.DirEntry[str]]:
    """Return the sorted contents of a directory; names that are not in UTF-8 cannot be printed, and are an error."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        _refuse(error)
    for entry in found:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise UserError(f"{folder}: the name {entry.name!r} in it is not in UTF-8; rename it") from None
    return found


def _target(path: str) -> str:
    """Return the real path of a file or directory."""
    if not os.path.exists(path):
        raise UserError(f"{path}: a link to a file that does not exist; remove it")
    return os.path.realpath(path)


def _is_in(path: str, folder: str) -> bool:
    """Return whether a real path is that of a directory, or of something in it."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _refuse(error: OSError) -> NoReturn:
    raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error

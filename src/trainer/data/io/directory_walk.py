"""Traversal of user directories that counts skipped files and handles links."""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from trainer.core.errors import UserError

log = logging.getLogger(__name__)

# created by macOS, Windows, network storage and Python; in lower case
SYSTEM_FILE_NAMES = frozenset(
    {
        *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
        *("@eadir", "lost+found", "__pycache__"),
    }
)
HIDDEN = "hidden"
LINKED = "linked again"
DIRECTORIES = "subdir"


def is_hidden(name: str) -> bool:
    """Return whether a file or directory name belongs to a system or an editor."""
    return name.startswith(".") or name.casefold() in SYSTEM_FILE_NAMES


def list_subdirectories(directory: Path) -> list[str]:
    """Return the sorted names of the subdirectories, without hidden ones and links to the directory or its parents.

    Raises:
        UserError: If the directory cannot be read, or a name in it is not in UTF-8.
    """
    if not directory.is_dir():
        return []
    visible = [entry for entry in _scan_directory(str(directory)) if entry.is_dir() and not is_hidden(entry.name)]
    real = os.path.realpath(directory)
    return [
        entry.name for entry in visible if not (entry.is_symlink() and _is_relative_to(real, os.path.realpath(entry)))
    ]


def walk_files(directory: Path, skipped: Counter[str], others: Iterable[str] = ()) -> Iterator[str]:
    """Yield the path of each file below a directory; follow links, but read no directory twice.

    Args:
        directory: The directory.
        skipped: Receives the number of hidden entries and of links to directories that are read anyway.
        others: Real paths of directories that are read separately: links into them are skipped.

    Raises:
        UserError: If a directory cannot be read, a link is broken, or a name is not in UTF-8.
    """
    top = os.path.realpath(directory)
    roots = {top, *others}
    visited = set(roots)  # real paths of directories
    pending = [(str(directory), top)]
    while pending:
        path, real_path = pending.pop()
        for entry in _scan_directory(path):
            real = os.path.join(real_path, entry.name)
            if is_hidden(entry.name):
                skipped[HIDDEN] += 1
                continue
            if entry.is_symlink():
                real = _resolve_path(entry.path)
                if _is_relative_to(top, real) or any(_is_relative_to(real, root) for root in roots):
                    skipped[LINKED] += 1
                    continue
            if not entry.is_dir():
                yield entry.path
            elif real in visited:
                skipped[LINKED] += 1
            else:
                visited.add(real)
                pending.append((entry.path, real))


def list_files(directory: Path, is_selected: Callable[[Path], bool]) -> list[Path]:
    """Return the selected files of a directory, sorted; log the number of skipped ones.

    Raises:
        UserError: If the directory cannot be read, a link is broken, or a name is not in UTF-8.
    """
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    for entry in _scan_directory(str(directory)):
        if is_hidden(entry.name):
            skipped[HIDDEN] += 1
        elif is_selected(file := directory / entry.name):
            _resolve_path(entry.path)
            files.append(file)
        else:
            skipped[DIRECTORIES if entry.is_dir() else classify_file(entry.name)] += 1
    log_skipped(directory, skipped)
    return files


def count_skipped(directory: Path, skipped: Counter[str], classify: Callable[[str], str]) -> None:
    """Count the hidden entries and the files of a directory of which only subdirectories are read.

    Args:
        directory: The directory.
        skipped: Receives the counts.
        classify: Returns the kind of a file from its path.
    """
    for entry in _scan_directory(str(directory)):
        if is_hidden(entry.name):
            skipped[HIDDEN] += 1
        elif not entry.is_dir():
            skipped[classify(entry.path)] += 1


def classify_file(name: str) -> str:
    """Return the extension of a file name as its kind."""
    return os.path.splitext(name)[1].lower() or "without an extension"


def log_skipped(directory: Path, skipped: Counter[str]) -> None:
    """Log the number of skipped files of each kind in one line."""
    if skipped:
        log.warning("%s: skipped %s", directory, format_counts(skipped))


def format_counts(skipped: Counter[str]) -> str:
    """Return counts as text, the largest first: `12 .heic, 3 hidden`."""
    return ", ".join(f"{count} {kind}" for kind, count in skipped.most_common())


def _scan_directory(directory: str) -> list[os.DirEntry[str]]:
    """Return the sorted entries of a directory; raise an error if a name is not in UTF-8, as it cannot be printed."""
    try:
        with os.scandir(directory) as iterator:
            entries = sorted(iterator, key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be read: {error.strerror}") from error
    for entry in entries:
        try:
            entry.name.encode()
        except UnicodeEncodeError:
            raise UserError(f"{directory}: the name {entry.name!r} in it is not in UTF-8; rename it") from None
    return entries


def _resolve_path(path: str) -> str:
    if not os.path.exists(path):
        raise UserError(f"{path}: a link to a file that does not exist; remove it")
    return os.path.realpath(path)


def _is_relative_to(path: str, directory: str) -> bool:
    """Return whether a real path is a directory or is contained in it."""
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)

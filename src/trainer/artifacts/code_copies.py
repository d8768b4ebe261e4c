"""Copies of imported files that are not in git, for the replay of a run."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trainer.artifacts.code_hashes import ImportedFile, hash_file
from trainer.artifacts.secret_files import is_secret_file
from trainer.core.git import run_git

MAX_FILE_BYTES = 100_000
MAX_FILES = 100


def copy_unversioned(code: Sequence[ImportedFile], roots: Sequence[str], directory: Path) -> None:
    """Copy the user's imported files that are in no checkout, or ignored or untracked by git.

    Large files, files whose names are those of passwords or keys, and files that have changed since their import, are
    skipped.

    Args:
        code: All imported files.
        roots: Roots of the checkouts in the run's provenance.
        directory: Destination.
    """
    unversioned = {
        item.file.resolve(): item for item in code if item.is_user_code and not is_secret_file(item.file.name)
    }
    for root in map(Path, roots):
        files = [file for file in unversioned if file.is_relative_to(root)]
        for file in {*files} - _list_untracked(root, files):
            del unversioned[file]
    small = [item for item in unversioned.values() if item.file.stat().st_size <= MAX_FILE_BYTES]
    for item in small[:MAX_FILES]:
        if hash_file(item.file) == item.hash:
            copy = directory / item.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(item.file, copy)


def _list_untracked(root: Path, files: Sequence[Path]) -> set[Path]:
    """Return the files in a checkout that git does not track; all files if git fails."""
    if not files:
        return set()
    try:
        process = run_git(root, "ls-files", "-z", "--others", "--", *map(str, files))
    except (OSError, subprocess.TimeoutExpired):
        return {*files}
    if process.returncode:
        return {*files}
    return {root / name for name in process.stdout.split("\0") if name}

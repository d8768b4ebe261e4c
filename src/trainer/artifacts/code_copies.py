"""Copies of imported files that git does not hold, so that a run can be repeated after they have changed."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from trainer.artifacts.code_hashes import Imported, hash_of

MAX_FILE_BYTES = 100_000
MAX_FILES = 100


def copy_unversioned(code: Sequence[Imported], roots: Sequence[str], folder: Path) -> None:
    """Copy the user's imported files that are in no checkout, or that git ignores or does not know yet.

    Large files, and files that have changed since they were imported, are left out.

    Args:
        code: All that was imported.
        roots: Of the checkouts that the run's provenance describes.
        folder: To copy into.
    """
    left = {each.file.resolve(): each for each in code if each.is_own}
    for root in map(Path, roots):
        inside = [file for file in left if file.is_relative_to(root)]
        unknown = _untracked(root, inside)
        for file in inside:
            if file not in unknown:
                del left[file]
    small = [each for each in left.values() if each.file.stat().st_size <= MAX_FILE_BYTES]
    for each in small[:MAX_FILES]:
        if hash_of(each.file) == each.hash:
            copy = folder / each.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(each.file, copy)


def _untracked(root: Path, files: Sequence[Path]) -> set[Path]:
    """Those of some files in a checkout that git does not hold; all of them if it does not answer."""
    if not files:
        return set()
    words = ["git", "-C", str(root), "ls-files", "-z", "--others", "--", *map(str, files)]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return {*files}
    if answer.returncode:
        return {*files}
    return {root / name for name in answer.stdout.split("\0") if name}

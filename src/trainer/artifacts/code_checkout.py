"""Rebuild: the code of a run, as it was: its commit, its uncommitted changes, and copies of what git did not hold."""

import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.artifacts.code_hashes import PACKAGE, hash_of
from trainer.artifacts.provenance import CHECKOUT
from trainer.artifacts.run_record import Record, code_files
from trainer.core.errors import UserError


@dataclass(frozen=True)
class Rebuilt:
    """The code of a run, in temporary folders.

    Args:
        directory: Where the command is to be run: what the working directory was, in its checkout; or that directory
            itself where it was in none.
        source: The folder to import the package `trainer` from; None where it was installed, and is no checkout.
        folders: To import the user's code from, before anything else.
    """

    directory: Path
    source: Path | None = None
    folders: tuple[Path, ...] = ()


@contextmanager
def rebuilt(record: Record, trusted: Collection[str]) -> Iterator[Rebuilt]:
    """Check the code of a run out, beside the user's own checkout, which is not touched.

    Args:
        record: Of the run.
        trusted: Packages whose earlier code may be run.

    Raises:
        UserError: A checkout or a commit is no longer there, the changes do not apply, or code is not trusted.
    """
    start = record.code_start
    asked_from = Path(start.get("directory", "."))
    with TemporaryDirectory(prefix="trainer-replay-") as folder:
        made: dict[Path, Path] = {}
        try:
            for number, checkout in enumerate(start.get("git") or []):
                root = Path(checkout["root"])
                made[root] = Path(folder, str(number))
                _check_out(root, str(checkout["commit"]), made[root])
            diff, copies = code_files(record.path, start)
            for root, text in _diffs(diff):
                _git(made[root], "apply", "--whitespace=nowarn", "-", said=text)
            earlier = _earlier_code(copies, start, trusted, Path(folder, "code"))
            moved = [_moved(Path(each), made) for each in start.get("code_folders", [])]
            directory = _moved(asked_from, made) or asked_from
            yield Rebuilt(directory, _source(made), (*earlier, *filter(None, moved)))
        finally:
            for root, place in made.items():
                subprocess.run(
                    ["git", "-C", root, "worktree", "remove", "--force", place], capture_output=True, timeout=60
                )


def _earlier_code(copies: Path, start: dict[str, Any], trusted: Collection[str], folder: Path) -> list[Path]:
    """The folder with the copies of the user's files, if one of them is another now."""
    files = {file.relative_to(copies).as_posix(): file for file in sorted(copies.rglob("*")) if file.is_file()}
    places = [Path(each) for each in start.get("code_folders", [])]
    if all(any(_is_same(place / name, start["code"].get(name)) for place in places) for name in files):
        return []
    tops = {name: name.partition("/")[0].partition(".")[0] for name in files}
    foreign = [top for top in dict.fromkeys(tops.values()) if top not in trusted or top in sys.stdlib_module_names]
    if foreign:
        names = ", ".join(name for name, top in tops.items() if top in foreign)
        raise UserError(
            f"replay: the run's code has changed, and the copies in '{copies}' contain modules that are not trusted:"
            f" {names}\n  if you know them, add trust={','.join(foreign)}; --here runs what is here now"
        )
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, folder / name)
    return [folder]


def _is_same(file: Path, digest: str | None) -> bool:
    return file.is_file() and hash_of(file) == digest


def _check_out(root: Path, commit: str, place: Path) -> None:
    if not root.is_dir():
        raise UserError(
            f"replay: the checkout '{root}' that the run's code was in is no longer there; --here runs what is"
        )
    _git(root, "worktree", "add", "--detach", str(place), commit)


def _diffs(file: Path) -> Iterator[tuple[Path, str]]:
    """(root of a checkout, its uncommitted changes)."""
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    for part in f"\n{text}".split(f"\n{CHECKOUT}")[1:]:
        root, _, diff = part.partition("\n")
        yield Path(root), diff.rstrip("\n") + "\n"


def _moved(path: Path, made: dict[Path, Path]) -> Path | None:
    """Where a path lies in the new checkouts; None where it lies in none."""
    for root, place in made.items():
        if path.is_relative_to(root):
            moved = place / path.relative_to(root)
            moved.mkdir(parents=True, exist_ok=True)
            return moved
    return None


def _source(made: dict[Path, Path]) -> Path | None:
    found = (place / "src" for place in made.values() if (place / "src" / PACKAGE / "__main__.py").is_file())
    return next(found, None)


def _git(directory: Path, *words: str, said: str | None = None) -> None:
    answer = subprocess.run(
        ["git", "-C", str(directory), *words], input=said, capture_output=True, text=True, errors="replace", timeout=300
    )
    if answer.returncode:
        reason = next(iter(answer.stderr.strip().splitlines()[-1:]), "git failed")
        raise UserError(f"replay: the run's code cannot be rebuilt ({reason}); --here runs what is here now")

"""Rebuild: the code of a run, as it was: its commit with its uncommitted changes, in a checkout of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trainer.artifacts.provenance import CHECKOUT
from trainer.artifacts.record import Record
from trainer.errors import UserError


@dataclass(frozen=True)
class Rebuilt:
    """The code of a run, in temporary folders.

    Args:
        directory: Where the command is to be run: what the working directory was, in its checkout; or that directory
            itself where it was in none.
        source: The folder to import the package `trainer` from; None where it was installed, and is no checkout.
    """

    directory: Path
    source: Path | None


@contextmanager
def rebuilt(record: Record) -> Iterator[Rebuilt]:
    """Check the code of a run out, beside the user's own checkout, which is not touched.

    Raises:
        UserError: A checkout or a commit is no longer there, or the changes do not apply.
    """
    asked_from = Path(record.provenance.get("directory", "."))
    with TemporaryDirectory(prefix="trainer-replay-") as folder:
        made: dict[Path, Path] = {}
        try:
            for number, checkout in enumerate(record.provenance.get("git") or []):
                root = Path(checkout["root"])
                made[root] = Path(folder, str(number))
                _check_out(root, str(checkout["commit"]), made[root])
            for root, diff in _diffs(record):
                _git(made[root], "apply", "--whitespace=nowarn", "-", said=diff)
            yield Rebuilt(_moved(asked_from, made) or asked_from, _source(made))
        finally:
            for root, place in made.items():
                subprocess.run(
                    ["git", "-C", root, "worktree", "remove", "--force", place], capture_output=True, timeout=60
                )


def _check_out(root: Path, commit: str, place: Path) -> None:
    if not root.is_dir():
        raise UserError(
            f"replay: the checkout '{root}' that the run's code was in is no longer there; --here runs what is"
        )
    _git(root, "worktree", "add", "--detach", str(place), commit)


def _diffs(record: Record) -> Iterator[tuple[Path, str]]:
    """(root of a checkout, its uncommitted changes)."""
    file = record.path / "code.diff"
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
    return next((place / "src" for place in made.values() if (place / "src/trainer/cli.py").is_file()), None)


def _git(directory: Path, *words: str, said: str | None = None) -> None:
    answer = subprocess.run(
        ["git", "-C", str(directory), *words], input=said, capture_output=True, text=True, errors="replace", timeout=300
    )
    if answer.returncode:
        reason = next(iter(answer.stderr.strip().splitlines()[-1:]), "git failed")
        raise UserError(f"replay: the run's code cannot be rebuilt ({reason}); --here runs what is here now")

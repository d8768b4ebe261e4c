"""Temporary checkout of a run's code: its commit, its uncommitted changes, and copies of files outside git."""

import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trainer.artifacts.code_hashes import PACKAGE, hash_file
from trainer.artifacts.provenance import CHECKOUT_HEADER
from trainer.artifacts.run_record import RunRecord, locate_code_files
from trainer.core.errors import UserError

HINT = "--current-code runs the current code"


@dataclass(frozen=True)
class CodeCheckout:
    """Code of a run in temporary directories.

    Args:
        directory: Working directory for the command: the run's working directory in its checkout, or that directory
            itself if it was in no checkout.
        source: Directory to import the package `trainer` from; None if it is installed and not a checkout.
        import_directories: Directories of the user's code; they come first in the import path.
    """

    directory: Path
    source: Path | None = None
    import_directories: tuple[Path, ...] = ()


@contextmanager
def checkout_code(record: RunRecord, trusted: Collection[str], *, is_own: bool = False) -> Iterator[CodeCheckout]:
    """Check out the code of a run into a temporary directory; the user's checkout is not changed.

    Args:
        record: Record of the run.
        trusted: Packages whose old code may be run.
        is_own: Whether the user has signed the hashes of all files. Defaults to False.

    Raises:
        UserError: A checkout or commit does not exist, the changes cannot be applied, or code is not trusted.
    """
    start = record.code_start
    old_cwd = Path(start.get("directory", "."))
    with TemporaryDirectory(prefix="trainer-replay-") as directory:
        worktrees: dict[Path, Path] = {}
        try:
            for number, checkout in enumerate(start.get("git") or []):
                root = Path(checkout["root"])
                worktrees[root] = Path(directory, str(number))
                _add_worktree(root, str(checkout["commit"]), worktrees[root])
            diff, copies = locate_code_files(record.path, start)
            for root, text in _split_diffs(diff):
                _run_git(worktrees[root], "apply", "--whitespace=nowarn", "-", stdin=text)
            restored = _restore_copies(copies, start, trusted, Path(directory, "code"), is_own=is_own)
            folders = [Path(path) for path in start.get("code_folders", [])]
            mapped = [_map_to_worktree(folder, worktrees) for folder in folders]
            for folder, target in zip(folders, mapped, strict=True):
                if target:
                    _copy_missing_files(folder, target, start.get("code", {}))
            cwd = _map_to_worktree(old_cwd, worktrees) or old_cwd
            yield CodeCheckout(cwd, _find_source_directory(worktrees), (*restored, *filter(None, mapped)))
        finally:
            for root, worktree in worktrees.items():
                command = ["git", "-C", str(root), "worktree", "remove", "--force", str(worktree)]
                subprocess.run(command, capture_output=True, timeout=60)


def _copy_missing_files(folder: Path, target: Path, code: Mapping[str, str]) -> None:
    """Copy unchanged files of the user that git does not track, or ignores, into a worktree.

    Args:
        folder: Import directory of the run.
        target: Its counterpart in the worktree.
        code: Hashes of the imported files by name.
    """
    for name, digest in code.items():
        if ".." not in Path(name).parts and not (target / name).exists() and _has_hash(folder / name, digest):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, target / name)


def _restore_copies(
    copies: Path, start: dict[str, Any], trusted: Collection[str], directory: Path, *, is_own: bool
) -> list[Path]:
    """Return the directory with the copies of the user's files, or nothing if all files are unchanged."""
    files = {file.relative_to(copies).as_posix(): file for file in sorted(copies.rglob("*")) if file.is_file()}
    sources = [Path(path) for path in start.get("code_folders", [])]
    if all(any(_has_hash(source / name, start["code"].get(name)) for source in sources) for name in files):
        return []
    unsigned = [name for name, file in files.items() if not (is_own and _has_hash(file, start["code"].get(name)))]
    packages = {name: name.partition("/")[0].partition(".")[0] for name in unsigned}
    untrusted = [
        package
        for package in dict.fromkeys(packages.values())
        if package not in trusted or package in sys.stdlib_module_names
    ]
    if untrusted:
        names = ", ".join(name for name, package in packages.items() if package in untrusted)
        declared = [package for package in untrusted if package not in sys.stdlib_module_names]
        hint = f"to run them: --trust={','.join([*trusted, *declared])}; " if declared == untrusted else ""
        raise UserError(
            f"replay: the run's code has changed, and the copies in '{copies}' contain modules that are not trusted:"
            f" {names}\n  {hint}{HINT}"
        )
    for name, file in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, directory / name)
    return [directory]


def _has_hash(file: Path, digest: str | None) -> bool:
    return file.is_file() and hash_file(file) == digest


def _add_worktree(root: Path, commit: str, worktree: Path) -> None:
    if not root.is_dir():
        raise UserError(f"replay: the checkout '{root}' of the run's code does not exist; {HINT}")
    _run_git(root, "worktree", "add", "--detach", str(worktree), commit)


def _split_diffs(file: Path) -> Iterator[tuple[Path, str]]:
    """Yield the root of each checkout and its uncommitted changes."""
    text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    for part in f"\n{text}".split(f"\n{CHECKOUT_HEADER}")[1:]:
        root, _, diff = part.partition("\n")
        yield Path(root), diff.rstrip("\n") + "\n"


def _map_to_worktree(path: Path, worktrees: dict[Path, Path]) -> Path | None:
    """Return the directory in the worktrees that corresponds to a path, or None if it is in no checkout."""
    for root, worktree in worktrees.items():
        if path.is_relative_to(root):
            mapped = worktree / path.relative_to(root)
            mapped.mkdir(parents=True, exist_ok=True)
            return mapped
    return None


def _find_source_directory(worktrees: dict[Path, Path]) -> Path | None:
    directories = (worktree / "src" for worktree in worktrees.values())
    return next((path for path in directories if (path / PACKAGE / "__main__.py").is_file()), None)


def _run_git(directory: Path, *arguments: str, stdin: str | None = None) -> None:
    command = ["git", "-C", str(directory), *arguments]
    process = subprocess.run(command, input=stdin, capture_output=True, text=True, errors="replace", timeout=300)
    if process.returncode:
        reason = next(iter(process.stderr.strip().splitlines()[-1:]), "git failed")
        raise UserError(f"replay: cannot restore the run's code ({reason}); {HINT}")

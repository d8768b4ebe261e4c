"""Temporary checkout of a run's code: its commit, its uncommitted changes, and copies of files outside git."""

import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import trainer
from trainer.artifacts.code_hashes import PACKAGE, hash_file
from trainer.artifacts.config_signature import is_code_signed
from trainer.artifacts.provenance import CHECKOUT_HEADER
from trainer.artifacts.run_record import RunRecord, locate_code_files
from trainer.core.errors import UserError
from trainer.core.git import find_checkout_root, run_git

COMMIT_PATTERN = re.compile("[0-9a-f]{7,64}")
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
def checkout_code(record: RunRecord, trusted: Collection[str]) -> Iterator[CodeCheckout]:
    """Check out the code of a run into a temporary directory; the user's checkout is not changed.

    Args:
        record: Record of the run.
        trusted: Packages whose old code may be run.

    Raises:
        UserError: A checkout or commit does not exist, the changes cannot be applied, or code is not trusted.
    """
    start = record.code_start
    diff, copies = locate_code_files(record.path, start)
    text = diff.read_text("utf-8", errors="surrogateescape") if diff.is_file() else ""
    is_own = is_code_signed(start, text)
    if not is_own:
        _require_known_checkouts(start, diff)
    old_cwd = Path(start.get("directory", ".")) if is_own else Path.cwd()
    with TemporaryDirectory(prefix="trainer-replay-") as directory:
        worktrees: dict[Path, Path] = {}
        try:
            for number, checkout in enumerate(start.get("git") or []):
                root = Path(checkout["root"])
                worktrees[root] = Path(directory, str(number))
                _add_worktree(root, str(checkout["commit"]), worktrees[root])
            for root, changes in _split_diffs(text):
                if root not in worktrees:
                    raise UserError(f"replay: '{diff}' changes '{root}', which the run does not list; {HINT}")
                _run_git(worktrees[root], "apply", "--whitespace=nowarn", "-", stdin=changes)
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
                run_git(root, "worktree", "remove", "--force", str(worktree), timeout=60)


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


def _require_known_checkouts(start: Mapping[str, Any], diff: Path) -> None:
    """Refuse code of a run that this user has not started, except commits of the checkouts that are in use.

    Raises:
        UserError: The run has uncommitted changes, or a commit belongs to another checkout.
    """
    if diff.is_file():
        raise UserError(f"replay: you have not made the uncommitted changes in '{diff}', so they are not run; {HINT}")
    roots = {find_checkout_root(Path(trainer.__file__).parent), find_checkout_root(Path.cwd())}
    for checkout in start.get("git") or []:
        if Path(checkout["root"]) not in roots:
            raise UserError(
                f"replay: you have not started this run, and its checkout '{checkout['root']}' is neither that of"
                f" trainer nor that of the working directory, so no code of it is run; {HINT}"
            )


def _has_hash(file: Path, digest: str | None) -> bool:
    return file.is_file() and hash_file(file) == digest


def _add_worktree(root: Path, commit: str, worktree: Path) -> None:
    if not root.is_dir():
        raise UserError(f"replay: the checkout '{root}' of the run's code does not exist; {HINT}")
    if not COMMIT_PATTERN.fullmatch(commit):
        raise UserError(f"replay: '{commit}' is not a commit; {HINT}")
    _run_git(root, "worktree", "add", "--detach", str(worktree), commit)


def _split_diffs(text: str) -> Iterator[tuple[Path, str]]:
    """Yield the root of each checkout and its uncommitted changes."""
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
    process = run_git(directory, *arguments, stdin=stdin, timeout=300)
    if process.returncode:
        reason = next(iter(process.stderr.strip().splitlines()[-1:]), "git failed")
        raise UserError(f"replay: cannot restore the run's code ({reason}); {HINT}")

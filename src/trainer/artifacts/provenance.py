"""Command, code, packages and machine of a run."""

import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import trainer
from trainer.artifacts.code_hashes import list_imported_files
from trainer.artifacts.secret_files import PATHSPECS, is_secret_file
from trainer.core.cpu import count_cpus
from trainer.core.git import DIFF_OPTIONS, run_git

_shared_states: dict[Path, dict[str, Any] | None] | None = None  # of git, by directory; None outside of groups
_group_size = 1  # number of runs that this process executes at a time
CHECKOUT_HEADER = "# checkout "  # precedes the root of each checkout in a diff; git ignores such lines


def collect_provenance() -> tuple[dict[str, Any], str]:
    """Return the provenance of this process.

    Returns:
        dict: Values for JSON: command, working directory, git state of the code, package versions, machine.
        str: Diff of the uncommitted changes for `git apply`; "" if there are none.
    """
    read = _read_git_state if _shared_states is None else _read_shared_state
    states = [read(directory) for directory in (Path(trainer.__file__).parent, Path.cwd())]
    checkouts = {state["root"]: {**state} for state in states if state}
    diffs = {root: state.pop("diff") for root, state in checkouts.items()}
    provenance = {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "directory": str(Path.cwd()),
        "trainer": trainer.__version__,
        "git": list(checkouts.values()),
        "python": platform.python_version(),
        "packages": read_package_versions(),
        "machine": _describe_machine(),
        "trained_together": _group_size,
    }
    return provenance, "".join(f"{CHECKOUT_HEADER}{root}\n{diff}" for root, diff in diffs.items() if diff)


@contextmanager
def group_of_runs(size: int) -> Iterator[None]:
    """Record in the block that this process executes several runs at a time; read the state of git only once.

    Args:
        size: Number of runs.
    """
    global _shared_states, _group_size
    _shared_states, _group_size = {}, size
    try:
        yield
    finally:
        _shared_states, _group_size = None, 1


def _read_shared_state(directory: Path) -> dict[str, Any] | None:
    assert _shared_states is not None
    if directory not in _shared_states:
        _shared_states[directory] = _read_git_state(directory)
    return _shared_states[directory]


@cache
def read_package_versions() -> dict[str, str]:
    """Return the versions of the installed packages by name."""
    versions = {}
    for dist in distributions():
        # read the header only: `dist.metadata` also parses the long description
        header = (dist.read_text("METADATA") or dist.read_text("PKG-INFO") or "").partition("\n\n")[0]
        fields = dict(line.split(": ", 1) for line in header.splitlines() if line.startswith(("Name: ", "Version: ")))
        if fields.keys() == {"Name", "Version"}:
            versions[fields["Name"]] = fields["Version"]
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))


def _describe_machine() -> dict[str, Any]:
    torch = sys.modules.get("torch")  # a run has imported it; this function must not
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch else []
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _read_processor_name(),
        "cores": count_cpus(),
        "threads": torch.get_num_threads() if torch else None,
        "gpus": gpus,
        "cuda": torch.version.cuda if torch and gpus else None,
    }


def _read_processor_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _read_git_state(directory: Path) -> dict[str, Any] | None:
    """Return root, commit, branch, changed files and diff of the checkout around a directory; None if there is none."""
    try:
        root = _read_git(directory, "rev-parse", "--show-toplevel").strip()
        if not root or not _read_git(directory, "ls-files", "--", str(directory)):  # the directory must be tracked
            return None
        commit, _, branch = _read_git(directory, "rev-parse", "HEAD", "--abbrev-ref", "HEAD").strip().partition("\n")
        changed = _read_git(directory, "status", "--porcelain", "--untracked-files=normal").splitlines()
        diff = _read_git(directory, "diff", "HEAD", "--binary", *DIFF_OPTIONS, "--", *PATHSPECS) if changed else ""
        diff += _diff_untracked(Path(root)) if changed else ""
        return {"root": root, "commit": commit or None, "branch": branch, "changed": changed, "diff": diff}
    except (OSError, subprocess.TimeoutExpired):  # git is not installed, or the checkout is too large
        return None


def _diff_untracked(root: Path) -> str:
    """Return a diff that creates the files of a checkout that this process has imported and git does not track."""
    files = [item.file.resolve() for item in list_imported_files()]
    imported = [str(file) for file in files if file.is_relative_to(root) and not is_secret_file(file.name)]
    if not imported:
        return ""
    names = _read_git(root, "ls-files", "--others", "--exclude-standard", "-z", "--", *imported).split("\0")
    arguments = ("diff", "--no-index", "--binary", *DIFF_OPTIONS, "/dev/null")
    return "".join(_read_git(root, *arguments, name) for name in filter(None, names))


def _read_git(directory: Path, *arguments: str) -> str:
    process = run_git(directory, *arguments)
    return process.stdout if process.returncode in (0, 1) else ""  # 1: `diff --no-index` found a difference

"""Worker process that runs `trainer OVERRIDES` for one job, as in a terminal."""

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from types import ModuleType
from typing import Any

from trainer.sweep.executors.forkserver import START_METHOD, safe_import_path, start_forkserver
from trainer.training.preflight.dry_run_cache import dry_run_results

ENTRY_POINT = "trainer.cli.main:main"  # a string, as that module imports this package


def start_worker(
    overrides: Sequence[str],
    environment: Mapping[str, str],
    log_path: Path,
    cwd: Path | None = None,
    *,
    method: str = START_METHOD,
    die_with_parent: bool = False,
) -> BaseProcess:
    """Start a job in a new process.

    Args:
        overrides: Command line of the job.
        environment: All environment variables.
        log_path: File that the output is appended to.
        cwd: Working directory. Defaults to that of this process.
        method: Start method of `multiprocessing`.
        die_with_parent: Whether the job is killed when this process ends.
    """
    context: Any = get_context(method)
    if method == START_METHOD:
        start_forkserver()
    paths = (str(log_path.absolute()), str(cwd or Path.cwd()))
    args = ([*overrides], dict(environment), *paths, die_with_parent, dry_run_results)
    process: BaseProcess = context.Process(target=_run_worker, args=args)
    with _hidden_main_module(), safe_import_path():
        process.start()
    return process


def _run_worker(
    overrides: list[str], environment: dict[str, str], log_path: str, cwd: str, die_with_parent: bool, dry_runs: Any
) -> None:
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the sweep, which stops its jobs
    if START_METHOD == "forkserver":  # which blocks SIGINT
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if die_with_parent:
        Thread(target=_die_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    file = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)  # minus umask
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.argv = [sys.argv[0], *overrides]
    if (torch := sys.modules.get("torch")) and (threads := environment.get("OMP_NUM_THREADS", "")).isdigit():
        torch.set_num_threads(int(threads))  # torch has read the variable at its import, before the fork
    dry_run_results.update(dry_runs)
    resolve_name(ENTRY_POINT)()


def _die_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os.killpg(0, signal.SIGKILL)


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Hide `__main__`, which `multiprocessing` would import in the new process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

"""Worker process that runs `trainer OVERRIDES` for one job, as in a terminal."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from pkgutil import resolve_name
from threading import Thread
from types import ModuleType
from typing import Any

from trainer.artifacts.ledger_file import retry_while_busy
from trainer.core.signals import shutdown
from trainer.sweeps.executors.forkserver import START_METHOD, safe_import_path, start_forkserver
from trainer.sweeps.store.job_store import Ledger
from trainer.training.preflight.dry_run_cache import dry_run_results

SIGNAL_DELAY_SECONDS = 1.0  # in which a process has received a signal that a cluster sends to several processes
ENTRY_POINT = "trainer.cli.main:main"  # a string, as that module imports this package


@dataclass
class Attempt:
    """Attempt of a job that was claimed for a worker process.

    Args:
        sweep: Absolute directory of the sweep.
        number: Job number.
        attempt: Attempt number.
    """

    sweep: Path
    number: int
    attempt: int

    def assign_to_this_process(self) -> None:
        """Write to the ledger that this process runs the job; exit if another process has taken it over."""
        if not retry_while_busy(lambda: Ledger(self.sweep).assign_process(self.number, os.getpid(), self.attempt)):
            print(f"attempt {self.attempt} of job {self.number} was taken over by another process")
            sys.exit(0)


def start_worker(
    overrides: Sequence[str],
    environment: Mapping[str, str],
    log_path: Path,
    cwd: Path | None = None,
    *,
    method: str = START_METHOD,
    stop_requests: Connection | None = None,
    attempt: Attempt | None = None,
) -> BaseProcess:
    """Start a job in a new process.

    Args:
        overrides: Command line of the job.
        environment: All environment variables.
        log_path: File that the output is appended to.
        cwd: Working directory. Defaults to that of this process.
        method: Start method of `multiprocessing`.
        stop_requests: Connection whose messages ask the job to save and exit. The job is killed when the other end is
            closed. Defaults to none: then only signals stop it, and it outlives this process.
        attempt: Attempt that the process assigns to itself before it starts the job, so that the job has an owner if
            this process ends. Defaults to none.
    """
    paths = (str(log_path.absolute()), str(cwd or Path.cwd()))
    args = ([*overrides], dict(environment), *paths, stop_requests, attempt, dry_run_results)
    return start_process(_run_worker, args, method)


def start_process(function: Callable[..., None], args: Sequence[Any], method: str = START_METHOD) -> BaseProcess:
    """Call a function in a new process that the forkserver forks.

    Args:
        function: Function in a module.
        args: Arguments, which are pickled.
        method: Start method of `multiprocessing`.
    """
    if method == START_METHOD:
        start_forkserver()
    context: Any = get_context(method)
    process: BaseProcess = context.Process(target=function, args=args)
    with _hidden_main_module(), safe_import_path():
        process.start()
    return process


def _run_worker(
    overrides: list[str],
    environment: dict[str, str],
    log_path: str,
    cwd: str,
    stop_requests: Connection | None,
    attempt: Attempt | None,
    dry_runs: Any,
) -> None:
    prepare_worker(environment, cwd, stop_requests, dry_runs)
    file = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)  # minus umask
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.argv = [sys.argv[0], *overrides]
    if attempt:
        attempt.assign_to_this_process()
    resolve_name(ENTRY_POINT)()


def prepare_worker(environment: Mapping[str, str], cwd: str, stop_requests: Connection | None, dry_runs: Any) -> None:
    """Prepare the process of one or several jobs: signals, environment, directory, threads.

    Args:
        environment: All environment variables.
        cwd: Working directory.
        stop_requests: See `start_worker`.
        dry_runs: Dry runs of the process that has started this one.
    """
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the sweep, which stops its jobs
    if START_METHOD == "forkserver":  # which blocks SIGINT
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if stop_requests:
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a request to the process that has started this one
        Thread(target=_follow_parent, args=(stop_requests,), daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    if (torch := sys.modules.get("torch")) and (threads := environment.get("OMP_NUM_THREADS", "")).isdigit():
        torch.set_num_threads(int(threads))  # torch has read the variable at its import, before the fork
    dry_run_results.update(dry_runs)


def _follow_parent(stop_requests: Connection) -> None:
    """Stop this process at the request of its parent, and kill it when the parent ends."""
    while True:
        try:
            stop_requests.recv()
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)
        # a cluster may send its signal to this process, too, and a second one would quit without saving
        time.sleep(SIGNAL_DELAY_SECONDS)
        if not shutdown.signal_number:
            os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Hide `__main__`, which `multiprocessing` would import in the new process."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

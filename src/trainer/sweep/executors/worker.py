"""Worker: the process of a job, which does what `trainer WORDS` does in a terminal."""

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

from trainer.sweep.executors.forkserver import METHOD, open_nursery
from trainer.training.preflight.dry_run_cache import rehearsed

ENTRY_POINT = "trainer.cli.main:main"  # by name: the command imports this package


def start(
    words: Sequence[str],
    environment: Mapping[str, str],
    output: Path,
    place: Path | None = None,
    *,
    method: str = METHOD,
    leashed: bool = False,
) -> BaseProcess:
    """Begin a job in a process of its own.

    Args:
        words: Of the command line.
        environment: All of it.
        output: What is printed goes to the end of this file.
        place: The working directory; None for that of this process.
        method: How the process is begun, as `multiprocessing` calls it.
        leashed: Whether it is to die with this process.
    """
    context: Any = get_context(method)
    if method == METHOD:
        open_nursery()
    whole = ([*words], dict(environment), str(output.absolute()), str(place or Path.cwd()), leashed, rehearsed)
    process: BaseProcess = context.Process(target=_work, args=whole)
    with _without_main():
        process.start()
    return process


def _work(words: list[str], environment: dict[str, str], output: str, place: str, leashed: bool, known: Any) -> None:
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the sweep, which tells its jobs
    if METHOD == "forkserver":  # which holds it back
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if leashed:
        Thread(target=_die_with_parent, daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(place)
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.argv = [sys.argv[0], *words]
    if (torch := sys.modules.get("torch")) and (threads := environment.get("OMP_NUM_THREADS", "")).isdigit():
        torch.set_num_threads(int(threads))  # it has read the variable where it was imported, before the fork
    rehearsed.update(known)
    resolve_name(ENTRY_POINT)()


def _die_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os.killpg(0, signal.SIGKILL)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the program that this process runs, which `multiprocessing` would import in the new one."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main

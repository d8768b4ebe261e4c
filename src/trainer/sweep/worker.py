"""Worker: the process of a job, which does what `trainer WORDS` does in a terminal."""

import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

# a fork of a process that has imported everything, and done nothing else, begins at once; macOS does not bear it
METHOD = "forkserver" if sys.platform == "linux" else "spawn"


def start(words: Sequence[str], environment: Mapping[str, str], output: Path) -> BaseProcess:
    """Begin a job in a process of its own.

    Args:
        words: Of the command line.
        environment: All of it.
        output: What is printed goes to the end of this file.
    """
    context: Any = get_context(METHOD)
    context.set_forkserver_preload(["trainer.sweep.warm"])
    process: BaseProcess = context.Process(target=_work, args=([*words], dict(environment), str(output.absolute())))
    process.start()
    return process


def _work(words: list[str], environment: dict[str, str], output: str) -> None:
    os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the sweep, which tells its jobs
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(output, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.argv = [sys.argv[0], *words]
    from trainer.cli import main

    main()

"""Start TensorBoard for a run, or for all runs in a directory, with the changed values as their names.

trainer tensorboard [DIRECTORY] [--port NUMBER] [--host ADDRESS]

The default directory is `outputs`. The default port is 6006, or the next free one; `--port 0` takes any free port. Only
this machine has access, unless `--host 0.0.0.0` allows all machines that can reach the port. New runs appear
automatically. Ctrl-C stops it.
"""

import logging
import signal
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from trainer.cli.commands import integer, parse_arguments
from trainer.core.errors import UserError
from trainer.core.open_files import raise_open_file_limit

if TYPE_CHECKING:
    from trainer.reports.tensorboard_logdir import LogDirectory

POLL_SECONDS = 10  # between searches for new runs
RESERVED_FILES = 100  # open files of TensorBoard that are no event files


def main(argv: list[str]) -> int:
    """Run TensorBoard until Ctrl-C; the exit status is 0."""
    port = {"type": integer(0, 2**16 - 1)}
    args = parse_arguments("tensorboard", argv, "directory?", port=port, host="localhost")
    directory = Path(args.directory or "outputs")
    if not directory.is_dir():
        raise UserError(f"tensorboard: no directory '{directory}'")
    from trainer.reports.tensorboard_logdir import LogDirectory  # TensorBoard takes a second to import

    with TemporaryDirectory(prefix="trainer_tensorboard_") as links:
        runs = LogDirectory(directory, Path(links))
        if not runs.link_new_runs():
            raise UserError(
                f"tensorboard: no run in '{directory}' has TensorBoard events\n"
                "  name a directory of runs, e.g. trainer tensorboard outputs; runs with logger=none have no events"
            )
        runs.write_hparams()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the links are deleted
        try:
            is_fast = raise_open_file_limit() >= runs.count_event_files() + RESERVED_FILES
            url = start_tensorboard(Path(links), args.port, args.host, is_fast=is_fast)
            print(f"{url}  {len(runs.names)} run(s) in {directory}; press Ctrl-C to stop", flush=True)
            _print_new_runs(runs)
        except KeyboardInterrupt:
            return 0


def _print_new_runs(runs: "LogDirectory") -> NoReturn:
    """Link new runs and print their names, until Ctrl-C."""
    while True:
        time.sleep(POLL_SECONDS)
        for name in runs.link_new_runs():
            print(f"new: {name}", flush=True)


def start_tensorboard(logdir: Path, port: int | None, host: str, *, is_fast: bool) -> str:
    """Start TensorBoard in a thread of this process and return its URL.

    Args:
        logdir: Log directory.
        port: Port. Defaults to 6006 or the next free one.
        host: Address that can be reached.
        is_fast: Whether to use the data server, which keeps every event file open.

    Raises:
        UserError: The port or host is not available.
    """
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from tensorboard import default
    from tensorboard.program import TensorBoard, TensorBoardServerException

    program = TensorBoard(default.get_plugins())
    options = ["--reload_interval", "5", *([] if port is None else ["--port", str(port)])]
    options += [] if is_fast else ["--load_fast", "false"]
    program.configure(["tensorboard", "--logdir", str(logdir), "--host", host, *options])
    try:
        with redirect_stderr(StringIO()):  # hides the notice about its data server
            return str(program.launch())
    except TensorBoardServerException as error:
        raise UserError(f"tensorboard: {error.msg}; --port 0 takes any free port") from None

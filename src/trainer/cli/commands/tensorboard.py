"""TensorBoard of a run, or of all runs below a folder, under names that tell what was changed.

trainer tensorboard [DIR] [port=NUMBER] [host=ADDRESS]

DIR is `outputs` if none is given. The port is 6006, or the next free one; `port=0` takes any. Only this machine can
look at it, unless `host=0.0.0.0` lets others do so: whoever reaches the port then sees everything. Runs that begin
meanwhile appear by themselves. Ctrl-C ends it.
"""

import logging
import signal
import sys
import time
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from trainer.core.errors import UserError, did_you_mean

SECONDS = 10  # between two looks for new runs


def main(words: list[str]) -> int:
    """Show what stands behind `tensorboard`, until Ctrl-C; the exit status is 0."""
    folder, port, host = arguments(words)
    from trainer.report.tensorboard_logdir import LogDirectory  # TensorBoard takes a second to import

    with TemporaryDirectory(prefix="trainer_tensorboard_") as links:
        runs = LogDirectory(folder, Path(links))
        if not runs.look():
            raise UserError(
                f"tensorboard: no run below '{folder}' has TensorBoard events\n"
                "  name a folder of runs, e.g. trainer tensorboard outputs; runs with logger=none have none"
            )
        runs.describe()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that the links are deleted then as well
        try:
            url = serve(Path(links), port, host)
            print(f"{url}  {len(runs.names)} run(s) below {folder}; Ctrl-C ends it", flush=True)
            while True:
                time.sleep(SECONDS)
                for name in runs.look():
                    print(f"new: {name}", flush=True)
        except KeyboardInterrupt:
            return 0


def arguments(words: list[str]) -> tuple[Path, str | None, str]:
    """Folder, port and host from the command line.

    Raises:
        UserError: Something is unknown, missing or no port.
    """
    given = dict(word.split("=", 1) for word in words if "=" in word)
    for name in given:
        if name not in ("port", "host"):
            raise UserError(f"tensorboard: there is no '{name}'{did_you_mean(name, ['port', 'host'])}")
    folders = [word for word in words if "=" not in word]
    if len(folders) > 1 or any(word.startswith("-") for word in folders):
        raise UserError(f"tensorboard: {' '.join(folders)}: name one folder: trainer tensorboard DIR")
    folder, port = Path(*folders or ["outputs"]), given.get("port")
    if port is not None and not (port.isdecimal() and int(port) < 2**16):
        raise UserError(f"tensorboard: port='{port}' is not a whole number from 0 to 65535")
    if not folder.is_dir():
        raise UserError(f"tensorboard: no folder '{folder}'")
    return folder, port, given.get("host", "localhost")


def serve(logdir: Path, port: str | None, host: str) -> str:
    """Start TensorBoard in a thread of this process.

    Returns:
        str: Where it is.

    Raises:
        UserError: It cannot listen there.
    """
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    from tensorboard import default
    from tensorboard.program import TensorBoard, TensorBoardServerException

    program = TensorBoard(default.get_plugins())
    asked = ["--port", port] if port is not None else []
    program.configure(["tensorboard", "--logdir", str(logdir), "--host", host, "--reload_interval", "5", *asked])
    try:
        with redirect_stderr(StringIO()):  # it tells each time that it reads files by a program of its own
            return str(program.launch())
    except TensorBoardServerException as error:
        raise UserError(f"tensorboard: {error.msg}; port=0 takes any free port") from None

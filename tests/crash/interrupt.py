"""Script that sends one signal to runs at random moments, and checks that none is lost.

    python tests/crash/interrupt.py [times=20] [moments=1] [kinds=train,test,short]

`train` and `test` train and test on image files with worker processes; `short` is a complete run of a second. A run
must end with the exit status of the signal, without a traceback, and must not be `finished` with exit status 0. A
run that has already ended is not counted. The exit status is 0 if no signal was lost.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PICTURES = ["data=image_folder", "data.path=pictures", "data.dir=.", "model=cnn", "data.size=16"]
WORKERS = [*PICTURES, "data.workers=2", "data.batch_size=4", "data.eval_batch_size=4", "logger=csv"]
KINDS = {
    "train": [*WORKERS, "trainer.max_epochs=30"],
    "test": [*WORKERS, "train=false", "ckpt_path=reference/checkpoints/best.ckpt"],
    "short": ["data=xor", "trainer.max_epochs=2"],
}
MAX_DELAY_SECONDS = {"train": 2.0, "test": 0.7, "short": 2.0}  # after the run directory is locked, or logged
TIMEOUT_SECONDS = 60.0
GROUP_FRACTION = 0.3  # of the signals, which are sent to all processes of the run, as by a terminal


def write_pictures(directory: Path) -> None:
    """Write 2 classes of 60 small images."""
    generator = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (directory / name).mkdir(parents=True)
        for number in range(60):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(directory / name / f"{number}.png")


def interrupt(kind: str, number: int, delay: float, cwd: Path) -> str | None:
    """Start a run, send a signal after a delay, and return the problem; None if there is none, "" if it had ended."""
    run = cwd / f"run-{time.monotonic_ns()}"
    log = run.with_suffix(".log")
    with log.open("w") as output:
        command = [sys.executable, "-m", "trainer", *KINDS[kind], f"hydra.run.dir={run}"]
        process = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=output, start_new_session=True)
    while process.poll() is None and not ((run / ".lock").exists() if kind == "short" else "run  " in log.read_text()):
        time.sleep(0.01)
    time.sleep(delay)
    if process.poll() is not None:
        return ""
    if random.random() < GROUP_FRACTION:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    if is_exiting(process.pid):
        process.wait()
        return ""
    try:
        code = process.wait(TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return f"no reaction within {TIMEOUT_SECONDS:.0f} s"
    text = log.read_text()
    file = run / "result.json"
    state: Any = json.loads(file.read_text())["state"] if file.exists() else None
    if "Traceback" in text or "Exception ignored" in text:
        return f"exit status {code} with a traceback: {log}"
    if (code == 128 + number and state in ("interrupted", "finished")) or (code == -number and state == "finished"):
        return None
    return f"exit status {code}, state {state}: {log}"


def is_exiting(pid: int) -> bool:
    """Return whether the kernel frees the resources of a process, which takes a while; it receives no more signals."""
    flags = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[6]
    return bool(int(flags) & 0x4)


def main(argv: list[str]) -> int:
    options = dict(argument.split("=", 1) for argument in argv)
    times = int(options.get("times", 20))
    random.seed(int(options.get("moments", 1)))
    kinds = options.get("kinds", ",".join(KINDS)).split(",")
    directory = Path(tempfile.mkdtemp(prefix="interrupt_"))
    write_pictures(directory / "pictures")
    train = [*KINDS["train"][:-1], "trainer.max_epochs=1", "test=false", "hydra.run.dir=reference"]
    subprocess.run([sys.executable, "-m", "trainer", *train], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    counts = dict.fromkeys(kinds, 0)
    problems = []
    for index in range(times):
        kind = kinds[index % len(kinds)]
        number = SIGNALS[index // len(kinds) % len(SIGNALS)]
        delay = random.uniform(0, MAX_DELAY_SECONDS[kind])
        problem = interrupt(kind, number, delay, directory)
        counts[kind] += problem != ""
        if problem:
            problems.append(problem)
            print(f"{kind} {signal.Signals(number).name} after {delay:.2f} s: {problem}", flush=True)
    sent = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{sum(counts.values())} signals ({sent}), {len(problems)} problems")
    return bool(problems)


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main(sys.argv[1:]))

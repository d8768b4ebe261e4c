"""What is measured of whole processes: seconds from start to exit, and peak memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import Round
from works import words_of

TRAINER = ["-m", "trainer"]
TINY = ["experiment=xor_mlp", "trainer.max_epochs=20"]
# memory does not grow later
SHORT = ("+trainer.limit_train_batches=50", "+trainer.limit_val_batches=1")


def process(arguments: list[str], folder: Path) -> tuple[float, float]:
    """Run Python to its end: wall seconds, and its peak memory in MiB.

    Raises:
        RuntimeError: It failed; with the end of what it said.
    """
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        running = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - began
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(arguments)}: {said.read()[-2000:]}")
    kibibytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return seconds, kibibytes / 1024


def start(folder: Path) -> Round:
    """Seconds of a process that takes one step on the digits, of the template's like it, and of `import torch`."""
    one_step = ["experiment=digits_cnn", "+trainer.max_steps=1", "test=false"]
    return {
        "import torch": process(["-c", "import torch"], folder)[0],
        "ours": process([*TRAINER, *one_step], folder)[0],
        "template": process(["-c", "import template_start"], folder)[0],
    }


def sweep(folder: Path) -> Round:
    """Seconds of eight tiny runs: in one process, two side by side, and eight times one by itself.

    "ours but a start" is the sweep without what one process does before and after its run.
    """
    with tempfile.TemporaryDirectory(dir=folder) as alone:
        one, _ = process([*TRAINER, *TINY, "seed=1"], Path(alone))
        own = json.loads(next(Path(alone).rglob("result.json")).read_text())["seconds"]
    seeds = "seed=1,2,3,4,5,6,7,8"
    serial, _ = process([*TRAINER, "-m", *TINY, seeds], folder)
    beside, _ = process([*TRAINER, "-m", *TINY, seeds, "sweep.workers=2"], folder)
    return {
        "ours": serial,
        "8 x one run": 8 * one,
        "ours but a start": serial - (one - own),
        "8 x its training": 8 * own,
        "side by side": beside,
    }


def memory(work: str, folder: Path) -> Round:
    """Peak memory in MiB of a process that trains ours, and of one with the plain loop that imports no framework."""
    job = folder / f"{work}.job"
    if not job.exists():
        process(["-c", f"import peak; peak.save({work!r}, {str(folder)!r}, {str(job)!r})"], folder)
    words = words_of(work, folder, quick=False)
    return {
        "ours": process([*TRAINER, *words, *SHORT, "test=false"], folder)[1],
        "plain": process(["-c", f"import peak; peak.train({str(job)!r}, {str(folder)!r})"], folder)[1],
    }


def versions() -> dict[str, str]:
    """Of what the measurements depend on."""
    from importlib.metadata import version

    names = ["torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "tensorboard"]
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


def cpu() -> str:
    """Name of the processor, where the system tells it."""
    file = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", file.read_text()) if file.exists() else None
    return found[1] if found else "unknown"

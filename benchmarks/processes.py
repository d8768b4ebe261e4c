"""Seconds from start to exit of whole processes, and their peak memory."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import SWEEP_WITHOUT_STARTUP, TWO_WORKERS, Round
from workloads import build_overrides

TRAINER = ["-m", "trainer"]
TINY = ["experiment=xor_mlp", "trainer.max_epochs=20"]
# memory does not grow later
SHORT = ("+trainer.limit_train_batches=50", "+trainer.limit_val_batches=1")


def run_python(arguments: list[str], directory: Path) -> tuple[float, float]:
    """Run Python to its end; return the wall time in seconds and the peak memory in MiB.

    Raises:
        RuntimeError: The process has failed; the message ends with its last output.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen([sys.executable, *arguments], cwd=directory, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(arguments)}: {output.read()[-2000:]}")
    kibibytes = usage.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return seconds, kibibytes / 1024


def measure_startup(directory: Path) -> Round:
    """Return the seconds of one training step on digits by ours and by the template, and of `import torch`."""
    one_step = ["experiment=digits_cnn", "+trainer.max_steps=1", "test=false"]
    return {
        "import torch": run_python(["-c", "import torch"], directory)[0],
        "ours": run_python([*TRAINER, *one_step], directory)[0],
        "template": run_python(["-c", "import template_start"], directory)[0],
    }


def measure_sweep(directory: Path) -> Round:
    """Return the seconds of eight tiny runs: in one process, with two workers, and in eight processes.

    `SWEEP_WITHOUT_STARTUP` is the sweep without the time that one process takes before and after its run.
    """
    with tempfile.TemporaryDirectory(dir=directory) as name:
        process_seconds, _ = run_python([*TRAINER, *TINY, "seed=1"], Path(name))
        run_seconds = json.loads(next(Path(name).rglob("result.json")).read_text())["seconds"]
    sweep = [*TRAINER, "-m", *TINY, "seed=1,2,3,4,5,6,7,8"]
    serial, _ = run_python(sweep, directory)
    parallel, _ = run_python([*sweep, "sweep.workers=2"], directory)
    return {
        "ours": serial,
        "8 x one run": 8 * process_seconds,
        SWEEP_WITHOUT_STARTUP: serial - (process_seconds - run_seconds),
        "8 x its training": 8 * run_seconds,
        TWO_WORKERS: parallel,
    }


def measure_memory(workload: str, directory: Path) -> Round:
    """Return the peak memory in MiB of our training, and of the plain loop in a process without our framework."""
    job = directory / f"{workload}.job"
    if not job.exists():
        run_python(
            ["-c", f"import peak_memory; peak_memory.save({workload!r}, {str(directory)!r}, {str(job)!r})"], directory
        )
    overrides = build_overrides(workload, directory, quick=False)
    plain = f"import peak_memory; peak_memory.train({str(job)!r}, {str(directory)!r})"
    return {
        "ours": run_python([*TRAINER, *overrides, *SHORT, "test=false"], directory)[1],
        "plain": run_python(["-c", plain], directory)[1],
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and the main packages."""
    from importlib.metadata import version

    names = ["torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "tensorboard"]
    return {"python": sys.version.split()[0]} | {name: version(name) for name in names}


def cpu_name() -> str:
    """Return the name of the processor, or `unknown`."""
    file = Path("/proc/cpuinfo")
    match = re.search(r"model name\s*: (.+)", file.read_text()) if file.exists() else None
    return match[1] if match else "unknown"

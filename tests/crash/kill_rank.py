"""Script that kills random processes of a run with two processes, resumes it each time, and compares the results.

    python tests/crash/kill_rank.py [strategies=ddp_sim,ddp,fsdp] [times=20] [moments=1]

A process is the one that was started, or one of those that it starts, also before they have connected. After each kill
no other process of the run may be left, and none may have listened on an external interface. In the end the weights and
metrics.csv must equal those of a run that was never killed. The exit status is 0 if they do.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training/distributed"))
from processes import find_listening_addresses, find_processes

RUN = ["data=digits", "model=mlp", "model.net.dropout=0", "data.batch_size=32", "trainer.max_epochs=40", "logger=csv"]
RUN += ["callbacks=[checkpoint,progress]", "resume=auto"]
STRATEGIES = {
    "ddp_sim": ["trainer=ddp_sim"],
    "ddp": ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"],
    "fsdp": ["trainer=ddp_sim", "trainer.strategy=fsdp"],
}
LOOPBACK = {"127.0.0.1", "::1"}
END_SECONDS = 20.0  # in which all processes must have ended
MAX_DELAY_SECONDS = 16.0  # until the kill; a run trains after about half of it


def start(strategy: str, run: Path) -> "subprocess.Popen[bytes]":
    """Start or resume the run in a session of its own."""
    command = [sys.executable, "-m", "trainer", *STRATEGIES[strategy], *RUN, f"hydra.run.dir={run}"]
    with run.with_suffix(".log").open("a") as log:
        return subprocess.Popen(command, cwd=run.parent, stdout=log, stderr=log, start_new_session=True)


def kill_one(process: "subprocess.Popen[bytes]") -> str:
    """Kill a process of a run after a random time; return its kind, "" if the run has ended before."""
    deadline = time.monotonic() + random.uniform(0, MAX_DELAY_SECONDS)
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return ""
        time.sleep(0.02)
    processes = find_processes(process.pid)
    external = {*find_listening_addresses(processes)} - LOOPBACK
    if external:
        raise SystemExit(f"listening on {external}")
    victim = random.choice(processes or [process.pid])
    kind = "parent" if victim == process.pid else "rank"
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        return ""
    return kind


def wait_for_end(process: "subprocess.Popen[bytes]") -> None:
    """Wait until all processes of a run have ended."""
    deadline = time.monotonic() + END_SECONDS
    while process.poll() is None or find_processes(process.pid):
        if time.monotonic() > deadline:
            raise SystemExit(f"processes {find_processes(process.pid)} are left")
        time.sleep(0.05)


def run_and_kill(strategy: str, run: Path, times: int, kills: "Counter[str]") -> bool:
    """Start or resume a run, and kill a process unless that was done often enough; return whether it was killed."""
    process = start(strategy, run)
    kind = kill_one(process) if kills.total() < times else ""
    code = process.wait()
    wait_for_end(process)
    if kind:
        kills[kind] += 1
    elif code:
        raise SystemExit(run.with_suffix(".log").read_text()[-3000:])
    return code != 0


def are_equal(first: Path, second: Path) -> bool:
    """Return whether the weights and the logged values of two runs are equal."""
    checkpoints = [torch.load(run / "checkpoints/last.ckpt", weights_only=True) for run in (first, second)]
    weights, expected = (checkpoint["state_dict"] for checkpoint in checkpoints)
    are_weights_equal = all(torch.equal(weights[name], expected[name]) for name in expected)
    return are_weights_equal and (first / "metrics.csv").read_bytes() == (second / "metrics.csv").read_bytes()


def main(argv: list[str]) -> int:
    options = dict(argument.split("=", 1) for argument in argv)
    times = int(options.get("times", 20))
    random.seed(int(options.get("moments", 1)))
    has_failed = False
    for strategy in options.get("strategies", ",".join(STRATEGIES)).split(","):
        with tempfile.TemporaryDirectory(prefix="kill_rank_") as root:
            reference = Path(root) / "reference"
            if start(strategy, reference).wait():
                print(f"| {strategy} | does not run: {reference.with_suffix('.log').read_text()[-300:].strip()} |")
                continue
            kills: Counter[str] = Counter()
            n_runs = 0
            is_equal = True
            while kills.total() < times and is_equal:
                run = Path(root) / f"run-{n_runs}"
                n_runs += 1
                while run_and_kill(strategy, run, times, kills):
                    pass
                is_equal = are_equal(run, reference)
            has_failed |= not is_equal
            kinds = ", ".join(f"{count} {kind}" for kind, count in kills.items())
            verdict = "identical" if is_equal else "DIFFERS"
            print(f"| {strategy} | {kills.total()} ({kinds}) in {n_runs} run(s) | {verdict} |", flush=True)
    return has_failed


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main(sys.argv[1:]))

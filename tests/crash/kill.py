"""Script that repeatedly kills a run with SIGKILL and resumes it, and compares it with an uninterrupted run.

    python tests/crash/kill.py experiment=digits_cnn times=20 [seed=1] [further overrides]

The moments are random, of four kinds in turn: within a training step, within a validation, while a checkpoint is
written (half of it, before it is renamed, or after that), and after a random time. The exit status is 0 if the run ends
with the same weights, optimizer states, best checkpoint, rows of metrics.csv and TensorBoard scalars, each step once.
The run saves every 0.3 seconds, so that it makes progress between two kills.

Each attempt is a fork of this process, which has imported everything, so that twenty attempts are fast.
"""

import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

KINDS = ("step", "validation", "write", "clock")


class Moment:
    """Moment at which a process kills itself: the event number `countdown` of a kind; 0 for never."""

    def __init__(self, kind: str = "", countdown: int = 0) -> None:
        self.kind = kind
        self.countdown = countdown
        self.counts: Counter[str] = Counter()

    def count(self, kind: str) -> bool:
        """Count an event; return True if it is the one."""
        self.counts[kind] += 1
        return kind == self.kind and self.counts[kind] == self.countdown


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def watch(moment: Moment) -> None:
    """Count steps, validation batches and writes in a child process, and die in the chosen one."""
    from trainer.artifacts import checkpoint_io
    from trainer.task.adversarial import Adversarial
    from trainer.task.supervised import Supervised

    for task in (Supervised, Adversarial):
        for name, kind in {"training_step": "step", "validation_step": "validation"}.items():
            setattr(task, name, die_after(getattr(task, name), kind, moment))
    write = checkpoint_io.atomic_write_bytes

    def interrupted_write(path: Path, *parts: Any) -> None:
        if moment.count("write"):
            content = b"".join(parts)
            state = random.choice(["half", "before the renaming", "after"])
            partial = path.with_name(path.name + ".part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content[: len(content) // 2] if state == "half" else content)
            if state == "after":
                partial.replace(path)
            die()
        write(path, *parts)

    checkpoint_io.atomic_write_bytes = interrupted_write


def die_after(step: Any, kind: str, moment: Moment) -> Any:
    def watched(self: Any, batch: Any, batch_idx: int) -> Any:
        output = step(self, batch, batch_idx)
        if moment.count(kind):
            die()
        return output

    return watched


def attempt(overrides: list[str], moment: Moment, log: Path, clock: float | None = None) -> tuple[int, Counter[str]]:
    """Run the command in a fork.

    Returns:
        int: Exit status, or the negative number of the signal that killed it.
        Counter: Events by kind; empty if it was killed.
    """
    counts = log.with_suffix(".json")
    counts.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        watch(moment)
        sys.argv = ["trainer", *overrides]
        code: Any = 0
        try:
            from trainer.cli.main import main

            main()
        except SystemExit as error:
            code = error.code
            if isinstance(code, str):
                print(code, flush=True)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
        counts.write_text(json.dumps(moment.counts))
        os._exit(code or 0)
    if clock is not None:
        time.sleep(clock)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), Counter(json.loads(counts.read_text())) if counts.exists() else Counter()


def read_results(run: Path) -> dict[str, Any]:
    """Return all numbers of a run."""
    import torch
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    files = [run / f"checkpoints/{name}.ckpt" for name in ("last", "best")]
    last, *best = (torch.load(file, weights_only=True) for file in files if file.is_file())  # not all have a best one
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    with (run / "metrics.csv").open() as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return {
        "weights": last["state_dict"],
        "optimizers": [state["state"] for state in last["optimizer_states"]],
        "best": [checkpoint["state_dict"] for checkpoint in best],
        "rows": rows,
        "scalars": {
            name: [(event.step, repr(event.value)) for event in events.Scalars(name)]
            for name in sorted({*events.Tags()["scalars"]} - {"other/steps_per_second"})  # depends on the time
        },
        "result": {
            name: repr(value) for name, value in json.loads((run / "result.json").read_text())["metrics"].items()
        },
    }


def are_equal(first: Any, second: Any) -> bool:
    """Return True if all bits are equal; NaN is equal to NaN."""
    import torch

    if isinstance(first, torch.Tensor):
        return bool(torch.equal(first, second) or torch.equal(first.nan_to_num(7.7), second.nan_to_num(7.7)))
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(are_equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(are_equal, first, second))
    return first == second


def run_with_kills(
    overrides: list[str], events: Counter[str], seconds: float, times: int, run: Path, log: Path
) -> Counter[str]:
    """Start a run, kill and resume it, and let it finish; return the number of kills by kind.

    Args:
        overrides: Overrides of the run.
        events: Number of events of the uninterrupted run, by kind.
        seconds: Duration of the uninterrupted run.
        times: Number of kills.
        run: Directory of the run.
        log: File for the output.
    """
    killed: Counter[str] = Counter()
    command = [*overrides, f"hydra.run.dir={run}"]
    patience = 1.0
    for number in range(10 * times):
        kind = KINDS[number % len(KINDS)] if sum(killed.values()) < times else ""
        fraction = 2 * patience * random.random() / times  # of the whole run
        countdown = 1 + int(fraction * events[kind])
        clock = max(0.5, fraction * seconds) if kind == "clock" else None
        checkpoint = read_last_checkpoint(run)
        code, _ = attempt(command, Moment(kind, countdown), log, clock)
        if (run / ".hydra/overrides.yaml").exists():
            command = ["resume", str(run)]
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise SystemExit(f"ended with {code}\n{log.read_text()[-3000:]}")
        killed[kind] += 1
        patience = patience * 1.5 if read_last_checkpoint(run) == checkpoint else 1.0
    return killed


def read_last_checkpoint(run: Path) -> tuple[float, int] | None:
    file = run / "checkpoints/last.ckpt"
    return (file.stat().st_mtime, file.stat().st_size) if file.exists() else None


def main(argv: list[str]) -> int:
    options = dict(argument.split("=", 1) for argument in argv if argument.startswith(("times=", "moments=")))
    times = int(options.get("times", 20))
    random.seed(int(options.get("moments", 1)))
    overrides = [argument for argument in argv if argument.partition("=")[0] not in options]
    overrides += ["callbacks.checkpoint.every_minutes=0.005", "hydra.job.chdir=false"]
    experiment = next((item.partition("=")[2] for item in overrides if item.startswith("experiment=")), "run")
    import trainer.training.run  # noqa: F401  imported for all forks

    with tempfile.TemporaryDirectory(prefix="kill_") as root:
        directory = Path(root)
        start = time.monotonic()
        reference = directory / "uninterrupted"
        log = directory / "uninterrupted.log"
        code, events = attempt([*overrides, f"hydra.run.dir={reference}"], Moment(), log)
        seconds = time.monotonic() - start
        if code:
            raise SystemExit(log.read_text()[-3000:])
        killed = run_with_kills(overrides, events, seconds, times, directory / "killed", directory / "killed.log")
        expected = read_results(reference)
        actual = read_results(directory / "killed")
        differing = [name for name in expected if not are_equal(expected[name], actual[name])]
        if differing and os.environ.get("KEEP"):
            os.system(f"cp -r {directory} {os.environ['KEEP']}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in killed.items())
    verdict = f"DIFFERS in {', '.join(differing)}" if differing else "identical"
    print(f"| {experiment} | {events['step']} | {sum(killed.values())} ({kinds}) | {verdict} |", flush=True)
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

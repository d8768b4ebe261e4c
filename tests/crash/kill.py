"""Kill a run again and again with SIGKILL, resume it, and compare it with one that was never stopped.

    python tests/crash/kill.py experiment=digits_cnn times=20 [seed=1] [more words of `trainer`]

The moments are random, of four kinds in turn: within a training step, within a validation, while a checkpoint is being
written (half of it, all of it but the new name, or after that), and by the clock from outside. The run must end with
the same weights, the same states of the optimizer, the same best checkpoint, the same rows of metrics.csv and the same
scalars in TensorBoard, each step once: then the exit status is 0. It saves more often than is usual, every 0.3 seconds,
so that it gets somewhere between two kills.

Each attempt is a fork of this process, which has imported everything: only so are twenty attempts quick.
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
    """When a process is to kill itself: the so-manieth time that something of a kind happens; 0 for never."""

    def __init__(self, kind: str = "", countdown: int = 0) -> None:
        self.kind, self.countdown, self.seen = kind, countdown, Counter()

    def happens(self, kind: str) -> bool:
        self.seen[kind] += 1
        return kind == self.kind and self.seen[kind] == self.countdown


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def watch(moment: Moment) -> None:
    """In a child: count steps, batches of validation and writes, and die in the middle of the chosen one."""
    from trainer.artifacts import checkpoint_io
    from trainer.task.adversarial import Adversarial
    from trainer.task.supervised import Supervised

    for task in (Supervised, Adversarial):
        for name, kind in {"training_step": "step", "validation_step": "validation"}.items():
            setattr(task, name, dying_after(getattr(task, name), kind, moment))
    write = checkpoint_io.write_whole

    def torn(path: Path, *parts: Any) -> None:
        if moment.happens("write"):
            content = b"".join(parts)
            how = random.choice(["half", "before the new name", "after"])
            partial = path.with_name(path.name + ".part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content[: len(content) // 2] if how == "half" else content)
            if how == "after":
                partial.replace(path)
            die()
        write(path, *parts)

    checkpoint_io.write_whole = torn


def dying_after(step: Any, kind: str, moment: Moment) -> Any:
    def watched(self: Any, batch: Any, batch_idx: int) -> Any:
        output = step(self, batch, batch_idx)
        if moment.happens(kind):
            die()
        return output

    return watched


def attempt(words: list[str], moment: Moment, log: Path, clock: float | None = None) -> tuple[int, Counter[str]]:
    """Run the command in a fork.

    Returns:
        int: Its exit status, or minus the signal that ended it.
        Counter: What happened in it, if it came to its end.
    """
    counts = log.with_suffix(".json")
    counts.unlink(missing_ok=True)
    child = os.fork()
    if not child:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        watch(moment)
        sys.argv = ["trainer", *words]
        code: Any = 0
        try:
            from trainer.cli.main import main

            main()
        except SystemExit as end:
            code = end.code
            if isinstance(code, str):
                print(code, flush=True)
                code = 1
        except BaseException:
            traceback.print_exc()
            code = 1
        counts.write_text(json.dumps(moment.seen))
        os._exit(code or 0)
    if clock is not None:
        time.sleep(clock)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), Counter(json.loads(counts.read_text())) if counts.exists() else Counter()


def left_behind(run: Path) -> dict[str, Any]:
    """All numbers that a run has arrived at, comparable by `==`."""
    import torch
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    kept = [run / f"checkpoints/{name}.ckpt" for name in ("last", "best")]
    last, *best = (torch.load(file, weights_only=True) for file in kept if file.is_file())  # some monitor nothing
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    with (run / "metrics.csv").open() as file:
        rows = [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]
    return {
        "weights": last["state_dict"],
        "optimizers": [state["state"] for state in last["optimizer_states"]],
        "best": [each["state_dict"] for each in best],
        "rows": rows,
        "scalars": {
            name: [(event.step, repr(event.value)) for event in events.Scalars(name)]
            for name in sorted({*events.Tags()["scalars"]} - {"steps_per_second"})  # time is never the same
        },
        "result": {
            name: repr(value) for name, value in json.loads((run / "result.json").read_text())["metrics"].items()
        },
    }


def same(one: Any, other: Any) -> bool:
    """Equal in every bit; NaN is equal to NaN."""
    import torch

    if isinstance(one, torch.Tensor):
        return bool(torch.equal(one, other) or torch.equal(one.nan_to_num(7.7), other.nan_to_num(7.7)))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def killed_run(words: list[str], whole: Counter[str], seconds: float, times: int, run: Path, log: Path) -> Counter[str]:
    """Begin a run, kill and resume it so many times, and let it end; returns how often it was killed, by kind."""
    killed: Counter[str] = Counter()
    command, patience = [*words, f"hydra.run.dir={run}"], 1.0
    for number in range(10 * times):
        kind = KINDS[number % len(KINDS)] if sum(killed.values()) < times else ""
        share = 2 * patience * random.random() / times  # of the whole run
        countdown = 1 + int(share * whole[kind])
        clock = max(0.5, share * seconds) if kind == "clock" else None
        step = last_step(run)
        code, _ = attempt(command, Moment(kind, countdown), log, clock)
        if (run / ".hydra/overrides.yaml").exists():
            command = ["resume", str(run)]
        if code == 0:
            break
        if code != -signal.SIGKILL:
            raise SystemExit(f"ended with {code}\n{log.read_text()[-3000:]}")
        killed[kind] += 1
        patience = patience * 1.5 if last_step(run) == step else 1.0
    return killed


def last_step(run: Path) -> tuple[float, int] | None:
    file = run / "checkpoints/last.ckpt"
    return (file.stat().st_mtime, file.stat().st_size) if file.exists() else None


def main(words: list[str]) -> int:
    own = dict(word.split("=", 1) for word in words if word.startswith(("times=", "moments=")))
    times = int(own.get("times", 20))
    random.seed(int(own.get("moments", 1)))
    words = [word for word in words if word.partition("=")[0] not in own]
    words += ["callbacks.checkpoint.every_minutes=0.005", "hydra.job.chdir=false"]
    name = next((word.partition("=")[2] for word in words if word.startswith("experiment=")), "run")
    import trainer.training.run  # noqa: F401  what every fork then has

    with tempfile.TemporaryDirectory(prefix="kill_") as folder:
        place = Path(folder)
        began = time.monotonic()
        code, whole = attempt([*words, f"hydra.run.dir={place}/through"], Moment(), place / "through.log")
        seconds = time.monotonic() - began
        if code:
            raise SystemExit((place / "through.log").read_text()[-3000:])
        killed = killed_run(words, whole, seconds, times, place / "killed", place / "killed.log")
        through, stopped = left_behind(place / "through"), left_behind(place / "killed")
        differing = [what for what in through if not same(through[what], stopped[what])]
        if differing and os.environ.get("KEEP"):
            os.system(f"cp -r {place} {os.environ['KEEP']}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in killed.items())
    verdict = f"DIFFERS in {', '.join(differing)}" if differing else "identical"
    print(f"| {name} | {whole['step']} | {sum(killed.values())} ({kinds}) | {verdict} |", flush=True)
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

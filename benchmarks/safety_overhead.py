"""Cost of the safety features of a run, for each step and for each checkpoint.

    python benchmarks/safety_overhead.py [--rounds N]

Steps: ours as configured by default, against ours with the checkpoints of Lightning and without the check of the loss.
Checkpoints: ours (all states to resume from, the config of the network, a checksum, synchronized to the disk before the
previous one is deleted) against that of Lightning, and against `torch.save` of only the weights and the optimizer.
"""

import argparse
import io
import statistics
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from harness import DATA_DIR, Harness
from table import format_number
from workloads import WORKLOADS, build_overrides

UNSAFE = [
    "callbacks.checkpoint._target_=pytorch_lightning.callbacks.ModelCheckpoint",
    *("~callbacks.checkpoint.every_minutes", "~callbacks.finite_loss"),
]
NETS = {
    "MLP, 64-64-10": ["data=digits", "model=mlp", "model.net.hidden=[64]"],
    "CNN of digits_cnn": ["experiment=digits_cnn"],
    "ResNet-18": ["data=cifar10", "data.synthetic=true", "model=resnet", "+trainer.limit_val_batches=1"],
}
SHORT = ["trainer.max_epochs=1", "+trainer.limit_train_batches=2"]
TIMER = "+callbacks.checkpoint_timer._target_=checkpoint_overhead.CheckpointTimer"


def measure_checkpoints(directory: Path) -> list[str]:
    """Return a row of the table for each network."""
    import ours  # imports the command
    from checkpoint_overhead import measurements

    rows = []
    for name, overrides in NETS.items():
        measurements.clear()
        with redirect_stdout(io.StringIO()):
            ours.train([*overrides, *SHORT, TIMER], directory)
        rounds = measurements[1:]  # without the warm-up
        milliseconds = {kind: 1000 * statistics.median(times[kind][0] for times in rounds) for kind in rounds[0]}
        ratios = [
            statistics.median(times["ours"][0] / times[kind][0] for times in rounds) for kind in ("Lightning", "plain")
        ]
        sizes = [rounds[0][kind][1] / 1024 for kind in milliseconds]
        cells = [
            *map(format_number, milliseconds.values()),
            *map(format_number, ratios),
            *(f"{size:,.0f}" for size in sizes),
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def measure_steps(workload: str, harness: Harness, directory: Path, rounds: int) -> str:
    """Return a row of the table: the medians, and the median and range of the ratios of each round."""
    overrides = build_overrides(workload, directory, quick=workload == "mnist")
    pairs = []
    for _ in range(rounds + 1):
        pairs.append([harness.measure("ours", [*overrides, *extra]) for extra in ([], UNSAFE)])
    pairs = pairs[1:]  # without the warm-up
    ratios = [safe / unsafe for safe, unsafe in pairs]
    safe, unsafe = (statistics.median(pair[index] for pair in pairs) for index in (0, 1))
    ratio = f"{format_number(statistics.median(ratios))} | {format_number(min(ratios))} .. {format_number(max(ratios))}"
    return f"| {workload} | {format_number(safe)} | {format_number(unsafe)} | {ratio} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="safety_") as name:
        directory = Path(name)
        rows = measure_checkpoints(directory)
        print("| checkpoint | ours, ms | Lightning's | plain | ratio | ratio | KiB: ours | Lightning's | plain |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *rows, sep="\n", flush=True)
        print("| workload | steps/s | without | ratio | range |\n| --- | ---: | ---: | ---: | --- |")
        for workload in ("xor", "diabetes", "mnist"):
            needs = WORKLOADS[workload].needs
            if not (DATA_DIR / needs).exists():
                print(f"not measured: {workload}: {needs} is not in {DATA_DIR}; set TRAINER_DATA_DIR", flush=True)
                continue
            with Harness(directory) as harness:
                print(measure_steps(workload, harness, directory, rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

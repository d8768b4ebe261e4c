"""What it costs that a run can be trusted: by the step, and by the checkpoint.

    python benchmarks/trust.py [--rounds N]

Steps: ours as it is, against ours with Lightning's own checkpoints and nobody looking at whether the loss is finite.
Checkpoints: ours (all states that a run goes on from, what builds the network again, a checksum, on the disk before the
one before it goes) against Lightning's of the same training, and against `torch.save` of weights and optimizer alone.
"""

import argparse
import io
import statistics
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

from contest import DATA, Contest
from table import number
from works import WORKS, words_of

WITHOUT = [
    "callbacks.checkpoint._target_=pytorch_lightning.callbacks.ModelCheckpoint",
    *("~callbacks.checkpoint.every_minutes", "~callbacks.finite_loss"),
]
NETS = {
    "MLP, 64-64-10": ["data=digits", "model=mlp", "model.net.hidden=[64]"],
    "CNN of digits_cnn": ["experiment=digits_cnn"],
    "ResNet-18": ["data=cifar10", "data.synthetic=true", "model=resnet", "+trainer.limit_val_batches=1"],
}
FEW = ["trainer.max_epochs=1", "+trainer.limit_train_batches=2", "+callbacks.saves._target_=saves.Saves"]


def checkpoints(folder: Path) -> list[str]:
    """A row for each network."""
    import ours  # the command, which is imported when it is wanted
    from saves import saved

    lines = []
    for name, words in NETS.items():
        saved.clear()
        with redirect_stdout(io.StringIO()):
            ours.train([*words, *FEW], folder)
        counted = saved[1:]
        milliseconds = {kind: 1000 * statistics.median(one[kind][0] for one in counted) for kind in counted[0]}
        ratios = [
            statistics.median(one["ours"][0] / one[kind][0] for one in counted) for kind in ("Lightning", "plain")
        ]
        sizes = [counted[0][kind][1] / 1024 for kind in milliseconds]
        cells = [*map(number, milliseconds.values()), *map(number, ratios), *(f"{size:,.0f}" for size in sizes)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def steps(work: str, contest: Contest, folder: Path, rounds: int) -> str:
    """A row of steps: the medians, and the median and spread of the ratios of one round each."""
    words = words_of(work, folder, quick=work == "mnist")
    found = []
    for _ in range(rounds + 1):  # the first one is not counted
        found.append([contest.measure("ours", [*words, *more]) for more in ([], WITHOUT)])
    ratios = [own / bare for own, bare in found[1:]]
    own, bare = (statistics.median(pair[place] for pair in found[1:]) for place in (0, 1))
    spread = f"{number(min(ratios))} .. {number(max(ratios))}"
    return f"| {work} | {number(own)} | {number(bare)} | {number(statistics.median(ratios))} | {spread} |"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="trust_") as folder:
        place = Path(folder)
        made = checkpoints(place)
        print("| checkpoint | ours, ms | Lightning's | plain | ratio | ratio | KiB: ours | Lightning's | plain |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *made, sep="\n", flush=True)
        print("| work | steps/s | without | ratio | from .. to |\n| --- | ---: | ---: | ---: | --- |")
        for work in ("xor", "diabetes", "mnist"):
            if not (DATA / WORKS[work].needs).exists():
                print(f"not measured: {work}: {WORKS[work].needs} is not in {DATA}; set TRAINER_DATA_DIR", flush=True)
                continue
            with Contest(place) as contest:
                print(steps(work, contest, place, rounds), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

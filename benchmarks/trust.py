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
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import torch
from contest import DATA, Contest
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.plugins.io import TorchCheckpointIO
from table import number
from works import WORKS, words_of

from trainer.callbacks.checkpoint import Checkpoint

WITHOUT = [
    "callbacks.checkpoint._target_=pytorch_lightning.callbacks.ModelCheckpoint",
    *("~callbacks.checkpoint.every_minutes", "~callbacks.finite_loss"),
]
NETS = {
    "MLP, 64-64-10": ["data=digits", "model=mlp", "model.net.hidden=[64]"],
    "CNN of digits_cnn": ["experiment=digits_cnn"],
    "ResNet-18": ["data=cifar10", "data.synthetic=true", "model=resnet", "+trainer.limit_val_batches=1"],
}
FEW = ["trainer.max_epochs=1", "+trainer.limit_train_batches=2", "test=false"]
SAVED: list[dict[str, tuple[float, int]]] = []  # seconds and bytes of each kind
TIMES = 10  # that each kind of checkpoint is written, in turn


class Saves(Callback):
    """Writes checkpoints of the trained network, and notes how long each kind takes and how large it is."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them, in turn."""
        (ours,) = (each for each in trainer.checkpoint_callbacks if isinstance(each, Checkpoint))
        sealed, folder = trainer.strategy.checkpoint_io, Path(trainer.default_root_dir)
        plain = {"weights": pl_module.net.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}

        def as_ours(path: Path) -> None:
            trainer.strategy.save_checkpoint(ours._checkpoint(trainer, "epoch", with_logs=True), path)

        def as_lightning(path: Path) -> None:
            trainer.strategy.checkpoint_io = TorchCheckpointIO()
            trainer.save_checkpoint(path)
            trainer.strategy.checkpoint_io = sealed

        def as_plain(path: Path) -> None:
            torch.save(plain, path)

        for _ in range(TIMES):
            kinds: dict[str, Callable[[Path], None]] = {"ours": as_ours, "Lightning": as_lightning, "plain": as_plain}
            SAVED.append({})
            for name, save in kinds.items():
                path, began = folder / f"{name}.ckpt", time.perf_counter()
                save(path)
                SAVED[-1][name] = time.perf_counter() - began, path.stat().st_size


def checkpoints(folder: Path) -> list[str]:
    """A row for each network."""
    import ours
    from trust import SAVED  # of the module that the run imports

    lines = []
    for name, words in NETS.items():
        SAVED.clear()
        sys.argv = ["trainer", *words, *FEW, f"outputs='{folder}'", "+callbacks.saves._target_=trust.Saves"]
        with redirect_stdout(io.StringIO()):
            run(ours.main)
        counted = SAVED[1:]
        milliseconds = {kind: 1000 * statistics.median(one[kind][0] for one in counted) for kind in counted[0]}
        ratios = [
            statistics.median(one["ours"][0] / one[kind][0] for one in counted) for kind in ("Lightning", "plain")
        ]
        sizes = [counted[0][kind][1] / 1024 for kind in milliseconds]
        cells = [*map(number, milliseconds.values()), *map(number, ratios), *(f"{size:,.0f}" for size in sizes)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def run(main: Callable[[], None]) -> None:
    """Run the command, which ends by leaving."""
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f"{' '.join(sys.argv)}: {end.code}") from end


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

"""Script that kills and resumes a short form of every experiment, or replays it, and compares the results bit by bit.

    TRAINER_DATA_DIR=... python tests/crash/every_kill_point.py kill [times=20] [experiments]
    TRAINER_DATA_DIR=... python tests/crash/every_kill_point.py replay [experiments]

Prints a row per experiment; two run at a time, with one thread each. The exit status is 0 if all are identical.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

SCRIPT = Path(__file__).resolve()
TRAINER = [sys.executable, "-m", "trainer"]
FEW_BATCHES = ["+trainer.limit_train_batches=20", "+trainer.limit_val_batches=4", "+trainer.limit_test_batches=2"]
FEW_EPOCHS = [*FEW_BATCHES, "trainer.max_epochs=3"]
FEWER_BATCHES = ["+trainer.limit_train_batches=8", *FEW_BATCHES[1:], "trainer.max_epochs=3"]
TRANSFER = ["data.val_size=100", "+trainer.limit_test_batches=1", "trainer.max_epochs=6"]
SHORT = {
    "cifar10_cnn": FEW_EPOCHS,
    "cifar10_fast": [*FEW_EPOCHS, "trainer.check_val_every_n_epoch=1"],
    "cifar10_tutorial": ["+trainer.limit_train_batches=500", *FEW_BATCHES[1:], "trainer.max_epochs=3"],
    "diabetes_mlp": ["trainer.max_epochs=40"],
    "diabetes_tutorial": ["trainer.max_epochs=40"],
    "digits_attention": ["trainer.max_epochs=8"],
    "digits_cnn": ["trainer.max_epochs=8"],
    "gan_mnist": FEW_EPOCHS,
    "gan_small": FEW_EPOCHS,
    "gan_tutorial": FEW_EPOCHS,
    "imdb_attention": FEWER_BATCHES,
    "imdb_attention_tutorial": ["data.batch_size=8", *FEWER_BATCHES],
    "imdb_bag": FEWER_BATCHES,
    "imdb_lstm": FEWER_BATCHES,
    "imdb_lstm_tutorial": FEWER_BATCHES,
    "line_linear": [],
    "line_mlp": [],
    "line_tutorial": ["trainer.max_epochs=300"],
    "logistic_linear": [],
    "logistic_tutorial": [],
    "mnist_cnn": FEW_EPOCHS,
    "mnist_tutorial": FEW_EPOCHS,
    "resnet_frozen": TRANSFER,
    "resnet_scratch": TRANSFER,
    "resnet_source": FEW_EPOCHS,
    "resnet_transfer": [*TRANSFER, "trainer.max_epochs=7"],  # its first layer is unfrozen in the sixth
    "stock_attention": ["trainer.max_epochs=5"],
    "stock_lstm": ["trainer.max_epochs=5"],
    "stock_tutorial": ["trainer.max_epochs=5"],
    "xor_mlp": [],
    "xor_tutorial": ["trainer.max_epochs=20"],
}
PRETRAINED_BY = {"resnet_frozen": "resnet_source", "resnet_transfer": "resnet_source"}


def overrides_of(experiment: str, directory: Path) -> list[str]:
    overrides = [f"experiment={experiment}", *SHORT[experiment]]
    if source := PRETRAINED_BY.get(experiment):
        overrides.append(f"model.net.weights={directory / source}")
    return overrides


def run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def kill_and_compare(times: str, directory: Path, experiment: str) -> bool:
    command = [sys.executable, str(SCRIPT.with_name("kill.py")), times, *overrides_of(experiment, directory)]
    process = run(command, directory)
    print(process.stdout or f"| {experiment} | FAILED\n{process.stderr[-3000:]}", end="", flush=True)
    return process.returncode == 0


def replay_and_compare(directory: Path, experiment: str) -> bool:
    original = directory / "original" / experiment
    process = run([*TRAINER, *overrides_of(experiment, directory), f"hydra.run.dir={original}"], directory)
    if process.returncode == 0:
        process = run([*TRAINER, "replay", str(original)], directory)
    is_identical = process.returncode == 0
    verdict = "identical" if is_identical else process.stdout[-2000:] + process.stderr[-2000:]
    print(f"| {experiment} | {verdict} |", flush=True)
    return is_identical


def main(argv: list[str]) -> int:
    mode, *arguments = argv
    times = next((argument for argument in arguments if argument.startswith("times=")), "times=20")
    experiments = [argument for argument in arguments if argument != times] or [*SHORT]
    if mode not in ("kill", "replay") or not {*experiments} <= SHORT.keys():
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="every_") as name, ThreadPoolExecutor(2) as pool:
        directory = Path(name)
        for source in {PRETRAINED_BY[experiment] for experiment in experiments if experiment in PRETRAINED_BY}:
            overrides = [*overrides_of(source, directory), f"hydra.run.dir={directory / source / 'run'}"]
            process = run([*TRAINER, *overrides], directory)
            if process.returncode:
                raise SystemExit(process.stderr)
        if mode == "kill":
            compare = partial(kill_and_compare, times, directory)
        else:
            compare = partial(replay_and_compare, directory)
        return not all([*pool.map(compare, experiments)])


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main(sys.argv[1:]))

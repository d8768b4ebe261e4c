"""Kill and resume the short form of every recipe, or replay it: either way the same bits must come out.

    TRAINER_DATA_DIR=... python tests/crash/every_kill_point.py kill [times=20] [recipes]
    TRAINER_DATA_DIR=... python tests/crash/every_kill_point.py replay [recipes]

Prints a row for each, two recipes at a time, one thread each. The exit status is 0 if all are identical.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve()
TRAINER = [sys.executable, "-m", "trainer"]
FEW = ["+trainer.limit_train_batches=20", "+trainer.limit_val_batches=4", "+trainer.limit_test_batches=2"]
FEW_EPOCHS = [*FEW, "trainer.max_epochs=3"]
READING = ["+trainer.limit_train_batches=8", *FEW[1:], "trainer.max_epochs=3"]
TRANSFER = ["data.val_size=100", "+trainer.limit_test_batches=1", "trainer.max_epochs=6"]
SHORT = {
    "cifar10_cnn": FEW_EPOCHS,
    "cifar10_tutorial": ["+trainer.limit_train_batches=500", *FEW[1:], "trainer.max_epochs=3"],
    "diabetes_mlp": ["trainer.max_epochs=40"],
    "diabetes_tutorial": ["trainer.max_epochs=40"],
    "digits_attention": ["trainer.max_epochs=8"],
    "digits_cnn": ["trainer.max_epochs=8"],
    "gan_mnist": FEW_EPOCHS,
    "gan_small": FEW_EPOCHS,
    "gan_tutorial": FEW_EPOCHS,
    "imdb_attention": READING,
    "imdb_attention_tutorial": ["data.batch_size=8", *READING],
    "imdb_lstm": READING,
    "imdb_lstm_tutorial": READING,
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
STARTS_FROM = {"resnet_frozen": "resnet_source", "resnet_transfer": "resnet_source"}


def words_of(recipe: str, place: Path) -> list[str]:
    words = [f"experiment={recipe}", *SHORT[recipe]]
    if source := STARTS_FROM.get(recipe):
        words.append(f"model.net.weights={place / source}")
    return words


def run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=place, capture_output=True, text=True)


def killed(times: str, place: Path, recipe: str) -> bool:
    answer = run([sys.executable, str(HERE.with_name("kill.py")), times, *words_of(recipe, place)], place)
    print(answer.stdout or f"| {recipe} | FAILED\n{answer.stderr[-3000:]}", end="", flush=True)
    return answer.returncode == 0


def replayed(place: Path, recipe: str) -> bool:
    first = place / "first" / recipe
    answer = run([*TRAINER, *words_of(recipe, place), f"hydra.run.dir={first}"], place)
    if answer.returncode == 0:
        answer = run([*TRAINER, "replay", str(first)], place)
    same = answer.returncode == 0
    print(f"| {recipe} | {'identical' if same else answer.stdout[-2000:] + answer.stderr[-2000:]} |", flush=True)
    return same


def main(words: list[str]) -> int:
    how, *asked = words
    times = next((word for word in asked if word.startswith("times=")), "times=20")
    recipes = [word for word in asked if word != times] or [*SHORT]
    if how not in ("kill", "replay") or not {*recipes} <= SHORT.keys():
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory(prefix="every_") as folder, ThreadPoolExecutor(2) as pool:
        place = Path(folder)
        for source in {STARTS_FROM[recipe] for recipe in recipes if recipe in STARTS_FROM}:
            made = run([*TRAINER, *words_of(source, place), f"hydra.run.dir={place / source / 'run'}"], place)
            if made.returncode:
                raise SystemExit(made.stderr)
        one = partial(killed, times, place) if how == "kill" else partial(replayed, place)
        return not all([*pool.map(one, recipes)])


if __name__ == "__main__":
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.exit(main(sys.argv[1:]))

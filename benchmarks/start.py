"""How soon the command answers, as ratios to `import hydra`, each round side by side.

    python benchmarks/start.py [ROUNDS]

Prints the median over the rounds (15 unless told) of each command's seconds, and of its ratio to `import hydra`
in the same round: the machine's own drift cancels out.
"""

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "import hydra": ["-c", "import hydra"],
    "trainer --version": ["-m", "trainer", "--version"],
    "trainer --help": ["-m", "trainer", "--help"],
    "trainer --cfg job": ["-m", "trainer", "--cfg", "job"],
    "trainer experiment=mnist_cnn --cfg job": ["-m", "trainer", "experiment=mnist_cnn", "--cfg", "job"],
}


def seconds(arguments: list[str]) -> float:
    """Wall seconds of one Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main(rounds: int) -> None:
    """Run every command once a round, the first round uncounted, and print the table."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for turn in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            took = seconds(arguments)
            if turn:
                times[name].append(took)
    base = times["import hydra"]
    print(f"{'command':40} {'seconds':>8} {'x import hydra':>15}   (medians of {rounds} rounds)")
    for name, taken in times.items():
        ratio = statistics.median(own / hydra for own, hydra in zip(taken, base, strict=True))
        print(f"{name:40} {statistics.median(taken):8.3f} {ratio:15.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)

"""Startup time of the command, as ratios to `import hydra` in the same round.

    python benchmarks/startup.py [ROUNDS]

Prints for each command the median seconds over the rounds (15 by default), and the median ratio to `import hydra` in
the same round, which is not affected by a drift of the machine.
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


def measure(arguments: list[str]) -> float:
    """Return the wall time of one Python process."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    """Run each command once in each round, after a warm-up round, and print the table."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            seconds = measure(arguments)
            if number:
                times[name].append(seconds)
    print(f"{'command':40} {'seconds':>8} {'x import hydra':>15}   (medians of {rounds} rounds)")
    for name, values in times.items():
        ratio = statistics.median(a / b for a, b in zip(values, times["import hydra"], strict=True))
        print(f"{name:40} {statistics.median(values):8.3f} {ratio:15.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)

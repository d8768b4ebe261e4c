"""Training time on all cores while another process uses one core, with different settings of waiting threads.

    python benchmarks/cpu_contention.py [ROUNDS]

`experiment=digits_cnn` trains with GOMP_SPINCOUNT=3000, which the command sets, with the default of OpenMP, and on one
thread, in turn. Prints the training seconds: median and range.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile

VARIANTS = {
    "GOMP_SPINCOUNT=3000 (ours)": {},
    "OpenMP's default": {"GOMP_SPINCOUNT": "30000000000"},  # of libgomp if there are not more threads than cores
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def train(variables: dict[str, str]) -> float:
    """Return the seconds that the run reports."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "trainer", "experiment=digits_cnn"]
        environment = {**os.environ, **variables}
        process = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True)
    return float(re.search(r"step\(s\) in ([\d.]+) s", process.stdout)[1])


def main(rounds: int) -> None:
    """Run each variant once in each round and print the table."""
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for _ in range(rounds):
            for name, variables in VARIANTS.items():
                times[name].append(train(variables))
    finally:
        busy.kill()
    print(f"{'variant':34} {'seconds':>8}   range   (medians of {rounds} rounds, one core busy)")
    for name, seconds in times.items():
        print(f"{name:34} {statistics.median(seconds):8.1f}   {min(seconds):.1f} to {max(seconds):.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

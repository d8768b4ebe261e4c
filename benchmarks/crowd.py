"""A run on all cores beside other work: what giving waiting threads' cores up does, each round side by side.

    python benchmarks/crowd.py [ROUNDS]

Beside one process that keeps one core busy, `experiment=digits_cnn` trains as it is (GOMP_SPINCOUNT=3000, set by
the command), with OpenMP's own default, and on one thread. Prints the training seconds: median and range.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile

WAYS = {
    "as it is (GOMP_SPINCOUNT=3000)": {},
    "OpenMP's default": {"GOMP_SPINCOUNT": "30000000000"},  # what libgomp takes where threads do not outnumber cores
    "one thread": {"OMP_NUM_THREADS": "1"},
}


def seconds(variables: dict[str, str]) -> float:
    """Seconds that the run itself says it took."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "trainer", "experiment=digits_cnn"]
        environment = {**os.environ, **variables}
        answer = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=True)
    return float(re.search(r"step\(s\) in ([\d.]+) s", answer.stdout)[1])


def main(rounds: int) -> None:
    """Run every way once a round beside a busy process, and print the table."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for _ in range(rounds):
            for name, variables in WAYS.items():
                times[name].append(seconds(variables))
    finally:
        busy.kill()
    print(f"{'way':34} {'seconds':>8}   range   (medians of {rounds} rounds, one core kept busy)")
    for name, taken in times.items():
        print(f"{name:34} {statistics.median(taken):8.1f}   {min(taken):.1f} to {max(taken):.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

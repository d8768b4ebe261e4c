"""Comparisons in the result table, with their goals and ratios."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Round = dict[str, float]  # the measurement of each contestant in one round


@dataclass(frozen=True)
class Row:
    """A comparison of ours with a rival.

    Args:
        group: Name of the measurement, e.g. `mnist`; several rows may share it.
        title: Description of the workload.
        rival: Contestant in the denominator of the ratio.
        goal: Minimum of the ratio, or maximum if smaller is better; None for no goal.
        unit: Unit of the measurement. Defaults to `steps/s`.
        higher_is_better: Whether a larger ratio is better. Defaults to True.
        contestant: Contestant in the numerator. Defaults to `ours`.
    """

    group: str
    title: str
    rival: str
    goal: float | None
    unit: str = "steps/s"
    higher_is_better: bool = True
    contestant: str = "ours"

    def ratios(self, rounds: Sequence[Round]) -> list[float]:
        """Return the ratio of each round, which is not affected by a drift of the machine."""
        return [results[self.contestant] / results[self.rival] for results in rounds]

    def is_met(self, ratio: float) -> bool | None:
        """Return whether a ratio reaches the goal, or None if there is no goal."""
        if self.goal is None:
            return None
        return ratio >= self.goal if self.higher_is_better else ratio <= self.goal


# contestants as named in the records in history/
RECOMMENDED = "ours by recipe"  # our own net for the same data, which is as accurate or better
WITH_PLOTS = "ours and its drawing"
SWEEP_WITHOUT_STARTUP = "ours but a start"
TWO_WORKERS = "side by side"
SECONDS = {"unit": "s", "higher_is_better": False}
MILLISECONDS = {"unit": "ms", "higher_is_better": False}
ROWS = [
    Row("xor", "XOR, full batch", "plain", 0.9),
    Row("xor", "XOR", "template", 50),
    Row("xor", "XOR", "template in epochs of 1,000 steps", None),
    Row("diabetes", "diabetes 8-6-4-1, batches of 16", "plain", 0.9),
    Row("diabetes", "diabetes", "template", 15),
    Row("stock", "stock windows, LSTM 10x1 to 32, batches of 64", "plain", 0.9),
    Row("stock", "stock windows", "template", 4),
    Row("mnist", "MNIST CNN, batches of 64", "plain", 0.95),
    Row("mnist", "MNIST CNN", "tutorial", 2.5),
    Row("cifar10", "CIFAR-10 CNN, batches of 64", "plain", 0.95),
    Row("cifar10", "CIFAR-10 CNN", "tutorial", 2.3),
    Row("gan", "GAN, dense, MNIST", "tutorial", 1.6),
    Row("imdb_lstm", "IMDB LSTM, the tutorial's net, reviews of up to 500 words", "tutorial", 2.5),
    Row("imdb_attention", "IMDB attention, the tutorial's net, reviews of up to 500 words", "tutorial", 2.5),
    Row("imdb_lstm", "IMDB, experiment=imdb_lstm", "tutorial", 2.5, contestant=RECOMMENDED),
    Row("imdb_attention", "IMDB, experiment=imdb_attention", "tutorial", 2.5, contestant=RECOMMENDED),
    Row("test", "MNIST CNN, 10,000 test images", "plain", 0.95, "images/s"),
    Row("test", "... with metrics and plots at the end", "plain", None, "images/s", contestant=WITH_PLOTS),
    Row("start", "process start to first step and exit, digits", "import torch", 2.4, **SECONDS),
    Row("start", "process start to first step and exit", "template", None, **SECONDS),
    Row("sweep", "8 tiny runs one after another", "8 x one run", 1.0, **SECONDS),
    Row("sweep", "... without startup and exit", "8 x its training", None, **SECONDS, contestant=SWEEP_WITHOUT_STARTUP),
    Row("sweep", "8 tiny runs, two at a time", "ours", 1.0, **SECONDS, contestant=TWO_WORKERS),
    Row("small_jobs", "diabetes, a small sweep", "template, basic launcher", None, "jobs/min"),
    Row("small_jobs", "... two at a time", "template, joblib", None, "jobs/min", contestant="ours, sweep.workers=2"),
    Row("small_jobs", "... by Hydra's joblib", "template, joblib", None, "jobs/min", contestant="ours, joblib"),
    Row("small_jobs", "... as tasks of Ray", "ours, sweep.workers=2", None, "jobs/min", contestant="ours, Ray"),
    Row(
        "small_jobs", "... as jobs of submitit", "ours, sweep.workers=2", None, "jobs/min", contestant="ours, submitit"
    ),
    Row("overhead", "ledger and launcher", "a run, in turn", None, **MILLISECONDS, contestant="beside it, in turn"),
    Row(
        "overhead",
        "... in worker processes",
        "a run, in processes",
        None,
        **MILLISECONDS,
        contestant="beside it, in processes",
    ),
    Row("overhead", "only the ledger", "a run, in turn", None, **MILLISECONDS, contestant="the ledger"),
    Row("overhead", "... with 10,000 jobs", "the ledger", None, **MILLISECONDS, contestant="the ledger of 10,000"),
    Row("plan", "a plan of 10,000 jobs", "import torch", None, **SECONDS),
    Row(
        "barrier",
        "6, 1, 1, 1, 1, 1, 1 units with two workers",
        "joblib in batches of two",
        None,
        "units",
        higher_is_better=False,
    ),
    Row("fused_xor", "128 seeds of XOR together", "sweep.workers=2", 10, "jobs/min"),
    Row("fused_xor", "...", "template, basic launcher", 300, "jobs/min"),
    Row("fused_diabetes", "16 rates x 8 seeds of diabetes together", "sweep.workers=2", 8, "jobs/min"),
    Row("fused_digits", "32 seeds of the digits CNN, sweep.fuse=auto", "sweep.workers=2", 0.95, "jobs/min"),
    Row("fused_digits", "... trained together", "sweep.workers=2", None, "jobs/min", contestant="sweep.fuse=true"),
    Row("memory_mnist", "peak memory, MNIST CNN", "plain", 1.3, "MiB", higher_is_better=False),
    Row("memory_cifar10", "peak memory, CIFAR-10 CNN", "plain", 1.3, "MiB", higher_is_better=False),
]
GROUPS = list(dict.fromkeys(row.group for row in ROWS))


def contestants(group: str) -> list[str]:
    """Return the contestants of a measurement, ours first."""
    rows = [row for row in ROWS if row.group == group]
    return list(dict.fromkeys([row.contestant for row in rows] + [row.rival for row in rows]))


def format_table(rounds: dict[str, list[Round]]) -> list[str]:
    """Return the lines of a Markdown table with a row for each comparison that was measured.

    Args:
        rounds: Measurements by group.
    """
    lines = [
        "| workload | ours | rival | its result | ratio | range | goal | met |",
        "| --- | ---: | --- | ---: | ---: | --- | ---: | --- |",
    ]
    for row in ROWS:
        measured = rounds.get(row.group)
        if not measured or any(name not in results for results in measured for name in (row.contestant, row.rival)):
            continue
        ratios = row.ratios(measured)
        ratio = statistics.median(ratios)
        ours, rival = (statistics.median(results[name] for results in measured) for name in (row.contestant, row.rival))
        goal = "" if row.goal is None else f"{'at least' if row.higher_is_better else 'at most'} {row.goal:g}"
        met = {True: "yes", False: "NO", None: ""}[row.is_met(ratio)]
        lines.append(
            f"| {row.title} | {format_number(ours)} {row.unit} | {row.rival} | {format_number(rival)} | "
            f"{format_number(ratio)} | {format_number(min(ratios))} .. {format_number(max(ratios))} | {goal} | {met} |"
        )
    return lines


def format_number(value: float) -> str:
    """Return a number with three significant digits: 0.912, 12.3, 1,235."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

"""The rows of the table: what is compared, and what ours has to reach; and the arithmetic of ratios."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Round = dict[str, float]  # what each contestant was measured at, in one round


@dataclass(frozen=True)
class Row:
    """Ours against a rival.

    Args:
        group: Key of the measurement, e.g. `mnist`; several rows may have the same.
        title: The work, in words.
        rival: The contestant that ours is divided by.
        goal: What the ratio has to reach: at least, or at most where less is better. None: there is none.
        unit: Of what was measured.
        at_least: Whether more is better.
        own: The contestant whose row it is.
    """

    group: str
    title: str
    rival: str
    goal: float | None
    unit: str = "steps/s"
    at_least: bool = True
    own: str = "ours"

    def ratios(self, rounds: Sequence[Round]) -> list[float]:
        """Of each round by itself, so that the machine's own drift cancels out."""
        return [one[self.own] / one[self.rival] for one in rounds]

    def met(self, ratio: float) -> bool | None:
        """Whether a ratio reaches the goal; None where there is none."""
        if self.goal is None:
            return None
        return ratio >= self.goal if self.at_least else ratio <= self.goal


BY_RECIPE = "ours by recipe"  # our own net for the same data, which is as accurate or better
AND_DRAWING = "ours and its drawing"
SECONDS = {"unit": "s", "at_least": False}
MILLISECONDS = {"unit": "ms", "at_least": False}
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
    Row("imdb_lstm", "IMDB, experiment=imdb_lstm", "tutorial", 2.5, own=BY_RECIPE),
    Row("imdb_attention", "IMDB, experiment=imdb_attention", "tutorial", 2.5, own=BY_RECIPE),
    Row("test", "MNIST CNN, 10,000 test images", "plain", 0.95, "images/s"),
    Row("test", "... with what is drawn at the end, the same for any test", "plain", None, "images/s", own=AND_DRAWING),
    Row("start", "process start to first step and exit, digits", "import torch", 2.4, **SECONDS),
    Row("start", "process start to first step and exit", "template", None, **SECONDS),
    Row("sweep", "8 tiny runs in turn", "8 x one run", 1.0, **SECONDS),
    Row(
        "sweep",
        "... but what a process does beside one run",
        "8 x its training",
        None,
        **SECONDS,
        own="ours but a start",
    ),
    Row("sweep", "8 tiny runs, two side by side", "ours", 1.0, **SECONDS, own="side by side"),
    Row("small_jobs", "diabetes, a small sweep in turn", "template, basic launcher", None, "jobs/min"),
    Row("small_jobs", "... two at a time", "template, joblib", None, "jobs/min", own="ours, sweep.workers=2"),
    Row("small_jobs", "... by Hydra's joblib", "template, joblib", None, "jobs/min", own="ours, joblib"),
    Row("small_jobs", "... as tasks of Ray", "ours, sweep.workers=2", None, "jobs/min", own="ours, Ray"),
    Row("small_jobs", "... as jobs of submitit", "ours, sweep.workers=2", None, "jobs/min", own="ours, submitit"),
    Row("overhead", "ledger and launcher, in turn", "a run, in turn", None, **MILLISECONDS, own="beside it, in turn"),
    Row("overhead", "... side by side", "a run, in processes", None, **MILLISECONDS, own="beside it, in processes"),
    Row("overhead", "the ledger alone", "a run, in turn", None, **MILLISECONDS, own="the ledger"),
    Row("overhead", "... with 10,000 jobs in it", "the ledger", None, **MILLISECONDS, own="the ledger of 10,000"),
    Row("plan", "a plan of 10,000 jobs", "import torch", None, **SECONDS),
    Row("barrier", "6, 1, 1, 1, 1, 1, 1 units on two slots", "joblib in batches of two", None, "units", at_least=False),
    Row("memory_mnist", "peak memory, MNIST CNN", "plain", 1.3, "MiB", at_least=False),
    Row("memory_cifar10", "peak memory, CIFAR-10 CNN", "plain", 1.3, "MiB", at_least=False),
]
GROUPS = list(dict.fromkeys(row.group for row in ROWS))


def contestants(group: str) -> list[str]:
    """Who takes part in a measurement: ours first."""
    rows = [row for row in ROWS if row.group == group]
    return list(dict.fromkeys([row.own for row in rows] + [row.rival for row in rows]))


def lines(rounds: dict[str, list[Round]]) -> list[str]:
    """The table, as Markdown: a row for each comparison that was measured.

    Args:
        rounds: What was measured, by group.
    """
    made = [
        "| work | ours | against | its own | ratio | from .. to | goal | met |",
        "| --- | ---: | --- | ---: | ---: | --- | ---: | --- |",
    ]
    for row in ROWS:
        measured = rounds.get(row.group)
        if not measured or any(name not in one for one in measured for name in (row.own, row.rival)):
            continue
        ratios = row.ratios(measured)
        ratio = statistics.median(ratios)
        own, rival = (statistics.median(one[name] for one in measured) for name in (row.own, row.rival))
        goal = "" if row.goal is None else f"{'at least' if row.at_least else 'at most'} {row.goal:g}"
        met = {True: "yes", False: "NO", None: ""}[row.met(ratio)]
        made.append(
            f"| {row.title} | {number(own)} {row.unit} | {row.rival} | {number(rival)} | {number(ratio)} | "
            f"{number(min(ratios))} .. {number(max(ratios))} | {goal} | {met} |"
        )
    return made


def number(value: float) -> str:
    """Three digits that matter: 0.912, 12.3, 1,235."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

"""The page of many runs: groups over seeds against a baseline, what mattered, all curves, the best run."""

from pathlib import Path

from trainer.artifacts.hparams import settings
from trainer.artifacts.run_record import Record, records
from trainer.report.best_experiment import best_recipe
from trainer.report.comparison import Report, report_of
from trainer.report.document import Block, Chart, Code, Page, Section, Table, number
from trainer.report.formats import IMPORTANCE, rows, shown
from trainer.report.grouping import SEEDS
from trainer.report.run_page import again, what_ran
from trainer.report.statistics import importances
from trainer.report.svg_charts import COLOURS, Line, chart, intervals
from trainer.report.tensorboard_images import pictures

MOST_RUNS = 200  # in the table of all
BETTER = {True: "Higher is better. ", False: "Lower is better. ", None: ""}


def sweep_page(
    folder: Path, metric: str | None = None, baseline: str | None = None, direction: str | None = None
) -> Page:
    """Group and compare the runs below a folder.

    Args:
        folder: Of a sweep, or of several.
        metric: What is compared; None takes what `trainer.report.comparison.report_of` takes.
        baseline: Words of the group that the others are compared with; None takes the first that was run.
        direction: `min` or `max`; None takes what `trainer.report.comparison.report_of` takes.

    Raises:
        UserError: There is nothing to report, or no such metric, group or direction.
    """
    report = report_of(folder, metric, baseline, direction)
    count = sum(len(group.runs) for group in report.groups)
    seconds = sum(group.seconds for group in report.groups)
    made_up = any(run.result.get("synthetic") for group in report.groups for run in group.runs)
    warnings = ["SYNTHETIC data: some or all of these runs learnt made-up data."] if made_up else []
    sections = [
        Section("Groups", _groups(report)),
        Section("What mattered", _importances(report)),
        Section("Curves", _curves(report)),
        *_best(report),
        Section("All runs", [_runs(report, folder)]),
    ]
    lead = f"{count} runs of {len(report.groups)} configs in {seconds:.0f} s, by {report.metric}"
    return Page(folder.absolute().name, lead, [*warnings, *report.mixed, *report.notes], sections)


def _best(report: Report) -> list[Section]:
    """Return what is known of the best group; nothing if none is the best."""
    best = report.best
    if best is None:
        return []
    return [
        Section(f"The best: {best.words}".removesuffix(": "), [*pictures(report.best_run.path, test_alone=True)]),
        Section("The best as a recipe", [Code(best_recipe(report), "yaml")]),
        Section("What ran", [what_ran(report.best_run)]),
        Section("Run it again", again(report.best_run)),
    ]


def _groups(report: Report) -> list[Block]:
    made = rows(report)
    header = ["", *made[0]]
    table = Table(
        header,
        [[str(place), *map(shown, row.values())] for place, row in enumerate(made, start=1)],
        f"{BETTER[report.higher]}Mean and 95 % interval (Student's t) over seeds; differences from the baseline in "
        f"pairs of equal seeds, each with its own 95 % interval. {''.join(report.tests).capitalize()}".strip(),
    )
    means = [(group.estimate.mean, group.estimate.half_width) for group in report.groups]
    drawn = intervals(report.metric, means, [[*group.values.values()] for group in report.groups])
    return [table, Chart("dots: runs; bar: mean; line: interval", drawn, [], Table([], []))]


def _importances(report: Report) -> list[Block]:
    runs = [run for group in report.groups for run in group.runs]
    typed = [{key: value for key, value in settings(run).items() if key not in SEEDS} for run in runs]
    alike = all(each.keys() == typed[0].keys() for each in typed)  # then by what was typed: a choice is one parameter
    tells = alike and len({tuple(each.values()) for each in typed}) == len(report.groups)  # axes may have come later
    shares = importances(typed, [run.metrics[report.metric] for run in runs]) if tells else report.importances
    told = [[name, f"{share:.0%}"] for name, share in shares.items()]
    return [Table(["parameter", "share of the variance"], told, IMPORTANCE)] if told else []


def _curves(report: Report) -> list[Block]:
    """Each run a line, each group a colour; the best groups have one, the others are grey."""
    series = {run.path: run.series() for group in report.groups for run in group.runs}
    names = dict.fromkeys(name for each in series.values() for name in each if name.count("/") == 1)
    wanted = [name for name in names if name.startswith("val/")] + [name for name in names if name.startswith("train/")]
    asked = report.metric.removesuffix("_best")
    charts: list[Block] = []
    for name in sorted(wanted, key=lambda name: name != asked):
        lines = [
            Line(group.words or "all", series[run.path][name], place)
            if place < COLOURS
            else Line("others", series[run.path][name], None)
            for place, group in enumerate(report.groups)
            for run in group.runs
            if name in series[run.path]
        ]
        if any(len(line.points) > 1 for line in lines):
            charts.append(chart(name, lines))
    return charts


def _runs(report: Report, folder: Path) -> Table:
    found = [*records(folder)]
    known = dict.fromkeys(
        name for run in found for name in run.metrics if name.startswith("test/") and name.count("/") == 1
    )
    columns = [report.metric, *(name for name in known if name != report.metric)]
    told = [
        [str(run.path.relative_to(folder)), _words(run, report), run.state]
        + [number(run.metrics.get(name)) for name in columns]
        + [number(run.seconds)]
        for run in found[:MOST_RUNS]
    ]
    note = f"the first {MOST_RUNS} of {len(found)}" if len(found) > MOST_RUNS else ""
    return Table(["run", "config", "state", *columns, "seconds"], told, note)


def _words(run: Record, report: Report) -> str:
    seed = run.config.get("seed")
    words = next((group.words for group in report.groups if run.path in {each.path for each in group.runs}), "")
    return f"{words} seed={seed}".strip()

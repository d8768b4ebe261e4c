"""The page of many runs: groups over seeds against a baseline, what mattered, all curves, the best run."""

from pathlib import Path

from trainer.artifacts.record import Record, records
from trainer.artifacts.settings import settings
from trainer.report.content import Block, Chart, Code, Page, Section, Table, number
from trainer.report.curves import COLOURS, Line, chart, intervals
from trainer.report.pictures import pictures
from trainer.report.run_page import again, what_ran
from trainer.sweep.forms import rows, shown
from trainer.sweep.recipe import best_recipe
from trainer.sweep.report import SEEDS, Report, report_of
from trainer.sweep.statistics import importances

MOST_RUNS = 200  # in the table of all


def sweep_page(folder: Path, metric: str | None = None, baseline: str | None = None) -> Page:
    """Group and compare the runs below a folder.

    Args:
        folder: Of a sweep, or of several.
        metric: What is compared; None takes what `trainer.sweep.report.report_of` takes.
        baseline: Words of the group that the others are compared with; None takes the first that was run.

    Raises:
        UserError: There is nothing to report, or no such metric or group.
    """
    report = report_of(folder, metric, baseline)
    best = report.groups[0]
    count = sum(len(group.runs) for group in report.groups)
    seconds = sum(group.seconds for group in report.groups)
    made_up = any(run.result.get("synthetic") for group in report.groups for run in group.runs)
    warnings = ["SYNTHETIC data: some or all of these runs learnt made-up data."] if made_up else []
    sections = [
        Section("Groups", _groups(report)),
        Section("What mattered", _importances(report)),
        Section("Curves", _curves(report)),
        Section(f"The best: {best.words}".removesuffix(": "), [*pictures(report.best_run.path, test_alone=True)]),
        Section("The best as a recipe", [Code(best_recipe(report), "yaml")]),
        Section("What ran", [what_ran(report.best_run)]),
        Section("Run it again", again(report.best_run)),
        Section("All runs", [_runs(report, folder)]),
    ]
    lead = f"{count} runs of {len(report.groups)} configs in {seconds:.0f} s, by {report.metric}"
    return Page(folder.absolute().name, lead, [*warnings, *report.notes], sections)


def _groups(report: Report) -> list[Block]:
    made = rows(report)
    header = ["", *made[0]]
    table = Table(
        header,
        [[str(place), *map(shown, row.values())] for place, row in enumerate(made, start=1)],
        f"{'Higher' if report.higher else 'Lower'} is better. Mean and 95 % interval (Student's t) over seeds; "
        "differences from the baseline in pairs of equal seeds.",
    )
    means = [(group.estimate.mean, group.estimate.half_width) for group in report.groups]
    drawn = intervals(report.metric, means, [[*group.values.values()] for group in report.groups])
    return [table, Chart("dots: runs; bar: mean; line: interval", drawn, [], Table([], []))]


def _importances(report: Report) -> list[Block]:
    runs = [run for group in report.groups for run in group.runs]
    typed = [{key: value for key, value in settings(run).items() if key not in SEEDS} for run in runs]
    alike = all(each.keys() == typed[0].keys() for each in typed)  # then by what was typed: a choice is one parameter
    shares = importances(typed, [run.metrics[report.metric] for run in runs]) if alike else report.importances
    told = [[name, f"{share:.0%}"] for name, share in shares.items()]
    return [Table(["parameter", "share of the variance"], told, "that it explains by itself")] if told else []


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

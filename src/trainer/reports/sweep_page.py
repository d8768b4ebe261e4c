"""Report page of many runs, with groups, importance of parameters, curves and the best run."""

from pathlib import Path

from trainer.artifacts.hparams import collect_hparams
from trainer.artifacts.run_record import RunRecord, find_runs
from trainer.core.formatting import format_number
from trainer.core.metric_name import list_metrics
from trainer.reports.best_experiment import format_best_experiment
from trainer.reports.comparison import Report, build_report
from trainer.reports.document import Block, Chart, Code, Page, Section, Table
from trainer.reports.folds import FOLD_KEY, read_folds
from trainer.reports.formats import IMPORTANCE_NOTE, build_pooled_rows, build_rows, format_cell
from trainer.reports.grouping import SEED_KEYS
from trainer.reports.importance import compute_chance, compute_importances
from trainer.reports.parallel_coordinates import draw_parallel_coordinates
from trainer.reports.run_page import build_replay_blocks, describe_run
from trainer.reports.svg_charts import NUM_COLORS, Line, draw_chart, draw_intervals
from trainer.reports.tensorboard_images import read_images

MAX_LISTED_RUNS = 200
MIN_RUNS_PER_PARAMETER = 10  # for importances that are more than rough
DIRECTION_NOTES = {True: "Higher is better. ", False: "Lower is better. ", None: ""}


def build_sweep_page(
    directory: Path, metric: str | None = None, baseline: str | None = None, direction: str | None = None
) -> Page:
    """Return the page of all runs below a directory; see `trainer.reports.comparison.build_report`."""
    report = build_report(directory, metric, baseline, direction)
    runs = [run for group in report.groups for run in group.runs]
    seconds = sum(group.seconds for group in report.groups)
    is_synthetic = any(run.result.get("synthetic") for run in runs)
    warnings = ["SYNTHETIC data: some or all of these runs were trained on synthetic data."] if is_synthetic else []
    sections = [
        Section("Groups", _build_group_blocks(report)),
        Section("All folds together", _build_pooled_blocks(report)),
        Section("Importance", _build_importance_blocks(report)),
        Section("Curves", build_sweep_curves(report)),
        *_build_best_sections(report),
        Section("All runs", [_build_run_table(report, directory)]),
    ]
    subtitle = f"{len(runs)} runs of {len(report.groups)} configs in {seconds:.0f} s, by {report.metric}"
    return Page(directory.absolute().name, subtitle, [*warnings, *report.version_conflicts, *report.notes], sections)


def _build_best_sections(report: Report) -> list[Section]:
    best = report.best
    if best is None:
        return []
    images = read_images(report.best_run.path, test_only=True)
    return [
        Section(f"Best config: {best.overrides}".removesuffix(": "), images),
        Section("Best experiment", [Code(format_best_experiment(report), "yaml")]),
        Section("Details", [describe_run(report.best_run)]),
        Section("Reproduction", build_replay_blocks(report.best_run)),
    ]


def _build_group_blocks(report: Report) -> list[Block]:
    rows = build_rows(report)
    note = (
        f"{DIRECTION_NOTES[report.higher_is_better]}Mean and 95 % interval (Student's t) over seeds or folds; "
        "differences from the baseline in pairs of equal seeds and folds, each with its own 95 % interval. "
        f"{''.join(note[:1].upper() + note[1:] for note in report.significance_notes)}"
    )
    cells = [[str(rank), *map(format_cell, row.values())] for rank, row in enumerate(rows, start=1)]
    means = [(group.estimate.mean, group.estimate.half_width) for group in report.groups]
    svg = draw_intervals(report.metric, means, [[*group.values.values()] for group in report.groups])
    return [
        Table(["rank", *rows[0]], cells, note.strip()),
        Chart(f"{report.metric} of each group", svg, [], Table([], []), "Dots: runs; bar: mean; line: interval."),
    ]


def _build_pooled_blocks(report: Report) -> list[Block]:
    rows = build_pooled_rows(report)
    note = "Metrics of the test examples of all folds, each predicted by the run of its fold; intervals over examples."
    return [Table([*rows[0]], [[*row.values()] for row in rows], note)] if rows else []


def _build_importance_blocks(report: Report) -> list[Block]:
    """Return the importances of the parameters, and a line for each run over parameters and metric."""
    runs = [run for group in report.groups for run in group.runs]
    values = [run.metrics[report.metric] for run in runs]
    settings = _collect_settings(report)
    importances = compute_importances(settings, values)
    blocks: list[Block] = []
    if importances:
        rows = [
            [name, f"{fraction:.0%}", f"{compute_chance([setting[name] for setting in settings]):.0%}"]
            for name, fraction in importances.items()
        ]
        note = IMPORTANCE_NOTE
        if len(runs) < MIN_RUNS_PER_PARAMETER * len(rows):
            note += f" {len(runs)} runs are few for {len(rows)} parameter(s): the fractions are rough."
        blocks.append(Table(["parameter", "fraction of the variance", "by chance"], rows, note))
    varied = [name for name in settings[0] if len({str(setting[name]) for setting in settings}) > 1]
    if varied:
        ordered = sorted(varied, key=lambda name: -importances.get(name, 0.0))
        indices = [index for index, group in enumerate(report.groups) for _ in group.runs]
        colors = [index if index < NUM_COLORS else None for index in indices]
        columns = {name: [setting[name] for setting in settings] for name in ordered}
        blocks.append(draw_parallel_coordinates(columns, report.metric, values, colors))
    return blocks


def _collect_settings(report: Report) -> list[dict[str, object]]:
    """Return the parameters of each run: its overrides, in which a config group is one parameter, or its swept keys.

    Overrides are used if they distinguish all groups.
    """
    runs = [run for group in report.groups for run in group.runs]
    hparams: list[dict[str, object]] = [
        {key: value for key, value in collect_hparams(run).items() if key not in (*SEED_KEYS, FOLD_KEY)} for run in runs
    ]
    has_equal_keys = all(values.keys() == hparams[0].keys() for values in hparams)
    if has_equal_keys and len({tuple(values.values()) for values in hparams}) == len(report.groups):
        return hparams
    return [
        {name: group.settings.get(name, group.settings.get(f"{name}._target_")) for name in report.importances}
        for group in report.groups
        for _ in group.runs
    ]


def build_sweep_curves(report: Report) -> list[Chart]:
    """Return a chart per metric with a line per run; the best groups have a color each, the others are gray."""
    series = {run.path: run.read_metric_series() for group in report.groups for run in group.runs}
    names = [name for metrics in series.values() for name in metrics]
    ordered = [*list_metrics(names, "val"), *list_metrics(names, "train")]
    main_metric = report.metric.removesuffix("_best")
    charts: list[Chart] = []
    for name in sorted(ordered, key=lambda name: name != main_metric):
        lines = [
            Line(group.overrides or "all", series[run.path][name], index)
            if index < NUM_COLORS
            else Line("others", series[run.path][name], None)
            for index, group in enumerate(report.groups)
            for run in group.runs
            if name in series[run.path]
        ]
        if any(len(line.points) > 1 for line in lines):
            charts.append(draw_chart(name, lines))
    return charts


def _format_fold(run: RunRecord) -> str:
    return f" fold={run.config[FOLD_KEY]}" if read_folds(run) else ""


def _build_run_table(report: Report, directory: Path) -> Table:
    runs = [*find_runs(directory)]
    test_metrics = list_metrics((name for run in runs for name in run.metrics), "test")
    columns = [*dict.fromkeys([report.metric, *test_metrics])]
    overrides = {run.path: group.overrides for group in report.groups for run in group.runs}
    rows = [
        [
            str(run.path.relative_to(directory)),
            f"{overrides.get(run.path, '')} seed={run.config.get('seed')}{_format_fold(run)}".strip(),
            run.state,
            *(format_number(run.metrics.get(name)) for name in columns),
            format_number(run.seconds),
        ]
        for run in runs[:MAX_LISTED_RUNS]
    ]
    note = f"the first {MAX_LISTED_RUNS} of {len(runs)}" if len(runs) > MAX_LISTED_RUNS else ""
    return Table(["run", "config", "state", *columns, "seconds"], rows, note)

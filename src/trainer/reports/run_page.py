"""Report page of one run with results, curves, images, details and commands to reproduce it."""

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.artifacts.attribution_file import FILENAME, read_attribution
from trainer.artifacts.hparams import collect_hparams
from trainer.artifacts.intervals import describe_methods, describe_missing, format_intervals
from trainer.artifacts.learning_curves import describe_run_curves
from trainer.artifacts.run_record import RunRecord, format_measurement_times, locate_code_files
from trainer.core.formatting import format_number, quote_argument
from trainer.core.lazy_imports import lazy_imports
from trainer.core.metric_name import STAGES, MetricName, tabulate_metrics
from trainer.reports.document import Block, Chart, Code, DescriptionList, Page, Section, Table
from trainer.reports.svg_charts import Line, draw_chart
from trainer.reports.tensorboard_images import read_images

MAX_ATTRIBUTION_ROWS = 30
MAX_TEXT_CHARACTERS = 200_000  # of a file; the rest is left out
CONFIG_COMMAND_PREFIXES = ("--config-path", "test ")  # commands that read a recorded config instead of overrides


def build_run_page(record: RunRecord) -> Page:
    """Return the page of a run."""
    duration = f" after {record.seconds:.1f} s" if record.seconds is not None else ""
    sections = [
        Section("Results", _build_result_tables(record)),
        Section("Curves", build_curves(record), describe_run_curves(record, record.result)),
        Section("Predictions", _build_prediction_blocks(record)),
        Section("Images", read_images(record.path)),
        Section("Attribution", _build_attribution_table(record)),
        Section("Network", _build_layer_table(record)),
        Section("Details", [describe_run(record)]),
        Section("Reproduction", build_replay_blocks(record)),
        Section("Files", _build_file_blocks(record)),
    ]
    name = str(record.nested_config.get("task_name", record.path.name))
    return Page(name, f"{record.path.absolute().name}: {record.state}{duration}", collect_warnings(record), sections)


def collect_warnings(record: RunRecord) -> list[str]:
    """Return warnings about synthetic data, invalid metrics, changed code, errors and missing results."""
    warnings = []
    if record.result.get("synthetic"):
        warnings.append("SYNTHETIC data in place of the real data: these numbers say nothing about the real data.")
    for name, epochs in (record.result.get("not_finite_epochs") or {}).items():
        warnings.append(f"{name} was not finite in {epochs} epoch(s) and could not be compared.")
    if record.accepted_changes:
        warnings.append(f"More than one version of code or data was used: {'; '.join(record.accepted_changes)}")
    if record.result.get("error"):
        warnings.append(f"The run {record.state}: {record.result.get('error', 'no reason is recorded')}")
    elif not record.result:
        state = "is still running" if record.state == "running" else "was killed"
        warnings.append(f"The run {state}: it has no result.")
    return warnings


def describe_run(record: RunRecord) -> DescriptionList:
    """Return command, settings, code, data and machine of a run."""
    provenance = record.provenance
    machine = provenance.get("machine", {})
    rows = [("command", provenance.get("command")), ("directory", provenance.get("directory"))]
    rows += [(key, str(value)) for key, value in collect_hparams(record).items()]
    for checkout in record.code_start.get("git") or []:
        count = len(checkout.get("changed") or [])
        state = f"with {count} uncommitted change(s)" if count else "without uncommitted changes"
        rows.append(("code", f"{checkout.get('root')} at commit {checkout.get('commit')} {state}"))
    gpus = "".join(f"{gpu}; " for gpu in machine.get("gpus") or [])
    rows += [
        ("data", _format_checksum(record.result)),
        ("fingerprint", record.result.get("fingerprint")),
        ("software", _format_versions(provenance)),
        ("machine", ", ".join(str(machine[key]) for key in ("host", "processor", "system") if machine.get(key))),
        ("computed on", f"{gpus}{machine.get('threads')} of {machine.get('cores')} cores"),
        ("time", _format_times(record.result)),
        ("examples", ", ".join(f"{stage} {count:,}" for stage, count in record.result.get("examples", {}).items())),
        ("threshold", _format_threshold(record.result)),
        ("steps", _format_steps(record.result)),
        ("training", record.result.get("stop_reason")),
    ]
    return DescriptionList([(name, str(value)) for name, value in rows if value not in (None, "")])


def _format_versions(provenance: Mapping[str, Any]) -> str:
    packages = provenance.get("packages", {})
    names = [name for name in ("torch", "pytorch-lightning", "torchmetrics") if name in packages]
    versions = {"trainer": provenance.get("trainer"), "Python": provenance.get("python")}
    versions |= {name: packages[name] for name in names}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def build_replay_blocks(record: RunRecord) -> list[Block]:
    """Return the commands that reproduce a run."""
    lines = [f"trainer replay {quote_argument(record.path)}"]
    if not record.provenance.get("command", "").partition(" ")[2].startswith(CONFIG_COMMAND_PREFIXES):
        lines += ["", "# or manually:", *_format_manual_commands(record)]
    return [Code("\n".join(lines))]


def _format_manual_commands(record: RunRecord) -> list[str]:
    start = record.code_start
    diff, copies = locate_code_files(record.path.absolute(), start)
    checkouts = start.get("git") or []
    lines = [
        f"git -C {quote_argument(checkout.get('root'))} checkout {checkout.get('commit')}" for checkout in checkouts
    ]
    lines += [f"git apply {quote_argument(diff)}"] * diff.is_file()
    threads = start.get("machine", {}).get("threads")
    variables = [f"OMP_NUM_THREADS={threads}"] * bool(threads)
    variables += [f"PYTHONPATH={quote_argument(copies)}"] * copies.is_dir()
    overrides = [override for override in record.overrides if not override.startswith("hydra.")]
    command = " ".join([*variables, shlex.join(["trainer", *overrides])])
    return [*lines, f"cd {quote_argument(start.get('directory', '.'))}", command]


def build_curves(record: RunRecord) -> list[Chart]:
    """Return a chart of each metric over the steps, with all stages; metrics of single classes are left out."""
    grouped: dict[str, list[Line]] = {}
    series = record.read_metric_series()
    for name, points in series.items():
        stage, metric, label = MetricName.parse(name)
        if label:
            continue
        color = STAGES.index(stage) if stage else 0
        grouped.setdefault(metric, []).append(Line(stage or name, points, color))
    curves = {metric: lines for metric, lines in grouped.items() if any(len(line.points) > 1 for line in lines)}
    ordered = sorted(curves.items(), key=lambda item: -len(item[1]))  # metrics of several stages first
    mark = find_best_step(record, series)
    return [draw_chart(metric, sorted(lines, key=lambda line: line.color or 0), mark) for metric, lines in ordered]


def find_best_step(record: RunRecord, series: Mapping[str, Sequence[tuple[int, float]]]) -> tuple[float, str] | None:
    """Return the step with the best value of the monitored metric and a text; None if the run has not logged it.

    Args:
        record: Record of the run.
        series: Its logged values, see `RunRecord.read_metric_series`.
    """
    for name, best in record.metrics.items():
        points = series.get(name.removesuffix("_best"), []) if name.endswith("_best") else []
        steps = [step for step, value in points if math.isclose(value, best, rel_tol=1e-6)]
        if steps and record.result.get("steps") and record.result.get("epochs"):
            epoch = round((steps[0] + 1) / record.result["steps"] * record.result["epochs"])
            return steps[0], f"best {name.removesuffix('_best')}: epoch {max(1, epoch)}"
    return None


def _build_result_tables(record: RunRecord) -> list[Block]:
    times = format_measurement_times(record.metrics, record.result.get("checkpoint"))
    captions = {
        "metric": "; ".join(filter(None, [times, describe_methods(record.result), describe_missing(record.result)])),
        "class": "test",
    }
    tables = tabulate_metrics(record.metrics, format_number, format_intervals(record.result))
    return [Table(header, rows, captions[header[0]]) for header, *rows in tables]


def _build_prediction_blocks(record: RunRecord) -> Sequence[Block]:
    """Return the result of `build_prediction_blocks`, which imports torch, if a run has test metrics."""
    if not any(MetricName.parse(name).stage == "test" for name in record.metrics):
        return []
    with lazy_imports():
        from trainer.reports.class_charts import build_prediction_blocks
    return build_prediction_blocks(record)


def _build_layer_table(record: RunRecord) -> list[Block]:
    """Return the layers of the network with their parameters."""
    network = record.result.get("network", {})
    layers = network.get("layers", {})
    rows = [[name, str(kind), f"{count:,}"] for name, (kind, count) in layers.items()]
    total, trained = (network.get(key, 0) for key in ("parameters", "trainable"))
    note = f"{network.get('class')}: {total:,} parameters, {trained:,} of them trained"
    return [Table(["layer", "class", "parameters"], rows, note)] if rows else []


def _build_attribution_table(record: RunRecord) -> list[Block]:
    """Return the importances of columns or words, if the run has written any."""
    header, rows = read_attribution(record.path)
    omitted = len(rows) - MAX_ATTRIBUTION_ROWS
    note = f"{omitted:,} further rows: {FILENAME}" if omitted > 0 else ""
    cells = [[_shorten_number(cell) for cell in row] for row in rows[:MAX_ATTRIBUTION_ROWS]]
    return [Table(header, cells, note)] if rows else []


def _shorten_number(cell: str) -> str:
    try:
        return format_number(float(cell))
    except ValueError:
        return cell


def _format_times(result: dict[str, Any]) -> str:
    """Return the seconds of each phase and of the rest of the run."""
    phases = result.get("phase_seconds", {})
    if not phases or "seconds" not in result:
        return ""
    others = max(0.0, result["seconds"] - sum(phases.values()))
    times = [f"{phase} {phases[phase]:.1f} s" for phase in ("training", "validation", "test") if phase in phases]
    return f"{', '.join(times)}, data, network and files {others:.1f} s"


def _format_steps(result: dict[str, Any]) -> str:
    steps, epochs = result.get("steps"), result.get("epochs")
    return f"{steps:,} in {epochs:,} epoch(s)" if steps and epochs else ""


def _format_threshold(result: dict[str, Any]) -> str | None:
    threshold = result.get("threshold")
    return None if threshold is None else f"{format_number(threshold)}, chosen on validation"


def _format_checksum(result: dict[str, Any]) -> str | None:
    suffix = " (SYNTHETIC)" if result.get("synthetic") else ""
    return f"SHA-256 {result['data_sha256']}{suffix}" if result.get("data_sha256") else None


def _build_file_blocks(record: RunRecord) -> Sequence[Block]:
    languages = {"config.yaml": "yaml", "code.diff": "diff", "trainer.log": "text"}
    return [Code(text, kind, name) for name, kind in languages.items() if (text := _read_text(record.path / name))]


def _read_text(file: Path) -> str:
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    return f"{text[:MAX_TEXT_CHARACTERS]}\n... ({len(text):,} characters in all)"

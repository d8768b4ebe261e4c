"""The page of one run: what ran, from which code and data, how it went, how to run it again."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.artifacts.hparams import settings
from trainer.artifacts.run_record import Record, code_files, moments
from trainer.report.document import Block, Code, Facts, Page, Section, Table, number
from trainer.report.svg_charts import Line, chart
from trainer.report.tensorboard_images import pictures

LARGEST = 200_000  # characters of a text that is put into the page whole
FROM_A_CONFIG = ("--config-path", "test ")  # commands that take a recorded config, and no words
STAGES = ("train", "val", "test")


def run_page(record: Record) -> Page:
    """Everything that the run directory tells."""
    ended = f" after {record.seconds:.1f} s" if record.seconds is not None else ""
    sections = [
        Section("Results", _results(record.metrics, record.result.get("checkpoint"))),
        Section("Curves", curves(record)),
        Section("Pictures", pictures(record.path)),
        Section("What ran", [what_ran(record)]),
        Section("Run it again", again(record)),
        Section("In full", _in_full(record)),
    ]
    name = str(record.nested_config.get("task_name", record.path.name))
    return Page(name, f"{record.path.absolute().name}: {record.state}{ended}", warnings(record), sections)


def warnings(record: Record) -> list[str]:
    """What must not be overlooked: made-up data, an error, an end that has not come."""
    found = []
    if record.result.get("synthetic"):
        found.append("SYNTHETIC data: made up, in place of the real ones; these numbers say nothing about those.")
    for name, epochs in (record.result.get("not_finite_epochs") or {}).items():
        found.append(f"{name} was not finite in {epochs} epoch(s): it could not be compared.")
    if record.accepted_changes:
        found.append(f"More than one version of code or data made these numbers: {'; '.join(record.accepted_changes)}")
    if record.result.get("error"):
        found.append(f"The run {record.state}: {record.result['error']}")
    elif not record.result:
        found.append(
            f"The run {'is still under way' if record.state == 'running' else 'was killed'}: it has no result."
        )
    return found


def what_ran(record: Record) -> Facts:
    """Command, settings, code, data, machine."""
    known, machine = record.provenance, record.provenance.get("machine", {})
    rows = [("command", known.get("command")), ("in", known.get("directory"))]
    rows += [(key, str(value)) for key, value in settings(record).items()]
    for checkout in record.code_start.get("git") or []:
        changed = len(checkout.get("changed") or [])
        state = f", and {changed} uncommitted change(s)" if changed else ", nothing uncommitted"
        rows.append(("code", f"{checkout.get('root')} at commit {checkout.get('commit')}{state}"))
    packages = known.get("packages", {})
    versions = [
        f"{name} {packages[name]}" for name in ("torch", "pytorch-lightning", "torchmetrics") if name in packages
    ]
    gpus = machine.get("gpus") or []
    rows += [
        ("data", _checksum(record.result)),
        ("fingerprint", record.result.get("fingerprint")),
        ("software", ", ".join([f"trainer {known.get('trainer')}", f"Python {known.get('python')}", *versions])),
        ("machine", ", ".join(str(machine[key]) for key in ("host", "processor", "system") if machine.get(key))),
        (
            "computed on",
            f"{', '.join(gpus)}; " * bool(gpus) + f"{machine.get('threads')} of {machine.get('cores')} cores",
        ),
        ("steps", str(record.result["steps"]) if "steps" in record.result else None),
        ("training", record.result.get("stop_reason")),
    ]
    return Facts([(name, str(value)) for name, value in rows if value])


def again(record: Record) -> list[Block]:
    """Commands that bring the same numbers about."""
    lines = [f"trainer replay {_quoted(record.path)}"]
    known = record.provenance
    if not known.get("command", "").partition(" ")[2].startswith(FROM_A_CONFIG):
        lines += ["", "# or by hand:", *_by_hand(record)]
    return [Code("\n".join(lines))]


def _by_hand(record: Record) -> list[str]:
    start = record.code_start
    diff, copies = code_files(record.path.absolute(), start)
    checkouts = start.get("git") or []
    lines = [f"git -C {_quoted(checkout.get('root'))} checkout {checkout.get('commit')}" for checkout in checkouts]
    lines += [f"git apply {_quoted(diff)}"] * diff.is_file()
    threads = start.get("machine", {}).get("threads")
    variables = [f"OMP_NUM_THREADS={threads}"] * bool(threads) + [f"PYTHONPATH={_quoted(copies)}"] * copies.is_dir()
    words = [word for word in record.overrides if not word.startswith("hydra.")]
    return [
        *lines,
        f"cd {_quoted(start.get('directory', '.'))}",
        " ".join([*variables, shlex.join(["trainer", *words])]),
    ]


def _quoted(path: Any) -> str:
    return shlex.quote(str(path))


def curves(record: Record) -> list[Block]:
    """Every metric over the steps, training and validation in one chart; the test is a dot, of classes nothing."""
    grouped: dict[str, list[Line]] = {}
    for name, points in record.series().items():
        stage, _, metric = name.partition("/")
        if "/" in metric:  # of one class
            continue
        colour = STAGES.index(stage) if stage in STAGES else 0
        grouped.setdefault(metric or stage, []).append(Line(stage if metric else name, points, colour))
    with_curve = {metric: lines for metric, lines in grouped.items() if any(len(line.points) > 1 for line in lines)}
    order = sorted(with_curve.items(), key=lambda item: -len(item[1]))  # those of several stages first
    return [chart(metric, sorted(lines, key=lambda line: line.colour or 0)) for metric, lines in order]


def _results(metrics: dict[str, float], checkpoint: str | None) -> list[Block]:
    whole = {name: value for name, value in metrics.items() if name.count("/") == 1}
    stages = [stage for stage in STAGES if any(name.startswith(f"{stage}/") for name in whole)]
    names = dict.fromkeys(name.partition("/")[2] for name in whole if name.partition("/")[0] in stages)
    rows = [[name, *(number(whole.get(f"{stage}/{name}")) for stage in stages)] for name in names]
    classes = [name.split("/", 2)[1:] for name in metrics if name.count("/") == 2]
    measures, labels = (dict.fromkeys(each[place] for each in classes) for place in (0, 1))
    of_classes = [[label, *(number(metrics.get(f"test/{each}/{label}")) for each in measures)] for label in labels]
    found = [
        Table(["metric", *stages], rows, moments(metrics, checkpoint)),
        Table(["class", *measures], of_classes, "of the test"),
    ]
    return [table for table in found if table.rows]


def _checksum(result: dict[str, Any]) -> str | None:
    made_up = " (SYNTHETIC)" if result.get("synthetic") else ""
    return f"SHA-256 {result['data_sha256']}{made_up}" if result.get("data_sha256") else None


def _in_full(record: Record) -> Sequence[Block]:
    files = {"config.yaml": "yaml", "code.diff": "diff", "trainer.log": "text"}
    return [Code(text, kind, name) for name, kind in files.items() if (text := _text(record.path / name))]


def _text(file: Path) -> str:
    try:
        text = file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    return text if len(text) <= LARGEST else f"{text[:LARGEST]}\n... ({len(text):,} characters in all)"

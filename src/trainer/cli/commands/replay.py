"""Rerun a finished run and compare the results bit by bit; list possible causes of differences.

trainer replay RUN [OVERRIDES...] [--current-code] [--trust my_package] [--json]

The commit and the uncommitted changes of the run are checked out in a temporary directory. The recorded config runs
there with the same seed, data and number of threads, in outputs/replays/. Metrics, curves and weights are compared;
config, code, data, package versions and hardware as well. The exit status is 0 if the runs are identical.

OVERRIDES       single values of the config to change, to see their effect
--current-code  run the current code instead
--trust         comma-separated packages of yours whose code the config names
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import OmegaConf

from trainer.artifacts.code_checkout import CodeCheckout, checkout_code
from trainer.artifacts.config_signature import is_signed
from trainer.artifacts.resume import require_trained
from trainer.artifacts.run_diff import ValuePairs, diff_runs
from trainer.artifacts.run_record import RunRecord, read_run
from trainer.cli.commands import parse_arguments
from trainer.cli.json_output import JsonOutputs, print_json
from trainer.config.compose import get_override_key
from trainer.config.schema import RESOURCE_DIR
from trainer.config.stored_config import RECORDED_CONFIG, build_primary_config
from trainer.config.target_allowlist import get_trusted_packages, require_trusted_config
from trainer.core.errors import UserError
from trainer.core.mappings import diff_mappings

MAX_LISTED_DIFFERENCES = 8  # of each kind
DIFFERENCE_KINDS = ("code", "config", "data", "environment", "hardware")


@dataclass(frozen=True)
class Replay:
    """Comparison of a run with its replay. Pairs of values are lists of two items, first that of the original run.

    Args:
        identical: Whether metrics, weights and curves are bitwise equal; the exit status is 0 then, and otherwise 1.
        directory: Run directory of the replay.
        metrics: Pairs by metric, without equal ones.
        weights: Names of different weights.
        curves: Names of different curves.
        differences: Pairs by key, by kind: code, config, data, environment or hardware; without equal ones.
        notes: State of each kind in words, such as `identical`.
        possible_causes: Possible causes of different results; "" if they are identical.
    """

    identical: bool
    directory: Path
    metrics: ValuePairs
    weights: list[str]
    curves: list[str]
    differences: dict[str, ValuePairs]
    notes: dict[str, str]
    possible_causes: str


JSON_OUTPUTS: JsonOutputs = {"replay": (Replay, "The comparison.")}


def main(argv: list[str]) -> int:
    """Run the command; return 0 if the runs are identical, else 1."""
    args = parse_arguments("replay", argv, "run", "overrides*", current_code=False, trust="", json=False)
    original = read_run(args.run)
    _require_replayable(original, args.run)
    is_own = is_signed(original.nested_config, original.code_start, Path.cwd())
    require_trusted_config(original.nested_config, args.run, args.trust, is_own=is_own)
    for override in args.overrides:
        if isinstance(original.nested_config.get(get_override_key(override)), dict):
            raise UserError(f"replay: '{override}': only single values can be changed, as in optimizer.lr=0.1")
    directory = Path("outputs/replays", f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{original.path.name}").absolute()
    trusted = get_trusted_packages(args.trust)
    current = nullcontext(CodeCheckout(original.directory if is_own else Path.cwd()))
    with current if args.current_code else checkout_code(original, trusted) as code:
        status = _run(original, code, args.overrides, directory)
    replay = RunRecord(directory)
    if status or replay.state != "finished":
        hint = f"; see {directory}" if directory.is_dir() else ""
        raise UserError(f"replay: the run did not finish (exit status {status}){hint}")
    result = compare_replay(original, replay, is_rebuilt=not args.current_code)
    if args.json:
        print_json(result)
    else:
        _print_result(result, args.run)
    return 0 if result.identical else 1


def _require_replayable(record: RunRecord, name: str) -> None:
    require_trained(record, "replay")
    if record.state != "finished":
        raise UserError(f"replay: the state of '{name}' is {record.state}; only finished runs can be compared")
    if missing := [key for key in ("directory", "run") if key not in record.provenance]:  # its paths are relocated
        raise UserError(f"replay: '{name}' cannot be replayed: its provenance.json has no {', '.join(missing)}")


def _run(record: RunRecord, code: CodeCheckout, overrides: Sequence[str], run_dir: Path) -> int:
    """Run the config of a record with the given code and return the exit status."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_RUN_")}
    search_path = [code.source, *code.import_directories, environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(str(entry) for entry in search_path if entry)
    threads = record.provenance.get("machine", {}).get("threads")
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    if not code.directory.is_dir():
        raise UserError(f"replay: '{code.directory}', where the run was started, does not exist any more")
    with TemporaryDirectory(prefix="trainer-replay-") as config_dir:
        home = code.source.parent if code.source else RESOURCE_DIR
        config = build_primary_config(_resolve_paths(record), str(record.provenance.get("run")), home)
        OmegaConf.save(OmegaConf.create(config), Path(config_dir, RECORDED_CONFIG))
        Path(config_dir, "config.yaml").write_text(f"defaults: [{Path(RECORDED_CONFIG).stem}, _self_]\n")
        # -P: the working directory comes last, as for the command `trainer`
        command = [sys.executable, "-P", "-m", "trainer", f"--config-path={config_dir}", "--config-name=config"]
        command += [*overrides, f"hydra.run.dir={run_dir}"]
        return subprocess.run(command, cwd=code.directory, env=environment).returncode


def _resolve_paths(record: RunRecord) -> dict[str, Any]:
    """Return the config of a record with absolute paths, for another working directory."""
    cwd = record.directory
    config: dict[str, Any] = {**deepcopy(record.nested_config), "resume": None}
    for key, value in record.config.items():
        if not isinstance(value, str) or not value or key.startswith(("logger.", "outputs")) or "dirpath" in key:
            continue
        if "${" in value:  # an environment variable
            continue
        path = Path(value)
        is_path = ("/" in value or key.endswith("path")) and (cwd / path).exists() and str(path) != "."
        if is_path or key == "data.dir":
            *parents, name = key.split(".")
            node = config
            for parent in parents:
                node = node[parent]
            node[name] = str((cwd / path).absolute())
    return config


def compare_replay(original: RunRecord, replay: RunRecord, *, is_rebuilt: bool) -> Replay:
    """Return the comparison of a run with its replay.

    Args:
        original: Record of the run.
        replay: Record of its replay.
        is_rebuilt: Whether the replay has run the code of the original run.
    """
    metrics = diff_mappings(original.metrics, replay.metrics)
    weights = [*_compare_weights(original, replay)]
    curves = [*diff_mappings(read_curves(original), read_curves(replay))]
    differences = diff_runs(original, replay)
    if is_rebuilt and not original.code:  # the checkout itself has no meaningful state
        differences.pop("code", None)
    notes = dict.fromkeys(DIFFERENCE_KINDS, "identical")
    if is_rebuilt:
        notes["code"] = "rebuilt from the run's commit and changes"
    if not (original.result.get("data_sha256") and replay.result.get("data_sha256")):
        notes["data"] = "unknown: the data have no checksum"
    causes = _format_causes(differences, notes["data"])
    for kind, pairs in differences.items():
        notes[kind] = f"differs: {_format_pairs(pairs)}"
    if is_rebuilt and "code" in differences:
        notes["code"] += "; not restored: the run has kept no copy of it"
    is_identical = not (metrics or weights or curves)
    if others := original.provenance.get("trained_together", 1) - 1:
        causes = f"rounding: the run was trained together with {others} others, {causes}"
    possible_causes = "" if is_identical else causes
    return Replay(is_identical, replay.path, metrics, weights, curves, differences, notes, possible_causes)


def _print_result(result: Replay, name: str) -> None:
    print(f"\n{name} and its replay {result.directory}: {'identical' if result.identical else 'DIFFERENT'}")
    for kind in ("metrics", "weights", "curves"):
        names = [*getattr(result, kind)]
        print(f"  {kind:12} {f'{len(names)} differ: {_join_items(names)}' if names else 'bitwise identical'}")
    for kind, note in result.notes.items():
        print(f"  {kind:12} {note}")
    if result.possible_causes:
        print(f"possible causes: {result.possible_causes}")


def _format_causes(differences: Mapping[str, Any], data_note: str) -> str:
    """Return the differences that a user controls; environment and hardware only if there are none."""
    controlled = [kind for kind in ("data", "config", "code") if kind in differences]
    others = [f"data ({data_note})"] * data_note.startswith("unknown")
    others += [kind for kind in ("environment", "hardware") if kind in differences]
    return ", ".join(controlled or others) or "no recorded difference; the run is not deterministic"


def read_curves(record: RunRecord) -> dict[str, list[str]]:
    """Return the logged values of a run by name; as text, so that NaNs are equal."""
    return {key: [repr(value) for _, value in series] for key, series in record.read_metric_series().items()}


def _format_pairs(pairs: ValuePairs) -> str:
    return _join_items([f"{key} ({a} -> {b})" for key, (a, b) in pairs.items()])


def _join_items(items: Sequence[str]) -> str:
    hidden = len(items) - MAX_LISTED_DIFFERENCES
    return ", ".join([*items[:MAX_LISTED_DIFFERENCES], *([f"and {hidden} more"] if hidden > 0 else [])])


def _compare_weights(original: RunRecord, replay: RunRecord) -> dict[str, tuple[str, str]]:
    """Return the weights of the last and the best checkpoint that are not bitwise equal."""
    from trainer.core.checksummed_file import load  # imports torch

    differences = {}
    for name in ("best", "last"):
        files = [record.path / "checkpoints" / f"{name}.ckpt" for record in (original, replay)]
        exist = [file.is_file() for file in files]
        if all(exist):
            first, second = (load(file)["state_dict"] for file in files)
            for key in {*first, *second}:
                if key not in first or key not in second or not _equal(first[key], second[key]):
                    differences[f"{name}: {key}"] = ("", "")
        elif any(exist):
            differences[name] = ("exists", "missing") if exist[0] else ("missing", "exists")
    return differences


def _equal(first: Any, second: Any) -> bool:
    """Return whether two tensors are equal, with NaNs considered equal."""
    if not first.is_floating_point():
        return bool(first.equal(second))
    numbers = [tensor.nan_to_num(0.0, math.inf, -math.inf) for tensor in (first, second)]
    return bool(first.isnan().equal(second.isnan()) and numbers[0].equal(numbers[1]))

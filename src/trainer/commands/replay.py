"""Run a run again, as it was, and say whether the same numbers come out; if not, what could be to blame.

trainer replay RUN [WORDS...] [--here] [trust=my_package]

The commit and the uncommitted changes of the run are checked out beside yours, and its own command is run there with
its seed, its data and its number of threads, into outputs/replays/. Metrics, curves and weights are compared, digit for
digit; so are config, code, data, package versions and hardware. `--here` runs the code that is here now instead. WORDS
change the config, to see what that does; `trust` declares packages of your own whose code the config names. The exit
status is 0 if the runs are identical.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from trainer.artifacts.causes import causes
from trainer.artifacts.rebuild import Rebuilt, rebuilt
from trainer.artifacts.record import Record, differences, record_of
from trainer.commands import trusted
from trainer.errors import UserError
from trainer.trust import require

SHOWN = 8  # differences of a kind that are listed


def main(words: list[str]) -> int:
    """Replay what stands behind `replay`.

    Returns:
        int: 0 if the runs are identical, else 1.
    """
    named, trust = trusted([word for word in words if word != "--here"])
    if not named or "=" in named[0]:
        raise UserError("replay: name a run directory first: trainer replay RUN")
    first = record_of(named[0])
    if first.state != "finished":
        raise UserError(f"replay: '{named[0]}' is {first.state}: it has no result to compare with")
    require(first.nested_config, named[0], trust)
    place = Path("outputs/replays", f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{first.path.name}").absolute()
    here = Rebuilt(Path(first.provenance["directory"]), None)
    with nullcontext(here) if "--here" in words else rebuilt(first) as code:
        status = _run(first, code, [*_absolute(first), *named[1:]], place)
    second = Record(place)
    if status or second.state != "finished":
        raise UserError(f"replay: the run did not finish again (exit status {status}); see {place}")
    return _report(first, second, named[0], own_code="--here" not in words)


def _run(record: Record, code: Rebuilt, changes: Sequence[str], place: Path) -> int:
    """Run the command of a record with its code; what it says goes to the terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_RUN_")}
    if code.source:
        environment["PYTHONPATH"] = os.pathsep.join([str(code.source), *filter(None, [environment.get("PYTHONPATH")])])
    threads = record.provenance.get("machine", {}).get("threads")
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    if not code.directory.is_dir():
        raise UserError(f"replay: '{code.directory}', where the run was started, is no longer there")
    overrides = [word for word in record.overrides if not word.startswith("hydra.")]
    command = [sys.executable, "-m", "trainer", *overrides, *changes, f"hydra.run.dir={place}"]
    return subprocess.run(command, cwd=code.directory, env=environment).returncode


def _absolute(record: Record) -> list[str]:
    """Words that keep relative paths of the config where they were: the command is run in another directory."""
    directory = Path(record.provenance["directory"])
    changes = []
    for key, value in record.config.items():
        if not isinstance(value, str) or not value or key.startswith(("logger.", "outputs")) or "dirpath" in key:
            continue
        path = Path(value)
        is_path = key == "data.dir" or (("/" in value or key.endswith("path")) and (directory / path).exists())
        if is_path and str(path) != ".":
            changes.append(f"{key}='{(directory / path).absolute()}'")
    return changes


def _report(first: Record, second: Record, name: str, *, own_code: bool) -> int:
    results = {"metrics": differences(first.metrics, second.metrics), "weights": _weights(first, second)}
    results["curves"] = differences(curves(first), curves(second))
    found = causes(first, second)
    if own_code:  # it was rebuilt: whatever the checkout says of itself
        found.pop("code", None)
    same = not any(results.values())
    print(f"\n{name} and its replay {second.path}: {'identical' if same else 'DIFFERENT'}")
    for kind, pairs in results.items():
        count = len(pairs)
        print(f"  {kind:12} {f'{count} differ: ' + _some(pairs) if count else 'the same, digit for digit'}")
    for kind in ("code", "config", "data", "environment", "hardware"):
        pairs = found.get(kind, {})
        rebuilt_note = "rebuilt from the run's commit and changes" if kind == "code" and own_code else "the same"
        print(f"  {kind:12} {'differs: ' + _some(pairs, values=True) if pairs else rebuilt_note}")
    if not same:
        to_blame = [kind for kind in ("data", "config", "code", "environment", "hardware") if kind in found]
        print(f"what could be to blame: {', '.join(to_blame) or 'nothing recorded: it is not deterministic'}")
    return 0 if same else 1


def curves(record: Record) -> dict[str, list[str]]:
    """The digits of every logged number of a run, by name; as text, so that a NaN is equal to another."""
    return {key: [repr(value) for _, value in series] for key, series in record.series().items()}


def _some(pairs: dict[str, Any], *, values: bool = False) -> str:
    shown = [f"{key} ({a} -> {b})" if values else str(key) for key, (a, b) in [*pairs.items()][:SHOWN]]
    return ", ".join(shown) + (f", and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")


def _weights(first: Record, second: Record) -> dict[str, tuple[str, str]]:
    """The weights of the last and the best checkpoint that are not equal in every bit."""
    from trainer.sealed_file import load  # imports torch

    found = {}
    for name in ("best", "last"):
        files = [record.path / "checkpoints" / f"{name}.ckpt" for record in (first, second)]
        if not all(file.is_file() for file in files):
            if any(file.is_file() for file in files):
                found[name] = tuple("there" if file.is_file() else "missing" for file in files)
            continue
        ours, theirs = (load(file)["state_dict"] for file in files)
        for key in {*ours, *theirs}:
            if key not in ours or key not in theirs or not _equal(ours[key], theirs[key]):
                found[f"{name}: {key}"] = ("", "")
    return found  # type: ignore[return-value]


def _equal(first: Any, second: Any) -> bool:
    """Whether two tensors are the same, where a NaN is equal to another."""
    if not first.is_floating_point():
        return bool(first.equal(second))
    one, other = (each.nan_to_num(0.0, math.inf, -math.inf) for each in (first, second))
    return bool(first.isnan().equal(second.isnan()) and one.equal(other))

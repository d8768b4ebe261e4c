"""Run a run again, as it was, and say whether the same numbers come out; if not, what could be to blame.

trainer replay RUN [WORDS...] [--here] [trust=my_package]

The commit and the uncommitted changes of the run are checked out beside yours, and its recorded config is run there
with its seed, its data and its number of threads, into outputs/replays/. Metrics, curves and weights are compared,
digit for digit; so are config, code, data, package versions and hardware. `--here` runs the code that is here now
instead. WORDS change single values of the config, to see what that does; `trust` declares packages of your own whose
code the config names. The exit status is 0 if the runs are identical.
"""

import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import OmegaConf

from trainer.artifacts.code_checkout import Rebuilt, rebuilt
from trainer.artifacts.run_diff import causes
from trainer.artifacts.run_record import Record, differences, record_of
from trainer.cli.commands import trusted
from trainer.config.compose import key_of
from trainer.config.schema import HOME
from trainer.config.stored_config import primary_config
from trainer.config.target_allowlist import declared, require
from trainer.core.errors import UserError

SHOWN = 8  # differences of a kind that are listed
KINDS = ("code", "config", "data", "environment", "hardware")


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
    changes = named[1:]
    for word in changes:
        if isinstance(first.nested_config.get(key_of(word)), dict):
            raise UserError(f"replay: '{word}': only single values can be changed, as in optimizer.lr=0.1")
    place = Path("outputs/replays", f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{first.path.name}").absolute()
    here = Rebuilt(Path(first.provenance["directory"]))
    with nullcontext(here) if "--here" in words else rebuilt(first, declared(trust)) as code:
        status = _run(first, code, changes, place)
    second = Record(place)
    if status or second.state != "finished":
        raise UserError(f"replay: the run did not finish again (exit status {status}); see {place}")
    return _report(first, second, named[0], own_code="--here" not in words)


def _run(record: Record, code: Rebuilt, changes: Sequence[str], place: Path) -> int:
    """Run the config of a record with its code; what it says goes to the terminal."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRAINER_RUN_")}
    folders = [*filter(None, [code.source]), *code.folders, environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(str(folder) for folder in folders if folder)
    threads = record.provenance.get("machine", {}).get("threads")
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    if not code.directory.is_dir():
        raise UserError(f"replay: '{code.directory}', where the run was started, is no longer there")
    with TemporaryDirectory(prefix="trainer-replay-") as folder:
        home = code.source.parent if code.source else HOME
        config = primary_config(_recorded(record), str(record.provenance.get("run")), home)
        OmegaConf.save(OmegaConf.create(config), Path(folder, "config.yaml"))
        # -P: the working directory comes last, as for the command `trainer`
        command = [sys.executable, "-P", "-m", "trainer", f"--config-path={folder}", "--config-name=config"]
        return subprocess.run(
            [*command, *changes, f"hydra.run.dir={place}"], cwd=code.directory, env=environment
        ).returncode


def _recorded(record: Record) -> dict[str, Any]:
    """The config of a record, with whole paths, as it is run in another directory."""
    directory = Path(record.provenance["directory"])
    config: dict[str, Any] = {**deepcopy(record.nested_config), "resume": None}
    for key, value in record.config.items():
        if not isinstance(value, str) or not value or key.startswith(("logger.", "outputs")) or "dirpath" in key:
            continue
        path = Path(value)
        is_path = ("/" in value or key.endswith("path")) and (directory / path).exists() and str(path) != "."
        if is_path or key == "data.dir":
            *steps, name = key.split(".")
            node = config
            for step in steps:
                node = node[step]
            node[name] = str((directory / path).absolute())
    return config


def _report(first: Record, second: Record, name: str, *, own_code: bool) -> int:
    results = {"metrics": differences(first.metrics, second.metrics), "weights": _weights(first, second)}
    results["curves"] = differences(curves(first), curves(second))
    found = causes(first, second)
    if own_code and not first.code:  # it was rebuilt: whatever the checkout says of itself
        found.pop("code", None)
    same_as = dict.fromkeys(KINDS, "the same")
    if own_code:
        same_as["code"] = "rebuilt from the run's commit and changes"
    if not (first.result.get("data_sha256") and second.result.get("data_sha256")):
        same_as["data"] = "unknown: they have no checksum that depends on them"
    same = not any(results.values())
    print(f"\n{name} and its replay {second.path}: {'identical' if same else 'DIFFERENT'}")
    for kind, pairs in results.items():
        count = len(pairs)
        print(f"  {kind:12} {f'{count} differ: ' + _some(pairs) if count else 'the same, digit for digit'}")
    for kind, note in same_as.items():
        print(f"  {kind:12} {'differs: ' + _some(found[kind], values=True) if kind in found else note}")
    if not same:
        print(f"what could be to blame: {_to_blame(found, same_as['data'])}")
    return 0 if same else 1


def _to_blame(found: Mapping[str, Any], data: str) -> str:
    """What a user can change by hand; environment and hardware only if all of that is the same."""
    own = [kind for kind in ("data", "config", "code") if kind in found]
    rest = [kind for kind in ("environment", "hardware") if kind in found]
    unknown = [f"data ({data})"] * data.startswith("unknown")
    return ", ".join(own or [*unknown, *rest]) or "nothing recorded: it is not deterministic"


def curves(record: Record) -> dict[str, list[str]]:
    """The digits of every logged number of a run, by name; as text, so that a NaN is equal to another."""
    return {key: [repr(value) for _, value in series] for key, series in record.series().items()}


def _some(pairs: dict[str, Any], *, values: bool = False) -> str:
    shown = [f"{key} ({a} -> {b})" if values else str(key) for key, (a, b) in [*pairs.items()][:SHOWN]]
    return ", ".join(shown) + (f", and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")


def _weights(first: Record, second: Record) -> dict[str, tuple[str, str]]:
    """The weights of the last and the best checkpoint that are not equal in every bit."""
    from trainer.core.checksummed_file import load  # imports torch

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

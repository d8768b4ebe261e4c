"""Resume: what a run directory holds to go on from, and whether it may."""

import json
import logging
from pathlib import Path
from typing import Any

import torch

from trainer.artifacts import logs
from trainer.artifacts.fingerprint import INCIDENTAL, is_within, placeless
from trainer.artifacts.record import Record, flat
from trainer.errors import UserError
from trainer.sealed_file import damage

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
# what may differ from how the run began: how long it is to be, what follows it, what it only shows or saves
LENGTHS = ("trainer.max_epochs", "trainer.max_steps", "trainer.min_epochs", "trainer.min_steps", "trainer.max_time")
MAY_CHANGE = (*INCIDENTAL, *LENGTHS, "callbacks.early_stopping", "test")


def last_good(run: Path) -> Path | None:
    """The latest checkpoint of a run that is as it was written; a damaged one is set aside, and that is said."""
    for name in (LAST, PREVIOUS):
        file = run / "checkpoints" / name
        if not file.is_file():
            continue
        problem = damage(file)
        if problem is None:
            return file
        aside = file.with_name(f"{name}.damaged")
        file.replace(aside)
        log.warning(f"{file} is damaged: {problem}; it is set aside as {aside.name}, and the one before it is used")
    return None


def go_back(run: Path) -> str | None:
    """Bring a run directory back to its last good checkpoint, logs included.

    Returns:
        str: The checkpoint; None where there is none, and the run begins anew.
    """
    file = last_good(run)
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=True) if file else {}
    where = content.get("resume", {}).get("logs", {"rows": 0, "events": {}})
    missing = logs.go_back(run, where)
    if missing:
        log.warning(f"missing in '{run}', and lost from the curves: {', '.join(missing)}")
    if file is None:
        log.info("resume no checkpoint was written before it stopped: from the start")
        return None
    written = content.get("resume", {}).get("torch", torch.__version__)
    if written != torch.__version__:
        log.warning(f"{file.name} was written with torch {written}, and this is {torch.__version__}: digits may differ")
    log.info(f"resume {file.name}, step {content['global_step']}, epoch {content['epoch'] + 1}")
    return str(file)


def is_over(run: Path, config: dict[str, Any]) -> bool:
    """Whether a run is finished, and no longer one is asked for."""
    file = run / "result.json"
    if not file.is_file() or json.loads(file.read_text())["state"] != "finished":
        return False
    before, now = Record(run).config, flat(config)
    return all(before.get(key) == now.get(key) for key in LENGTHS)


def refuse_changes(run: Path, config: dict[str, Any]) -> None:
    """Refuse to go on with a config that would have led elsewhere.

    Raises:
        UserError: Names each setting that differs, with both values.
    """
    origin = run / "provenance.json"
    place = json.loads(origin.read_text()).get("run", str(run.absolute())) if origin.is_file() else str(run.absolute())
    before, now = flat(placeless(Record(run).nested_config, place)), flat(placeless(config, run.absolute()))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key) and not is_within(key, MAY_CHANGE)]
    if changed:
        told = "".join(f"\n  {key}: {before.get(key)} there, {now.get(key)} here" for key in changed[:10])
        raise UserError(
            f"'{run}' holds a run with other settings:{told}\n  leave them as they were;"
            " or begin a new run from its checkpoint: ckpt_path=RUN/checkpoints/last.ckpt"
        )


def found_in(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    """What Lightning's `ModelCheckpoint` knows of its files, with the names they have in a folder that was moved.

    Args:
        folder: Where the checkpoints of this run are.
        state: Of the callback, as saved; it stays as it is where the best checkpoint does not lie in the folder.
    """
    if Path(state["dirpath"] or "") == folder or not (folder / Path(state["best_model_path"]).name).is_file():
        return state
    paths = {name: str(folder / Path(path).name) for name, path in state.items() if name.endswith("_path") and path}
    best = {str(folder / Path(path).name): score for path, score in state["best_k_models"].items()}
    return state | paths | {"dirpath": str(folder), "best_k_models": best}

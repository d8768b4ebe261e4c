"""Resume: what a run directory holds to go on from, and whether it may."""

import json
import logging
from pathlib import Path
from typing import Any

import torch

from trainer.artifacts.fingerprint import essence, is_within, placeless
from trainer.artifacts.run_record import Record, flat
from trainer.core.checksummed_file import damage
from trainer.core.errors import UserError

log = logging.getLogger(__name__)

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"
# what may differ from the first start, beside what has no part in the numbers: how long the run is, and what follows it
LENGTHS = ("trainer.max_epochs", "trainer.max_steps", "trainer.min_epochs", "trainer.min_steps", "trainer.max_time")
MAY_CHANGE = (*LENGTHS, "callbacks.early_stopping", "test")


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


def has_checkpoint(run: Path) -> bool:
    """Return whether a run has a last checkpoint, damaged or not."""
    return any((run / "checkpoints" / name).is_file() for name in (LAST, PREVIOUS))


def latest(run: Path) -> tuple[str | None, dict[str, Any]]:
    """Return the last good checkpoint of a run, and the position of its logs when that was written.

    Without a checkpoint the run starts again, with empty logs.
    """
    file = last_good(run)
    if file is None:
        log.info("resume no checkpoint was written before it stopped: from the start")
        return None, {"rows": 0, "events": {}}
    content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    written = content.get("resume", {}).get("torch", torch.__version__)
    if written != torch.__version__:
        log.warning(f"{file.name} was written with torch {written}, and this is {torch.__version__}: digits may differ")
    log.info(f"resume {file.name}, step {content['global_step']}, epoch {content['epoch'] + 1}")
    return str(file), content.get("resume", {}).get("logs", {"rows": 0, "events": {}})


def is_finished(run: Path) -> bool:
    """Return whether the result of a run says that it is finished."""
    file = run / "result.json"
    return file.is_file() and json.loads(file.read_text())["state"] == "finished"


def is_over(run: Path, config: dict[str, Any]) -> bool:
    """Whether a run is finished, and no longer one is asked for."""
    if not is_finished(run):
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
    before = flat(essence(placeless(Record(run).nested_config, place)))
    now = flat(essence(placeless(config, run.absolute())))
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

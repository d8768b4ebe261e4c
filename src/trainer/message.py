"""Message: what a user reads in place of a traceback. Imports no torch, unless there is something to look for."""

import traceback
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from trainer.errors import UserError
from trainer.hydra_error import plain
from trainer.mistake import refuse


def message(error: BaseException, words: Sequence[str]) -> str | None:
    """What a user should read instead of a traceback; None for a fault in code, which needs its traceback.

    Args:
        error: What ended the command.
        words: Of the command line; where Hydra could not compose them, all that is wrong with them is told.
    """
    name, text = type(error).__name__, str(error)
    if isinstance(error, UserError) or name == "MisconfigurationException":  # Lightning's, not imported for this
        return text
    if text.startswith("Error(s) in loading state_dict"):
        return f"ckpt_path: the checkpoint is of another network\n  {text.splitlines()[1].strip()}"
    told_by_hydra = isinstance(error, HydraException | OmegaConfBaseException) and name != "InstantiationException"
    if not told_by_hydra and any(frame.name == "job" for frame in traceback.extract_tb(error.__traceback__)):
        return None  # raised by our code, or by code that a config named
    try:
        refuse_wrong(words)
    except UserError as all_of_it:
        return str(all_of_it)
    return plain(error) if told_by_hydra else None


def refuse_wrong(words: Sequence[str]) -> None:
    """Refuse a command line if any job of it is wrong.

    Raises:
        UserError: Names all that is wrong, in all jobs.
    """
    from trainer.preflight.jobs import check_words

    refuse(check_words(words, to_run=True).mistakes)

"""Message: what a user reads in place of a traceback. Imports no torch, unless there is something to look for."""

import traceback
from collections.abc import Sequence

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from trainer.config.diagnostics import refuse
from trainer.config.hydra_errors import plain
from trainer.core.errors import UserError, user_message


def message(error: BaseException, words: Sequence[str]) -> str | None:
    """What a user should read instead of a traceback; None for a fault in code, which needs its traceback.

    Args:
        error: What ended the command.
        words: Of the command line; where Hydra could not compose them, all that is wrong with them is told.
    """
    if (text := user_message(error)) is not None:
        return text
    of_hydra = isinstance(error, HydraException | OmegaConfBaseException)
    told_by_hydra = of_hydra and type(error).__name__ != "InstantiationException"
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
    from trainer.sweep.preflight import check_words

    refuse(check_words(words, to_run=True).mistakes)

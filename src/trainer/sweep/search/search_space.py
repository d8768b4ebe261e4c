"""Space: what an adaptive search may vary, read from the axes of a command line. Imports neither torch nor Optuna.

The axes are those of every sweep, in Hydra's grammar: an interval or a range is a number from low to high, on a
logarithmic scale with `tag(log, ...)`; anything else is a choice among values that have no order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweep.jobs.grid import params_of
from trainer.sweep.jobs.shared_settings import shared_config
from trainer.sweep.search.dimensions import Choices, Numbers, Value, dimension_of_axis

NOT_IN_A_SEARCH = ("seeds", "samples", "zip", "grids")  # of `sweep`: other ways to make jobs of axes


@dataclass(frozen=True)
class Space:
    """What a search varies, and what it leaves as it is.

    Args:
        fixed: Words that all trials share.
        dimensions: What is varied.
    """

    fixed: tuple[str, ...]
    dimensions: tuple[Numbers | Choices, ...]

    def words(self, values: dict[str, Value]) -> list[str]:
        """The words of the job that tries these values, by key."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def corners(self) -> Iterator[list[str]]:
        """Jobs in which each end of each number and each choice stands once: what is right for them is for the rest."""
        first = {each.key: each.ends[0] for each in self.dimensions}
        yield self.words(first)
        for each in self.dimensions:
            for value in each.ends[1:]:
                yield self.words(first | {each.key: value})

    def described(self) -> dict[str, dict[str, Any]]:
        """Plain facts, for the ledger."""
        return {each.key: asdict(each) for each in self.dimensions}


def space_of(composer: Composer, typed: Sequence[str]) -> Space:
    """The space of a search.

    Args:
        composer: Reads the words, and makes the config, which may hold axes and settings as well.
        typed: The words of the command line.

    Raises:
        UserError: An axis has no value or none that makes sense, nothing is varied, or `sweep` says that jobs are to
            be made in other ways as well.
        HydraException: A word does not follow Hydra's grammar.
    """
    config = shared_config(composer, typed)
    asked = [name for name in NOT_IN_A_SEARCH if config and config.sweep[name]]
    if asked:
        raise UserError(f"sweep.{asked[0]}: a search chooses its jobs by itself; leave it or sweep.trials out")
    params = params_of(config)
    fixed: dict[str, str] = {}
    dimensions: dict[str, Numbers | Choices] = {}
    for each in composer.parsed([*(f"{key}={value}" for key, value in params.items()), *typed]):
        key = each.get_key_element()
        fixed.pop(key, None)
        dimensions.pop(key, None)
        if each.is_sweep_override():
            dimensions[key] = dimension_of_axis(key, each)
        else:
            fixed[key] = each.input_line or ""
    if not dimensions:
        offer = "give a key an interval, a range or several values: 'optimizer.lr=tag(log,interval(0.0001,0.1))'"
        raise UserError(f"sweep.trials: there is nothing to search\n  {offer}")
    return Space((*fixed.values(),), (*dimensions.values(),))

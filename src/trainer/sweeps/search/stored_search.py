"""Space and objective of a search, read from the settings in its ledger."""

from collections.abc import Mapping
from typing import Any

from trainer.core.errors import UserError
from trainer.sweeps.search.dimensions import CategoricalDimension, Dimension, NumericDimension
from trainer.sweeps.search.optuna_adapter import SearchObjective
from trainer.sweeps.search.search_space import SearchSpace


def load_dimension(settings: Mapping[str, Any]) -> Dimension:
    """Return a dimension that was stored in the ledger."""
    if "values" in settings:
        return CategoricalDimension(settings["key"], tuple(settings["values"]))
    return NumericDimension(**settings)


def load_search(settings: Mapping[str, Any]) -> tuple[SearchSpace, SearchObjective]:
    """Return the space and the objective of the search in a ledger.

    Raises:
        UserError: The settings are not those of a search.
    """
    try:
        goal = settings["goal"]
        lists = {name: tuple(goal[name]) for name in ("metrics", "directions")}
        dimensions = tuple(load_dimension(dimension) for dimension in settings["space"].values())
        return SearchSpace(tuple(settings["fixed"]), dimensions), SearchObjective(**{**goal, **lists})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"the ledger contains no valid search: {type(error).__name__}: {error}") from error

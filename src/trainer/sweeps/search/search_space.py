"""Space of a search, parsed from the axes of a command line. Imports neither torch nor Optuna.

The axes use Hydra's grammar: an interval or a range is a number between two bounds, on a logarithmic scale with
`tag(log, ...)`; anything else is a choice among values without order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainer.config.compose import Composer
from trainer.core.errors import UserError
from trainer.sweeps.jobs.grid import read_sweeper_params
from trainer.sweeps.jobs.shared_settings import compose_shared_config
from trainer.sweeps.search.dimensions import Dimension, Value, parse_axis

GRID_ONLY_SETTINGS = ("seeds", "folds", "random_samples", "zip", "grids")  # settings of `sweep`


@dataclass(frozen=True)
class SearchSpace:
    """Space of a search.

    Args:
        fixed: Overrides that all trials share.
        dimensions: Dimensions that vary.
    """

    fixed: tuple[str, ...]
    dimensions: tuple[Dimension, ...]

    def overrides(self, values: dict[str, Value]) -> list[str]:
        """Return the overrides of the job that tries these values."""
        return [*self.fixed, *(f"{key}={value}" for key, value in values.items())]

    def corners(self) -> Iterator[list[str]]:
        """Yield the overrides of jobs that contain each bound and each choice once, enough to check the space."""
        values = {dimension.key: dimension.corner_values[0] for dimension in self.dimensions}
        yield self.overrides(values)
        for dimension in self.dimensions:
            for value in dimension.corner_values[1:]:
                yield self.overrides(values | {dimension.key: value})

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return the dimensions as plain values, for the ledger."""
        return {dimension.key: asdict(dimension) for dimension in self.dimensions}


def parse_search_space(composer: Composer, overrides: Sequence[str]) -> SearchSpace:
    """Return the space of a search.

    Args:
        composer: Composer of the config, which may also contain axes and settings.
        overrides: Overrides of the command line.

    Raises:
        UserError: An axis is empty or invalid, there is no axis, or a setting of `sweep` is not supported in a search.
        HydraException: An override does not follow Hydra's grammar.
    """
    config = compose_shared_config(composer, overrides)
    for name in GRID_ONLY_SETTINGS:
        if config and config.sweep[name]:
            raise UserError(f"sweep.{name}: not supported in a search; remove it or sweep.n_trials")
    params = [f"{key}={value}" for key, value in read_sweeper_params(config).items()]
    fixed: dict[str, str] = {}
    dimensions: dict[str, Dimension] = {}
    for override in composer.parse_overrides([*params, *overrides]):
        key = override.get_key_element()
        fixed.pop(key, None)
        dimensions.pop(key, None)
        if override.is_sweep_override():
            dimensions[key] = parse_axis(key, override)
        else:
            fixed[key] = override.input_line or ""
    if not dimensions:
        example = "'optimizer.lr=tag(log,interval(0.0001,0.1))'"
        raise UserError(f"sweep.n_trials: a search without axes; expected at least one\n  for example {example}")
    return SearchSpace((*fixed.values(),), (*dimensions.values(),))

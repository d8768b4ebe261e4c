"""Adapter to Optuna, which chooses the values of trials and prunes them. Optuna is imported only here.

Each question is answered by a study in memory that is built from the ledger, with a sampler whose seed depends on the
trial number. So a search that was killed and resumed chooses the same trials as one that was not.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.utils import instantiate

from trainer.config.import_path import add_working_directory
from trainer.config.schema import find_targets
from trainer.core.errors import UserError, did_you_mean, first_line
from trainer.core.installation import format_install_command
from trainer.core.metric_direction import Direction
from trainer.sweeps.search.dimensions import CategoricalDimension, Dimension, Value
from trainer.sweeps.search.search_space import SearchSpace
from trainer.sweeps.store.trial_store import Trial, extract_metrics

SAMPLERS = {
    "tpe": "optuna.samplers.TPESampler",
    "cmaes": "optuna.samplers.CmaEsSampler",
    "gp": "optuna.samplers.GPSampler",
    "nsga2": "optuna.samplers.NSGAIISampler",
    "random": "optuna.samplers.RandomSampler",
}
PRUNERS = {
    "none": "optuna.pruners.NopPruner",
    "median": "optuna.pruners.MedianPruner",
    "asha": "optuna.pruners.SuccessiveHalvingPruner",
    "hyperband": "optuna.pruners.HyperbandPruner",
}
STUDY_NAME = "search"  # Hyperband's brackets depend on it
TPE_STARTUP_TRIALS = 10  # random trials of TPE before it uses results


@dataclass(frozen=True)
class SearchObjective:
    """Objective and methods of a search.

    Args:
        metrics: Optimized metrics, as in `result.json`.
        directions: `min` or `max` for each metric.
        sampler: A name of `SAMPLERS`, or a node with a `_target_`.
        pruner: A name of `PRUNERS`, or a node with a `_target_`.
        seed: Seed of the sampler.
    """

    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]
    sampler: Any
    pruner: Any
    seed: int

    def __str__(self) -> str:
        nodes = (self.sampler, self.pruner)
        sampler, pruner = (node if isinstance(node, str) else str(node.get("_target_")) for node in nodes)
        metrics = ", ".join(f"{name} ({direction})" for name, direction in self.optimized.items())
        return f"{sampler} for {metrics}" + (f", pruned by {pruner}" if self.has_pruner else "")

    @property
    def optimized(self) -> dict[str, Direction]:
        """The metrics in their order, each with its direction."""
        return dict(zip(self.metrics, self.directions, strict=True))

    @property
    def has_pruner(self) -> bool:
        """True if trials may be pruned."""
        return self.pruner not in (None, "none")

    @property
    def startup_trials(self) -> int:
        """Number of trials that are chosen without results of others."""
        return {"tpe": TPE_STARTUP_TRIALS, "random": 1000}.get(self.sampler if isinstance(self.sampler, str) else "", 1)


def validate_sampler_and_pruner(objective: SearchObjective, epochs: int | None) -> None:
    """Raise if the sampler or the pruner does not exist, or does not accept its arguments or the metrics.

    Raises:
        UserError: `sweep.sampler` or `sweep.pruner` is invalid.
    """
    import_optuna()
    _build_sampler(objective, 0)
    _build_pruner(objective, epochs)
    has_several_metrics = len(objective.metrics) > 1
    if has_several_metrics and objective.has_pruner:
        raise UserError("sweep.pruner: trials with several metrics cannot be pruned; expected none")
    if has_several_metrics and objective.sampler == "cmaes":
        raise UserError("sweep.sampler: cmaes optimizes one metric; expected tpe, nsga2 or gp for several")


def suggest_values(
    trials: Sequence[Trial], space: SearchSpace, objective: SearchObjective, attempt: int
) -> tuple[dict[str, Value], dict[str, Any]]:
    """Return the values of the next trial.

    Args:
        trials: All previous trials.
        space: Search space.
        objective: Objective and sampler.
        attempt: Attempt from 0; each one draws differently with the same previous trials.

    Returns:
        dict: A value for each key of the space.
        dict: Internal data of the sampler for this trial.
    """
    number = len(trials)
    sampler = _build_sampler(objective, _derive_seed(objective.seed, number, attempt))
    study = build_study(trials, space, objective, sampler)
    with warnings.catch_warnings(action="ignore"):  # experimental features of Optuna
        trial = study.ask({dimension.key: _build_distribution(dimension) for dimension in space.dimensions})
    notes = study.get_trials(deepcopy=False)[number].system_attrs
    values = {dimension.key: _round_value(dimension, trial.params[dimension.key]) for dimension in space.dimensions}
    return values, dict(notes)


def should_prune(
    trials: Sequence[Trial], number: int, space: SearchSpace, objective: SearchObjective, epochs: int | None
) -> tuple[bool, dict[str, Any]]:
    """Return whether a trial is so much worse than others that it should end.

    Args:
        trials: All trials with their reports.
        number: Number of the trial.
        space: Search space.
        objective: Objective and pruner.
        epochs: Number of epochs of a complete trial; None if unknown.

    Returns:
        bool: Whether the trial should end.
        dict: Internal data of the pruner for this trial.
    """
    study = build_study(trials, space, objective, pruner=_build_pruner(objective, epochs))
    trial = study.get_trials(deepcopy=False)[number]
    with warnings.catch_warnings(action="ignore"):
        is_pruned = study.pruner.prune(study, trial)
    return bool(is_pruned), dict(study.get_trials(deepcopy=False)[number].system_attrs)


def import_optuna() -> Any:
    """Return Optuna, with its log messages suppressed.

    Raises:
        UserError: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(f"sweep.n_trials: a search requires Optuna: {format_install_command('search')}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def build_study(
    trials: Sequence[Trial], space: SearchSpace, objective: SearchObjective, sampler: Any = None, pruner: Any = None
) -> Any:
    """Return all trials as an `optuna.Study` in memory."""
    optuna = import_optuna()
    directions = ["maximize" if direction == "max" else "minimize" for direction in objective.directions]
    study = optuna.create_study(study_name=STUDY_NAME, sampler=sampler, pruner=pruner, directions=directions)
    distributions = {dimension.key: _build_distribution(dimension) for dimension in space.dimensions}
    states = optuna.trial.TrialState
    for trial in trials:
        values = extract_metrics(trial.job.result, objective.metrics) if trial.job.state == "done" else None
        state = {"done": states.COMPLETE if values else states.FAIL, "pruned": states.PRUNED, "failed": states.FAIL}
        study.add_trial(
            optuna.trial.create_trial(
                state=state.get(trial.job.state, states.RUNNING),
                values=values,
                params=trial.values,
                distributions=distributions,
                system_attrs=trial.notes,
                intermediate_values=trial.reports,
            )
        )
    return study


def _build_sampler(objective: SearchObjective, seed: int) -> Any:
    node = _resolve_target("sweep.sampler", objective.sampler, SAMPLERS)
    user_seed = node.pop("seed", None)
    node["seed"] = seed if user_seed is None else _derive_seed(user_seed, seed, 0)
    return _instantiate("sweep.sampler", node)


def _build_pruner(objective: SearchObjective, epochs: int | None) -> Any:
    node = _resolve_target("sweep.pruner", objective.pruner or "none", PRUNERS)
    if objective.pruner == "asha":
        node["min_resource"] = 1
    if objective.pruner == "hyperband" and epochs:
        node |= {"min_resource": 1, "max_resource": epochs}
    return _instantiate("sweep.pruner", node)


def _resolve_target(key: str, setting: Any, targets: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(setting, Mapping):
        return {str(name): value for name, value in setting.items()}
    if setting not in targets:
        suggestion = did_you_mean(str(setting), [*targets])
        raise UserError(
            f"{key}: unknown name '{setting}'{suggestion}\n  for other classes of Optuna: {{_target_: ...}}"
        )
    return {"_target_": targets[setting]}


def _instantiate(key: str, node: dict[str, Any]) -> Any:
    add_working_directory(find_targets(node))
    with warnings.catch_warnings(action="ignore"):
        try:
            return instantiate(node)
        except Exception as error:
            cause = error.__cause__ or error
            raise UserError(f"{key}: {node.get('_target_')}: {first_line(cause)}") from error


def _derive_seed(*parts: int) -> int:
    """Return a hash of numbers as a seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def _build_distribution(dimension: Dimension) -> Any:
    distributions = import_optuna().distributions
    if isinstance(dimension, CategoricalDimension):
        return distributions.CategoricalDistribution(dimension.values)
    bounds = (dimension.low, dimension.high)
    if dimension.whole:
        return distributions.IntDistribution(*map(int, bounds), log=dimension.log, step=int(dimension.step or 1))
    return distributions.FloatDistribution(*bounds, log=dimension.log, step=dimension.step)


def _round_value(dimension: Dimension, value: Any) -> Value:
    """Return a value with at most six digits, short enough to type."""
    if isinstance(dimension, CategoricalDimension) or dimension.whole or dimension.step:
        return value
    return min(max(float(f"{value:.6g}"), dimension.low), dimension.high)

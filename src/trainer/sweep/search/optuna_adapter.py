"""Optimizer: Optuna, asked what to try next and whether to go on; it is imported here alone, when a search runs.

Each question is put to a study in memory that is made of the ledger, by a sampler whose seed hangs on the number of the
trial. So a search that was killed and resumed asks for the very trials that it would have asked for without that.
"""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.utils import instantiate

from trainer.core.errors import UserError, did_you_mean, first_line
from trainer.core.metric_direction import Direction
from trainer.core.optional_packages import install_command
from trainer.sweep.search.dimensions import Choices, Numbers, Value
from trainer.sweep.search.search_space import Space
from trainer.sweep.store.trial_store import Trial, values_of

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
NAME = "search"  # of the study: Hyperband's brackets hang on it
FIRST = 10  # trials that TPE draws before it looks at results


@dataclass(frozen=True)
class Goal:
    """What is searched for, and how.

    Args:
        metrics: Names of what is optimized, as in `result.json`.
        directions: `min` or `max` for each.
        sampler: A name of `SAMPLERS`, or a node with a `_target_`.
        pruner: A name of `PRUNERS`, or a node with a `_target_`.
        seed: Of the sampler.
    """

    metrics: tuple[str, ...]
    directions: tuple[Direction, ...]
    sampler: Any
    pruner: Any
    seed: int

    def __str__(self) -> str:
        said = [each if isinstance(each, str) else str(each.get("_target_")) for each in (self.sampler, self.pruner)]
        what = ", ".join(f"{name} ({direction})" for name, direction in self.optimized.items())
        return f"{said[0]} for {what}" + (f", pruned by {said[1]}" if self.prunes else "")

    @property
    def optimized(self) -> dict[str, Direction]:
        """The metrics in their order, each with its direction."""
        return dict(zip(self.metrics, self.directions, strict=True))

    @property
    def prunes(self) -> bool:
        """Whether trials may be ended early."""
        return self.pruner not in (None, "none")

    @property
    def before_results(self) -> int:
        """How many trials are drawn without a look at results."""
        return {"tpe": FIRST, "random": 1000}.get(self.sampler if isinstance(self.sampler, str) else "", 1)


def checked(goal: Goal, epochs: int | None) -> None:
    """Refuse a sampler or a pruner that there is not, or that refuses its arguments or the metrics.

    Raises:
        UserError: Names the setting.
    """
    optuna()
    _sampler(goal, 0)
    _pruner(goal, epochs)
    several = len(goal.metrics) > 1
    if several and goal.prunes:
        raise UserError("sweep.pruner: with several metrics no trial is known to be worse early; sweep.pruner=none")
    if several and goal.sampler == "cmaes":
        raise UserError("sweep.sampler: cmaes optimizes one metric; several take sweep.sampler=tpe, nsga2 or gp")


def asked(trials: Sequence[Trial], space: Space, goal: Goal, attempt: int) -> tuple[dict[str, Value], dict[str, Any]]:
    """What to try next.

    Args:
        trials: All that there are.
        space: To choose from.
        goal: What is searched for, and how.
        attempt: From 0; another one chooses differently with the same knowledge.

    Returns:
        dict: A value for each key of the space.
        dict: What the sampler keeps with the trial.
    """
    number = len(trials)
    known = study(trials, space, goal, _sampler(goal, _seed(goal.seed, number, attempt)), None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Optuna calls experimental
        trial = known.ask({each.key: _distribution(each) for each in space.dimensions})
    notes = known.get_trials(deepcopy=False)[number].system_attrs
    return {each.key: _tidy(each, trial.params[each.key]) for each in space.dimensions}, dict(notes)


def hopeless(
    trials: Sequence[Trial], number: int, space: Space, goal: Goal, epochs: int | None
) -> tuple[bool, dict[str, Any]]:
    """Whether a trial does so much worse than others that it is to end.

    Args:
        trials: All that there are, with their reports.
        number: Which one.
        space: They are chosen from.
        goal: What is searched for, and how.
        epochs: That a whole trial takes; None where that is open.

    Returns:
        bool: So it is.
        dict: What the pruner keeps with the trial.
    """
    known = study(trials, space, goal, None, _pruner(goal, epochs))
    trial = known.get_trials(deepcopy=False)[number]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ends = known.pruner.prune(known, trial)
    return bool(ends), dict(known.get_trials(deepcopy=False)[number].system_attrs)


def optuna() -> Any:
    """Optuna, which keeps to itself what it would log.

    Raises:
        UserError: It is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError(f"sweep.trials: a search needs Optuna: {install_command('search')}") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def study(trials: Sequence[Trial], space: Space, goal: Goal, sampler: Any = None, pruner: Any = None) -> Any:
    """All trials as an `optuna.Study` in memory."""
    whole = optuna()
    directions = ["maximize" if direction == "max" else "minimize" for direction in goal.directions]
    made = whole.create_study(study_name=NAME, sampler=sampler, pruner=pruner, directions=directions)
    distributions = {each.key: _distribution(each) for each in space.dimensions}
    states = whole.trial.TrialState
    for trial in trials:
        values = values_of(trial.job.result, goal.metrics) if trial.job.state == "done" else None
        state = {"done": states.COMPLETE if values else states.FAIL, "pruned": states.PRUNED, "failed": states.FAIL}
        made.add_trial(
            whole.trial.create_trial(
                state=state.get(trial.job.state, states.RUNNING),
                values=values,
                params=trial.values,
                distributions=distributions,
                system_attrs=trial.notes,
                intermediate_values=trial.reports,
            )
        )
    return made


def _sampler(goal: Goal, seed: int) -> Any:
    made = _named("sweep.sampler", goal.sampler, SAMPLERS)
    given = made.pop("seed", None)
    seed = seed if given is None else _seed(given, seed, 0)
    return _built("sweep.sampler", {**made, "seed": seed})


def _pruner(goal: Goal, epochs: int | None) -> Any:
    made = _named("sweep.pruner", goal.pruner or "none", PRUNERS)
    if goal.pruner == "asha":
        made |= {"min_resource": 1}
    if goal.pruner == "hyperband" and epochs:
        made |= {"min_resource": 1, "max_resource": epochs}
    return _built("sweep.pruner", made)


def _named(key: str, asked_for: Any, known: Mapping[str, str]) -> dict[str, Any]:
    if isinstance(asked_for, Mapping):
        return {str(name): value for name, value in asked_for.items()}
    if asked_for not in known:
        offer = did_you_mean(str(asked_for), [*known])
        raise UserError(f"{key}: there is no '{asked_for}'{offer} (or {{_target_: ...}} for any other of Optuna)")
    return {"_target_": known[asked_for]}


def _built(key: str, node: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return instantiate(node)
        except Exception as error:
            cause = error.__cause__ or error
            raise UserError(f"{key}: {node.get('_target_')}: {first_line(cause)}") from error


def _seed(*parts: int) -> int:
    """A seed for these numbers, unlike that of any others."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big")


def _distribution(dimension: Numbers | Choices) -> Any:
    kinds = optuna().distributions
    if isinstance(dimension, Choices):
        return kinds.CategoricalDistribution(dimension.values)
    low, high, log = dimension.low, dimension.high, dimension.log
    if dimension.whole:
        return kinds.IntDistribution(int(low), int(high), log=log, step=int(dimension.step or 1))
    return kinds.FloatDistribution(low, high, log=log, step=dimension.step)


def _tidy(dimension: Numbers | Choices, value: Any) -> Value:
    """A value as one would type it: six digits are enough."""
    if isinstance(dimension, Choices) or dimension.whole or dimension.step:
        return value
    return min(max(float(f"{value:.6g}"), dimension.low), dimension.high)

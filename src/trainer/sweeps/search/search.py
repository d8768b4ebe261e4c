"""Search that chooses its jobs one after another, based on the results of the previous ones."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer, get_override_key
from trainer.config.diagnostics import raise_on_errors
from trainer.core.errors import UserError
from trainer.core.mappings import diff_mappings
from trainer.sweeps.jobs.grid import validate_counts
from trainer.sweeps.jobs.identity import Identities
from trainer.sweeps.jobs.shared_settings import is_sweep_setting
from trainer.sweeps.optimized_metrics import resolve_optimized_metrics
from trainer.sweeps.search.optuna_adapter import (
    SearchObjective,
    should_prune,
    suggest_values,
    validate_sampler_and_pruner,
)
from trainer.sweeps.search.search_space import SearchSpace, parse_search_space
from trainer.sweeps.search.stored_search import load_dimension, load_search
from trainer.sweeps.store.job import Job
from trainer.sweeps.store.trial_store import Trial, TrialLedger

log = logging.getLogger(__name__)
# attempts to find a point that was not tried: first those of the sampler, then random ones
MAX_SAMPLER_ATTEMPTS = 20
MAX_RANDOM_ATTEMPTS = 200
PRUNING_OVERRIDE = "+callbacks.pruning._target_=trainer.sweeps.search.pruning.Pruning"


@dataclass(frozen=True)
class SearchPlan:
    """A search as a command line describes it.

    Args:
        space: Search space.
        objective: Objective, sampler and pruner.
        trials: Total number of trials.
        max_parallel: Maximum number of trials that run at a time. Defaults to 1.
    """

    space: SearchSpace
    objective: SearchObjective
    trials: int
    max_parallel: int = 1

    def settings(self) -> dict[str, Any]:
        """Return the settings that are stored in the ledger."""
        objective = {**vars(self.objective)}
        return {"space": self.space.to_dict(), "fixed": self.space.fixed, "goal": objective, "trials": self.trials}


def plan_search(composer: Composer, overrides: Sequence[str]) -> SearchPlan | None:
    """Return the search of a command line, or None if it describes a sweep of another kind.

    Raises:
        UserError: The space, the metric, the sampler, the pruner or a count is invalid, or `sweep` has been removed.
    """
    config, _, diagnostics = composer.compose_tolerant(composer.select_shared(overrides))
    raise_on_errors([diagnostic for diagnostic in diagnostics if diagnostic.key == "sweep"])
    if config is None:
        return None
    validate_counts(config.sweep)
    if config.sweep.n_trials is None:
        return None
    space = parse_search_space(composer, overrides)
    space = replace(space, fixed=tuple(override for override in space.fixed if not is_sweep_setting(override)))
    plan = SearchPlan(space, _read_objective(config), config.sweep.n_trials, config.sweep.workers or 1)
    validate_sampler_and_pruner(plan.objective, read_max_epochs(config))
    return plan


def read_max_epochs(config: DictConfig) -> int | None:
    """Return the number of epochs of a complete run, or None if it is not limited."""
    epochs = config.trainer.get("max_epochs") if isinstance(config.trainer, DictConfig) else None
    return epochs if isinstance(epochs, int) and epochs > 0 else None


def _read_objective(config: DictConfig) -> SearchObjective:
    optimized = resolve_optimized_metrics(config)
    if not optimized:
        raise UserError("optimized_metric: null in a search; expected a metric, for example val/loss")
    settings: Any = OmegaConf.to_container(config.sweep)
    methods = (settings["sampler"], settings["pruner"], settings["sample_seed"])
    objective = SearchObjective(tuple(optimized), tuple(optimized.values()), *methods)
    metric = objective.metrics[0]
    if objective.has_pruner and metric.startswith("test/"):
        raise UserError(
            f"sweep.pruner: '{metric}' is only measured after training; expected a metric of the validation"
        )
    return objective


class Search:
    """Chooses the jobs of a search.

    Args:
        ledger: Ledger of the search.
        composer: Composer of the configs.
        identities: Identities of the jobs.
        plan: Search of the command line.

    Raises:
        UserError: The directory contains another search, or a sweep of another kind.
    """

    def __init__(self, ledger: TrialLedger, composer: Composer, identities: Identities, plan: SearchPlan) -> None:
        self.ledger = ledger
        self.plan = plan
        self._composer = composer
        self._identities = identities
        self._exhausted = False
        settings = ledger.settings()
        if settings is not None:
            require_same_search(ledger.sweep, settings, plan, identities)
        elif ledger.jobs():
            hint = "choose a new directory: hydra.sweep.dir=DIR"
            raise UserError(f"'{ledger.sweep}' contains a sweep that is not a search\n  {hint}")

    @property
    def n_trials(self) -> int:
        """Total number of trials."""
        return len(self.ledger.jobs()) if self._exhausted else self.plan.trials

    @property
    def remaining(self) -> int:
        """Number of trials that are not chosen yet."""
        return 0 if self._exhausted else max(0, self.plan.trials - len(self.ledger.jobs()))

    def next(self) -> Job | None:
        """Choose the next job and write it to the ledger; return None if the search is complete."""
        while self.remaining:
            trials = self.ledger.trials()
            trial = self.choose(trials)
            if trial is None:
                log.info(f"search  every point of the space has been tried: {len(trials)} trials")
                self._exhausted = True
            elif self.ledger.add(trial):
                return trial.job
        return None

    def choose(self, trials: Sequence[Trial]) -> Trial | None:
        """Return the next trial after these, or None if all points of the space have been tried."""
        identities = {trial.job.identity for trial in trials}
        objective = self.plan.objective
        for attempt in range(MAX_SAMPLER_ATTEMPTS + MAX_RANDOM_ATTEMPTS):
            if attempt == MAX_SAMPLER_ATTEMPTS:
                objective = replace(objective, sampler="random")
            values, notes = suggest_values(trials, self.plan.space, objective, attempt)
            overrides = self.plan.space.overrides(values)
            identity = self._identities.of(overrides)
            if identity not in identities:
                return Trial(Job(len(trials), identity, overrides), values, notes)
        return None

    def preview(self, count: int) -> list[Trial]:
        """Return the next trials as they are chosen without further results. Nothing is written."""
        trials = self.ledger.trials()
        start = len(trials)
        while len(trials) < min(start + count, self.plan.trials) and (trial := self.choose(trials)):
            trials.append(trial)
        return trials[start:]


def require_same_search(sweep: Path, settings: Mapping[str, Any], plan: SearchPlan, identities: Identities) -> None:
    """Raise if a ledger contains a search with another space, other fixed overrides or another metric.

    Raises:
        UserError: The searches differ; the message lists the differences.
    """
    searches = [settings, plan.settings()]
    facts = [_describe_search(search) for search in searches]
    fixed = [{get_override_key(override): override for override in search["fixed"]} for search in searches]
    trial = next(plan.space.corners())
    for key, overrides in diff_mappings(fixed[0], fixed[1], None).items():
        if not identities.is_invariant_to(trial, key, overrides[0]):
            for values, override in zip(facts, overrides, strict=True):
                values |= {key: override.partition("=")[2]} if override else {}
    differences = diff_mappings(facts[0], facts[1], "not set").items()
    if differences:
        lines = "".join(f"\n  {key}: {value} in the ledger, {new} in this command" for key, (value, new) in differences)
        raise UserError(
            f"'{sweep}' contains another search:{lines}\n  use the same settings, or choose a new directory"
        )


def _describe_search(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the metrics, their directions and the dimensions of a search as text."""
    goal = {"optimized_metric": settings["goal"]["metrics"], "sweep.direction": settings["goal"]["directions"]}
    dimensions = {key: str(load_dimension(dimension)) for key, dimension in settings["space"].items()}
    return {key: ", ".join(values) for key, values in goal.items()} | dimensions


@dataclass(frozen=True)
class RunningTrial:
    """A running trial, as seen by its own process.

    Args:
        ledger: Ledger of the search.
        number: Number of the trial.
        space: Search space.
        objective: Objective and pruner.
    """

    ledger: TrialLedger
    number: int
    space: SearchSpace
    objective: SearchObjective

    @classmethod
    def load(cls, sweep: Path, number: int) -> "RunningTrial | None":
        """Return the trial with this number, or None if it does not run or the sweep is not a search."""
        ledger = TrialLedger(sweep)
        settings = ledger.settings()
        if settings is None or ledger.job(number).state != "running":
            return None
        return cls(ledger, number, *load_search(settings))

    @property
    def metric(self) -> str:
        """Metric that is reported; for the best value of a run it is the value of each epoch."""
        return self.objective.metrics[0].removesuffix("_best")

    def report(self, epoch: int, value: float, epochs: int | None) -> bool:
        """Write the metric after an epoch; return whether the trial should be pruned."""
        self.ledger.report(self.number, epoch, value)
        is_pruned, notes = should_prune(self.ledger.trials(), self.number, self.space, self.objective, epochs)
        self.ledger.save_notes(self.number, notes)
        return is_pruned

"""Search: jobs that are chosen one after another, by what those before them have shown."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from trainer.config.compose import Composer, key_of
from trainer.config.diagnostics import refuse
from trainer.core.errors import UserError
from trainer.sweep.jobs.grid import refuse_counts
from trainer.sweep.jobs.identity import Identities
from trainer.sweep.jobs.shared_settings import is_of_sweep
from trainer.sweep.optimized_metrics import optimized
from trainer.sweep.search.dimensions import Choices, Numbers
from trainer.sweep.search.optuna_adapter import Goal, asked, checked, hopeless
from trainer.sweep.search.search_space import Space, space_of
from trainer.sweep.store.job_store import Job
from trainer.sweep.store.trial_store import Trial, Trials

log = logging.getLogger(__name__)

# attempts to find a point that was not tried: the sampler's own, then at random
ATTEMPTS, AT_RANDOM = 20, 200
# the override that a job gets if trials are pruned
PRUNING = "+callbacks.pruning._target_=trainer.sweep.search.pruning.Pruning"


@dataclass(frozen=True)
class Plan:
    """What a command line wants to be searched.

    Args:
        space: To choose from.
        goal: What is searched for, and how.
        trials: How many jobs there are to be in all.
        at_a_time: How many of them run at once.
    """

    space: Space
    goal: Goal
    trials: int
    at_a_time: int = 1

    def settings(self) -> dict[str, Any]:
        """For the ledger."""
        goal = {**vars(self.goal)}
        return {"space": self.space.described(), "fixed": self.space.fixed, "goal": goal, "trials": self.trials}


def plan_of(composer: Composer, typed: Sequence[str]) -> Plan | None:
    """What the words of a command line want to be searched; None where they make a sweep of another kind.

    Raises:
        UserError: The space, the metric, the sampler, the pruner or a count is invalid, or `sweep` has been removed.
    """
    config, _, found = composer.attempt(composer.shared(typed))
    refuse([mistake for mistake in found if mistake.key == "sweep"])
    if config is None:
        return None
    refuse_counts(config.sweep)
    if config.sweep.trials is None:
        return None
    whole = space_of(composer, typed)
    words = tuple(word for word in whole.fixed if not is_of_sweep(word))
    plan = Plan(replace(whole, fixed=words), _goal(config), config.sweep.trials, config.sweep.workers or 1)
    checked(plan.goal, epochs_of(config))
    return plan


def epochs_of(config: DictConfig) -> int | None:
    """How many epochs a whole run takes; None where that is open."""
    epochs = config.trainer.get("max_epochs") if isinstance(config.trainer, DictConfig) else None
    return epochs if isinstance(epochs, int) and epochs > 0 else None


def _goal(config: DictConfig) -> Goal:
    directions = optimized(config)
    if not directions:
        raise UserError("optimized_metric: a search needs to know what is to be optimized: optimized_metric=val/loss")
    plain: Any = OmegaConf.to_container(config.sweep)
    metrics = tuple(directions)
    goal = Goal(metrics, tuple(directions.values()), plain["sampler"], plain["pruner"], plain["sample_seed"])
    if goal.prunes and metrics[0].startswith("test/"):
        offer = "optimize a metric of the validation, or sweep.pruner=none"
        raise UserError(f"sweep.pruner: '{metrics[0]}' is not known before the training has ended; {offer}")
    return goal


class Search:
    """Chooses the jobs of a search.

    Args:
        ledger: Of the search.
        composer: Makes configs.
        identities: Tells them apart.
        plan: What is to be searched.

    Raises:
        UserError: The directory holds another search, or a sweep that is none.
    """

    def __init__(self, ledger: Trials, composer: Composer, identities: Identities, plan: Plan) -> None:
        self.ledger, self.plan = ledger, plan
        self._composer, self._identities = composer, identities
        self._exhausted = False
        before, jobs = ledger.settings(), ledger.jobs()
        if before is None and jobs:
            raise UserError(f"'{ledger.sweep}' holds a sweep that is no search; name a new directory: hydra.sweep.dir=")
        if before is not None:
            refuse_another(ledger.sweep, before, plan, identities)

    @property
    def wanted(self) -> int:
        """How many trials there are to be in all."""
        return len(self.ledger.jobs()) if self._exhausted else self.plan.trials

    @property
    def more(self) -> int:
        """How many trials are still to be chosen."""
        return 0 if self._exhausted else max(0, self.plan.trials - len(self.ledger.jobs()))

    def next(self) -> Job | None:
        """Choose another job, and write it into the ledger; None where there are enough, or nothing is left."""
        while self.more:
            trials = self.ledger.trials()
            trial = self.chosen(trials)
            if trial is None:
                log.info(f"search  every point of the space has been tried: {len(trials)} trials")
                self._exhausted = True
            elif self.ledger.add(trial):
                return trial.job
        return None

    def chosen(self, trials: Sequence[Trial]) -> Trial | None:
        """The next trial, knowing these; None where all points of the space have been tried."""
        known = {trial.job.identity for trial in trials}
        goal = self.plan.goal
        for attempt in range(ATTEMPTS + AT_RANDOM):
            if attempt == ATTEMPTS:
                goal = replace(goal, sampler="random")
            values, notes = asked(trials, self.plan.space, goal, attempt)
            words = self.plan.space.words(values)
            identity = self._identities.of(words)
            if identity not in known:
                return Trial(Job(len(trials), identity, words), values, notes)
        return None

    def first(self, count: int) -> list[Trial]:
        """The next trials, as they are chosen while the results of none of them are known; nothing is written."""
        trials = self.ledger.trials()
        begun = len(trials)
        while len(trials) < min(begun + count, self.plan.trials) and (trial := self.chosen(trials)):
            trials.append(trial)
        return trials[begun:]


def refuse_another(sweep: Path, before: Mapping[str, Any], plan: Plan, identities: Identities) -> None:
    """Refuse to mix trials of another space, with other fixed words or for another metric.

    Raises:
        UserError: Names what is different.
    """
    now = plan.settings()
    then = {"optimized_metric": before["goal"]["metrics"], "sweep.direction": before["goal"]["directions"]}
    here = {"optimized_metric": [*plan.goal.metrics], "sweep.direction": [*plan.goal.directions]}
    for found, settings in ((then, before), (here, now)):
        found |= {key: str(dimension_of(each)) for key, each in settings["space"].items()}
    words = [{key_of(word): word for word in settings["fixed"]} for settings in (before, now)]
    trial = next(plan.space.corners())
    for key in {**words[0], **words[1]}:
        old, new = (fixed.get(key) for fixed in words)
        if old != new and not identities.stays(trial, key, old):
            then |= {key: old.partition("=")[2]} if old else {}
            here |= {key: new.partition("=")[2]} if new else {}
    told = "".join(
        f"\n  {key}: {_shown(then.get(key))} there, {_shown(here.get(key))} here"
        for key in {**then, **here}
        if then.get(key) != here.get(key)
    )
    if told:
        raise UserError(f"'{sweep}' holds another search:{told}\n  put it back, or name a new directory")


def _shown(value: Any) -> str:
    return "not set" if value is None else ", ".join(value) if isinstance(value, list) else str(value)


def dimension_of(facts: Mapping[str, Any]) -> Numbers | Choices:
    """A dimension as the ledger describes it."""
    return Choices(facts["key"], tuple(facts["values"])) if "values" in facts else Numbers(**facts)


def read(settings: Mapping[str, Any]) -> tuple[Space, Goal]:
    """What a ledger says is searched, and how."""
    goal = settings["goal"]
    dimensions = tuple(dimension_of(each) for each in settings["space"].values())
    known = Goal(tuple(goal["metrics"]), tuple(goal["directions"]), goal["sampler"], goal["pruner"], goal["seed"])
    return Space(tuple(settings["fixed"]), dimensions), known


@dataclass(frozen=True)
class Running:
    """A trial under way, seen from its own process.

    Args:
        ledger: Of the search.
        number: Of the trial.
        space: To choose from.
        goal: What is searched for, and how.
    """

    ledger: Trials
    number: int
    space: Space
    goal: Goal

    @classmethod
    def of(cls, sweep: Path, number: int) -> "Running | None":
        """The trial of this number; None where it is not under way, or the sweep is no search."""
        ledger = Trials(sweep)
        settings = ledger.settings()
        if settings is None or ledger.job(number).state != "running":
            return None
        return cls(ledger, number, *read(settings))

    @property
    def metric(self) -> str:
        """What is reported: of the best value of a run, the value of each epoch."""
        return self.goal.metrics[0].removesuffix("_best")

    def report(self, epoch: int, value: float, epochs: int | None) -> bool:
        """Write down how far it is; whether it is to end, as others were better by then."""
        self.ledger.report(self.number, epoch, value)
        ends, notes = hopeless(self.ledger.trials(), self.number, self.space, self.goal, epochs)
        self.ledger.note(self.number, notes)
        return ends

"""Jobs: every job of a command line checked, a single run or a sweep, before the first begins."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from trainer.config.compose import Composer
from trainer.config.diagnostics import Mistake
from trainer.config.value_sources import place_of
from trainer.core.errors import UserError
from trainer.core.lazy_imports import late_imports
from trainer.core.warning_filters import quieten
from trainer.sweep.executors.forkserver import expect
from trainer.sweep.jobs.grid import expand
from trainer.sweep.jobs.shared_settings import is_of_sweep, mistakes_of_sweep, shared_config
from trainer.sweep.search.search import plan_of

ALL_OF = 300  # jobs of a sweep that are all checked; of more of them as many that each value of each axis is in one


@dataclass
class Findings:
    """What a check found.

    Args:
        mistakes: With their places; the same one in several jobs stands once.
        jobs: How many there are.
        checked: How many of them were looked at.
        facts: What the rehearsal of the last job said of its network.
    """

    mistakes: list[Mistake] = field(default_factory=list)
    jobs: int = 1
    checked: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def stops(self) -> bool:
        """Whether a run is refused for it."""
        return any(mistake.stops for mistake in self.mistakes)


def check_words(words: Sequence[str], *, to_run: bool = False) -> Findings:
    """Check what a command line would run.

    Args:
        words: As behind `trainer`: choices, values, `--multirun`, `--config-dir`.
        to_run: Whether it is run next: what a sweep's jobs are forked from makes itself ready meanwhile.
    """
    options = get_args_parser().parse_args([*words])
    composer, found = Composer(options.config_dir), Findings()
    typed: list[str] = options.overrides
    only_words = bool(options.cfg or options.info)
    sweeps: bool = options.multirun
    numbered = False
    try:
        jobs, numbered = jobs_to_check(composer, typed) if sweeps else ([typed], False)
        config = composer.compose(jobs[0])
        if not sweeps and config.hydra.mode is not None and config.hydra.mode.name == "MULTIRUN":
            sweeps = True
            jobs, numbered = jobs_to_check(composer, typed)
    except UserError:
        raise
    except Exception:  # Hydra's own errors, and what its code stumbles over
        good = composer.parsable(typed)[0] if sweeps else typed  # each job tells what is wrong
        jobs, numbered = jobs_to_check(composer, good) if sweeps else ([typed], False)
    else:
        if to_run and sweeps and not composer.found:
            expect(config)
    found.jobs = len(jobs)
    shared = shared_config(composer, typed) if sweeps else None
    seen: dict[Mistake, list[int]] = {}
    for number in _looked_at(jobs):
        found.checked += 1
        for mistake in _of_job(composer, jobs[number], number, found, shared, only_words=only_words):
            seen.setdefault(mistake, []).append(number)
    found.mistakes = [replace(each, jobs=tuple(numbers) if numbered else ()) for each, numbers in seen.items()]
    return found


def jobs_to_check(composer: Composer, typed: Sequence[str]) -> tuple[list[list[str]], bool]:
    """The jobs of a sweep, and whether they are such that have numbers.

    A search has none yet. Looked at are the ends of its space: what is right there is right between them.
    """
    if not (search := plan_of(composer, typed)):
        return expand(composer, typed), True
    of_sweep = [word for word in composer.shared(typed) if is_of_sweep(word)]
    return [[*corner, *of_sweep] for corner in search.space.corners()], False


def _looked_at(jobs: Sequence[Sequence[str]]) -> list[int]:
    if len(jobs) <= ALL_OF:
        return [*range(len(jobs))]
    seen: set[str] = set()
    chosen = []
    for number, job in enumerate(jobs):
        if not seen.issuperset(job):
            seen.update(job)
            chosen.append(number)
    return chosen


def _of_job(
    composer: Composer, words: list[str], number: int, found: Findings, shared: DictConfig | None, *, only_words: bool
) -> list[Mistake]:
    config, good, mistakes = composer.attempt(words, number)
    if config is None:
        return mistakes
    mistakes += composer.found
    if shared is not None and (of_sweep := [*mistakes_of_sweep(shared, config)]):
        written = composer.layers(good)
        mistakes += [replace(each, place=place_of(written, each.key)) for each in of_sweep]
    if only_words:
        return mistakes
    with late_imports():
        from trainer.training.preflight.check import (  # brings torch, which mistakes in words do not need
            mistakes_of,
            placed,
        )
        from trainer.training.preflight.unused_settings import without_effect

    quieten()
    spoilt = [mistake.key for mistake in mistakes]  # what hangs on these cannot be judged
    checked, found.facts = mistakes_of(config)
    own = [each for each in checked if not any(each.key.startswith(f"{key}.") for key in spoilt if "." not in key)]
    unused = found.facts.get("unused", {})
    if not own and not unused:
        return mistakes
    layers = composer.layers(good)
    return [*mistakes, *placed(own, layers), *without_effect(unused, layers)]

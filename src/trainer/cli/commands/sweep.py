"""Plan a sweep, see how it stands, resume it, extend it.

trainer sweep plan WORDS... [--json]    the jobs that `trainer -m WORDS` would run; also: trainer -m WORDS --plan
trainer sweep show DIR [--json]         how each job of the sweep in a directory stands
trainer sweep resume DIR [WORDS...]     run what is missing, failed or interrupted
trainer sweep report DIR [metric=NAME] [baseline=WORDS] [direction=min|max] [--csv | --markdown]
                                        seeds put together, intervals, differences to a baseline; the best as a recipe

    e.g. trainer sweep plan experiment=xor_mlp optimizer.lr=0.01,0.1 sweep.seeds=5
         trainer sweep resume outputs/xor_mlp/SWEEP
         trainer sweep resume outputs/xor_mlp/SWEEP optimizer.lr=0.01,0.1,1 sweep.workers=2

WORDS behind `resume` take the place of those for the same keys that the sweep was begun with: more values on an axis
are more jobs, and what is done stays done. If the code or the data have changed since, it stops and names the files;
accept_changes=true runs the other jobs with them. --take-over also resumes jobs that run on another machine, if that is
gone.
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra._internal.utils import get_args_parser
from rich.console import Console

from trainer.artifacts.ledger_file import LEDGER
from trainer.cli.commands import split_words
from trainer.cli.main import compose_and_run
from trainer.config.compose import Composer, key_of
from trainer.config.diagnostics import refuse
from trainer.config.multirun import directory_of, quoted
from trainer.core.errors import UserError, did_you_mean
from trainer.core.rank import lead
from trainer.report.comparison import report_of
from trainer.report.formats import as_csv, as_markdown, as_table, write
from trainer.sweep.jobs.identity import Identities
from trainer.sweep.jobs.registration import cells, refuse_changes
from trainer.sweep.jobs.shared_settings import shared_config
from trainer.sweep.preflight import ALL_OF, check_words
from trainer.sweep.search.pareto_front import lines_of_best
from trainer.sweep.search.search import Plan as SearchPlan
from trainer.sweep.search.search import Search, plan_of
from trainer.sweep.status_table import estimate, lines
from trainer.sweep.store.job_store import TO_RUN, Job, Ledger
from trainer.sweep.store.trial_store import Trials

FLAGS = ("--json", "--take-over", "--csv", "--markdown")


def main(words: list[str]) -> int:
    """Do what the first word says.

    Returns:
        int: 0; of `resume` the exit status of the sweep.
    """
    doing = {"plan": plan, "show": show, "resume": resume, "report": report}
    if not words or words[0] not in doing:
        near = did_you_mean(words[0], [*doing]) if words else ""
        raise UserError(f"sweep: say what to do: trainer sweep plan WORDS, show DIR, resume DIR or report DIR{near}")
    flags = {word for word in words if word in FLAGS}
    return doing[words[0]]([word for word in words[1:] if word not in FLAGS], flags)


def plan(words: list[str], flags: set[str]) -> int:
    """List the jobs of a command line, with how they stand where the sweep has begun; nothing is run or written."""
    options = get_args_parser().parse_args(words)
    composer = Composer(options.config_dir)
    identities = Identities(composer)
    shared = shared_config(composer, options.overrides)
    directory = Path(directory_of(shared, composer.parsed(options.overrides))) if shared else Path()
    place = directory if (directory / LEDGER).is_file() else None
    if wanted := plan_of(composer, options.overrides):
        refuse(check_words(["--multirun", *words]).mistakes)
        return _plan_search(place, composer, identities, wanted, as_json="--json" in flags)
    named = cells(composer, identities, options.overrides)
    workers = shared.sweep.workers if shared else None
    if len(named) <= ALL_OF:
        refuse(check_words(["--multirun", *words]).mistakes)
    there: list[Job] = []
    if place:
        ledger = Ledger(place)
        refuse_changes(ledger, composer, identities, named)
        there = ledger.jobs()
    jobs = _joined(named, there)
    if "--json" in flags:
        print(json.dumps([asdict(job) for job in jobs], indent=2))
        return 0
    print("\n".join(lines(jobs)))
    todo = sum(job.state in TO_RUN for job in jobs)
    print(f"{len(jobs)} jobs, {todo} to run; {estimate(jobs, workers or 1)}")
    if len(named) > ALL_OF:
        print("keys and choices are right; what they build is looked at before the first job begins (trainer check -m)")
    return 0


def _plan_search(
    place: Path | None, composer: Composer, identities: Identities, wanted: SearchPlan, *, as_json: bool
) -> int:
    """List the space of a search, the trials that there are, and the next ones."""
    with TemporaryDirectory() as empty:
        ledger = Trials(place) if place else Trials.opened(Path(empty))
        search = Search(ledger, composer, identities, wanted)
        there = ledger.jobs()
        known = wanted.goal.before_results - len(there)  # trials that hang on no result
        new = [trial.job for trial in search.first(max(wanted.at_a_time, known))]
    if as_json:
        print(json.dumps({**wanted.settings(), "jobs": [asdict(job) for job in there + new]}, indent=2))
        return 0
    for each in wanted.space.dimensions:
        print(f"{each.key}: {each}")
    print("\n".join(lines(there + new)))
    left = wanted.trials - len(there) - len(new)
    print(f"{wanted.trials} trials by {wanted.goal}, {len(there)} there; {left} more hang on what these will show")
    return 0


def show(words: list[str], flags: set[str]) -> int:
    """List the jobs of a sweep."""
    jobs = _jobs_in(*words[:1]) if words else []
    if not words:
        raise UserError("sweep show: name the directory of a sweep")
    best = lines_of_best(Trials(Path(words[0])))
    print(
        json.dumps([asdict(job) for job in jobs], indent=2) if "--json" in flags else "\n".join([*lines(jobs), *best])
    )
    return 0


def resume(words: list[str], flags: set[str]) -> int:
    """Run what is missing of a sweep, where it was begun."""
    if not words or ("=" in words[0] and not Path(words[0]).is_dir()):
        raise UserError("sweep resume: name the directory of a sweep: trainer sweep resume DIR [WORDS...]")
    ledger = Trials(Path(words[0]))
    if "--take-over" in flags:
        ledger.notice_the_dead(elsewhere=True)
    command, place = ledger.command()
    new = {key_of(word): word for word in words[1:]}
    same = [new.pop(key_of(word), word) for word in command if key_of(word) != "hydra.sweep.dir"]
    directory = words[0]
    if place.is_dir() and place != Path.cwd():  # relative names in the config are meant from there
        directory = str(Path(words[0]).absolute())
        os.chdir(place)
    sys.argv = [sys.argv[0], "--multirun", *same, *new.values(), f"hydra.sweep.dir={quoted(directory)}"]
    return lead(compose_and_run)


def report(words: list[str], flags: set[str]) -> int:
    """Say what a sweep has shown, and leave it in its directory: report.md, report.csv, best.yaml."""
    usage = "trainer sweep report DIR [metric=NAME] [baseline=WORDS] [direction=min|max]"
    names, settings = split_words(words, ["metric", "baseline", "direction"], usage)
    if len(names) != 1:
        raise UserError(f"sweep report: name the directory of a sweep\n  {usage}")
    made = report_of(Path(names[0]), **settings)
    if "--csv" in flags or "--markdown" in flags:
        print((as_csv if "--csv" in flags else as_markdown)(made), end="")
        return 0
    best = [*lines_of_best(Trials(Path(names[0])))] if (Path(names[0]) / LEDGER).is_file() else []
    Console().print(as_table(made, searched=bool(best)))
    print("".join(f"warning: {line}\n" for line in made.mixed), end="")
    print("".join(f"{line}\n" for line in [*made.tests, *made.notes]), end="")
    print("".join(f"{line}\n" for line in best), end="")
    print("written: " + ", ".join(map(str, write(made, Path(names[0])))))
    return 0


def _jobs_in(directory: str) -> list[Job]:
    ledger = Trials(Path(directory))
    ledger.notice_the_dead()
    return ledger.jobs()


def _joined(named: dict[str, list[str]], there: list[Job]) -> list[Job]:
    """The jobs of the ledger and the new ones behind them, with the numbers that they would get."""
    known = {job.identity for job in there}
    new = [(identity, words) for identity, words in named.items() if identity not in known]
    return there + [Job(len(there) + number, *each) for number, each in enumerate(new)]

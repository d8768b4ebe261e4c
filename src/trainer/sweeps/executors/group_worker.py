"""Worker process that runs a group of jobs, whose steps are computed together."""

import gc
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from trainer.core.open_files import raise_open_file_limit
from trainer.sweeps.executors.worker import Attempt, prepare_worker

GC_THRESHOLDS = (100_000, 20, 20)  # many runs have many objects that live until their end
ENTRY_POINT = "trainer.cli.run_overrides:run_overrides"  # a string, as that module imports this package


@dataclass
class GroupJob:
    """Job of a group.

    Args:
        overrides: Command line of the job.
        log_path: File that its output is appended to.
        attempt: Attempt that the process assigns to itself.
    """

    overrides: list[str]
    log_path: Path
    attempt: Attempt


def run_group_worker(
    jobs: Sequence[GroupJob],
    environment: Mapping[str, str],
    cwd: str,
    dry_runs: Any,
    exits: Connection,
    is_required: bool,
) -> None:
    """Run the jobs of a group; send the number and the exit status of each job that has ended.

    Args:
        jobs: Jobs of the group.
        environment: All environment variables.
        cwd: Working directory.
        dry_runs: Dry runs of the process that has started this one.
        exits: Connection that receives the exit statuses.
        is_required: Whether a job fails if it cannot be trained together with others.
    """
    from trainer.artifacts.provenance import group_of_runs
    from trainer.core.signals import interruptible
    from trainer.training.fused.group import run_group

    prepare_worker(environment, cwd, None, dry_runs)
    os.environ["HYDRA_FULL_ERROR"] = "1"
    run = resolve_name(ENTRY_POINT)
    raise_open_file_limit()  # each run has its logs and its lock open
    gc.freeze()  # objects of imported modules
    gc.set_threshold(*GC_THRESHOLDS)
    with interruptible(), group_of_runs(len(jobs)):
        run_group([partial(_run_job, run, job, exits) for job in jobs], is_required=is_required)


def _run_job(run: Callable[[list[str]], int], job: GroupJob, exits: Connection) -> None:
    """Run a job with its output in its file; its errors end nothing but the job."""
    with job.log_path.open("a", buffering=1) as output:
        sys.stdout = sys.stderr = output
        sys.argv = [sys.argv[0], *job.overrides]
        status: Any = 1
        try:
            job.attempt.assign_to_this_process()
            status = run(job.overrides)
        except SystemExit as error:
            status = error.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        with suppress(OSError):  # the command that has started this process was killed
            exits.send((job.attempt.number, status if isinstance(status, int) else int(status is not None)))

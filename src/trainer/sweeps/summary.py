"""Output at the end of a sweep: results, state, and failed jobs."""

import logging
from collections.abc import Mapping

from trainer.core.errors import UserError
from trainer.core.formatting import quote_argument
from trainer.reports.comparison import build_report
from trainer.reports.formats import format_best_run, print_table, write_report
from trainer.sweeps.search.pareto_front import format_best_trials
from trainer.sweeps.status_table import format_counts
from trainer.sweeps.store.job_store import Ledger
from trainer.sweeps.store.trial_store import TrialLedger

log = logging.getLogger(__name__)
MAX_LISTED_FAILURES = 10  # failed jobs


def print_summary(ledger: TrialLedger) -> None:
    """Print the results of a sweep, its state, and the command that runs its remaining jobs."""
    jobs = ledger.jobs()
    lines = [*format_best_trials(ledger)]
    if sum(job.state == "done" for job in jobs) > 1:
        try:
            report = build_report(ledger.sweep)
        except UserError as error:  # for example runs that only test
            log.info(f"no report: {error}")
        else:
            write_report(report, ledger.sweep)
            print_table(report, searched=bool(lines))
            for line in report.version_conflicts:
                log.warning(f"warning: {line}")
            lines = [*report.significance_notes, *report.notes, *(lines or format_best_run(report))]
    for line in [*lines, f"sweep  {ledger.sweep}: {format_counts(jobs)}"]:
        log.info(line)
    states = {job.state for job in jobs}
    if states & {"planned", "interrupted"} and "failed" not in states:  # the error of failed jobs has the command
        log.info(f"to resume: trainer sweep resume {quote_argument(ledger.sweep)}")


def require_no_failures(ledger: Ledger, attempts: Mapping[int, int], *, is_search: bool) -> None:
    """Raise if jobs that this command has started failed; only log it if other trials of a search are done.

    Args:
        ledger: Ledger of the sweep.
        attempts: Number of attempts of each job before the command.
        is_search: Whether the sweep is a search.

    Raises:
        UserError: Lists the first failed jobs, with their errors.
    """
    jobs = ledger.jobs()
    failed = [
        job for job in jobs if job.state in ("failed", "interrupted") and job.attempts > attempts.get(job.number, 0)
    ]
    if not failed:
        return
    lines = [f"\n  job {job.number} ({' '.join(job.overrides)}): {job.error or job.state}" for job in failed]
    if len(failed) > MAX_LISTED_FAILURES:
        lines[MAX_LISTED_FAILURES:] = [f"\n  and {len(failed) - MAX_LISTED_FAILURES} more"]
    message = f"{len(failed)} of {len(jobs)} jobs failed:{''.join(lines)}"
    if not is_search or all(job.state != "done" for job in jobs) or any(job.state != "failed" for job in failed):
        raise UserError(f"{message}\n  to retry: trainer sweep resume {quote_argument(ledger.sweep)}")
    log.warning(f"{message}\n  they stay failed trials; to retry: trainer sweep resume DIR sweep.retries=1")

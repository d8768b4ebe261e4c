"""Ids of the Slurm jobs of a sweep, and their states in the queue of Slurm.

Only `squeue` is used, which asks the controller: `sacct` requires a database that many clusters do not have.
"""

import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.artifacts.ledger_file import connect, translate_sqlite_errors
from trainer.sweeps.store.job import Job

# a job in any other state is in the queue or runs; COMPLETING: a process of it may still be running
FINAL_STATES = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"),
    *("REVOKED", "TIMEOUT"),
)
UNKNOWN_STATE = "UNKNOWN"  # Slurm forgets a job some minutes after its end
UNREACHABLE_STATE = "UNREACHABLE"  # Slurm is not installed on this machine, or the controller does not answer
MIN_POLL_SECONDS = 1.0
MAX_POLL_SECONDS = 15.0
POLL_GROWTH = 1.5
COMMAND_TIMEOUT_SECONDS = 60.0
TABLE = "CREATE TABLE IF NOT EXISTS slurm (number INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, id TEXT NOT NULL)"


@dataclass(frozen=True)
class SlurmJob:
    """A job in the queue of Slurm.

    Args:
        id: Id of the job.
        state: State as printed by `squeue`, `UNKNOWN_STATE` or `UNREACHABLE_STATE`.
        nodes: Names of its machines in the notation of Slurm; empty if it is pending.
        reason: Reason why it is pending, or why it has failed.
    """

    id: str
    state: str
    nodes: str = ""
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Return whether no process of the job is left, and none will be started."""
        return self.state in FINAL_STATES or self.state == UNKNOWN_STATE

    @property
    def is_unreachable(self) -> bool:
        """Return whether the state is unknown because Slurm cannot be asked."""
        return self.state == UNREACHABLE_STATE

    @property
    def is_pending(self) -> bool:
        """Return whether the job waits for a machine."""
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT")


class SlurmQueue:
    """The queue of Slurm, read in intervals that grow from `MIN_POLL_SECONDS` to `MAX_POLL_SECONDS`."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._jobs: dict[str, SlurmJob] = {}
        self.poll_soon()

    def poll_soon(self) -> None:
        """Read the queue at the next call of `jobs`, and in short intervals after it."""
        self._interval = MIN_POLL_SECONDS
        self._next_poll = time.monotonic()

    def jobs(self, slurm_ids: Collection[str]) -> Mapping[str, SlurmJob]:
        """Return jobs by id."""
        is_new = not self._ids.issuperset(slurm_ids)
        self._ids.update(slurm_ids)
        if slurm_ids and (is_new or time.monotonic() >= self._next_poll):
            self._read()
            self._next_poll = time.monotonic() + self._interval
            self._interval = min(self._interval * POLL_GROWTH, MAX_POLL_SECONDS)
        return {slurm_id: self._jobs[slurm_id] for slurm_id in slurm_ids}

    def _read(self) -> None:
        over = {slurm_id for slurm_id, job in self._jobs.items() if job.state in FINAL_STATES}
        remaining = sorted(self._ids - over)
        command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%N|%r", f"--jobs={','.join(remaining)}"]
        code, output = run_command(command) if remaining else (0, "")
        is_reachable = code == 0 or "Invalid job id" in output  # the error for a single job that Slurm does not know
        state = UNKNOWN_STATE if is_reachable else UNREACHABLE_STATE
        self._jobs.update({slurm_id: SlurmJob(slurm_id, state) for slurm_id in remaining})
        if is_reachable:
            rows = [line.strip().split("|") for line in output.splitlines() if line.count("|") == 3]
            self._jobs.update({row[0]: SlurmJob(*row) for row in rows})


slurm_queue = SlurmQueue()


def run_command(command: list[str]) -> tuple[int, str]:
    """Run a command of Slurm; return its exit status and its output, which it is not to print."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, str(error)
    return result.returncode, result.stdout + result.stderr


def save_slurm_id(ledger_file: Path, number: int, attempt: int, slurm_id: str) -> None:
    """Write the id of the Slurm job that runs an attempt of a job."""
    with translate_sqlite_errors(ledger_file), connect(ledger_file) as database:
        database.execute(TABLE)
        database.execute("INSERT OR REPLACE INTO slurm VALUES (?, ?, ?)", (number, attempt, slurm_id))


def find_slurm_jobs(ledger_file: Path, jobs: Sequence[Job]) -> dict[int, SlurmJob]:
    """Return the Slurm jobs that run the current attempts of jobs, by job number."""
    with translate_sqlite_errors(ledger_file), connect(ledger_file) as database:
        if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'slurm'").fetchone():
            return {}
        rows = database.execute("SELECT number, attempt, id FROM slurm").fetchall()
    attempts = {job.number: job.attempts for job in jobs}
    slurm_ids = {number: slurm_id for number, attempt, slurm_id in rows if attempts.get(number) == attempt}
    slurm_jobs = slurm_queue.jobs([*slurm_ids.values()])
    return {number: slurm_jobs[slurm_id] for number, slurm_id in slurm_ids.items()}

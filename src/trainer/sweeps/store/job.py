"""Jobs of a sweep."""

import time
from dataclasses import dataclass
from typing import Any, Literal

JobState = Literal["planned", "running", "done", "failed", "pruned", "interrupted"]
RUNNABLE_STATES: tuple[JobState, ...] = ("planned", "interrupted", "failed")
JOB_STATE_BY_RUN_STATE: dict[str, JobState] = {"finished": "done", "pruned": "pruned"}


@dataclass(frozen=True)
class Job:
    """One job of a sweep: a row of the ledger.

    Args:
        number: Number from 0, also the name of the job's directory. Never reused.
        identity: Fingerprint of the config.
        overrides: Overrides of the command line that would run only this job.
        state: State of the job.
        attempts: Number of started attempts.
        seconds: Total duration of all attempts.
        result: Content of `result.json`; None unless done or pruned.
        error: Error message of one or two lines.
        host: Machine of the process that runs the job, or of the last one that did.
        pid: Id of that process.
        process_start_time: Start time of that process, as returned by `read_process_start_time`.
        started: Start time of the last attempt in seconds since 1970; None while it waits for a machine.
        ended: End time of the last attempt in seconds since 1970.
    """

    number: int
    identity: str
    overrides: list[str]
    state: JobState = "planned"
    attempts: int = 0
    seconds: float = 0.0
    result: dict[str, Any] | None = None
    error: str | None = None
    host: str | None = None
    pid: int | None = None
    process_start_time: str | None = None
    started: float | None = None
    ended: float | None = None

    def elapsed_seconds(self) -> float:
        """Return the duration of all attempts until now."""
        return self.seconds + (time.time() - self.started if self.state == "running" and self.started else 0.0)

    def metric(self, name: str | None) -> float | None:
        """Return the final value of a metric, or None if the result does not contain it."""
        value = (self.result or {}).get("metrics", {}).get(name)
        return None if value is None else float(value)


JOB_COLUMNS = [*Job.__dataclass_fields__]

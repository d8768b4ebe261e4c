"""Outcome of a job, determined by its exit status and its result file."""

import re
import signal

from trainer.sweeps.store.job import JOB_STATE_BY_RUN_STATE, JobState
from trainer.sweeps.store.job_store import Ledger

MAX_LINES = 20  # at the end of the output, in which an error is searched
ERROR_LINE = re.compile(r"error: |[\w.]*(Error|Exception|Interrupt|Exit)(:|$)|Fatal Python error: |terminate called")
UNPRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[^\S\n ]|[\x00-\x08\x0e-\x1f\x7f]")  # also colors of a terminal


def record_outcome(ledger: Ledger, number: int, attempt: int, code: int, reason: str, *, stopped: bool) -> None:
    """Write how a job ended, unless that was done already or another attempt has started.

    Args:
        ledger: Ledger of the sweep.
        number: Job number.
        attempt: Attempt number.
        code: Exit status of the process; minus the signal number if it was killed.
        reason: Explanation of the executor, or empty.
        stopped: Whether the job was stopped by a user or a time limit.
    """
    result = ledger.result(number) or {}
    state: JobState = "failed"
    if result.get("state") in JOB_STATE_BY_RUN_STATE:  # also if the process failed after its result was written
        state = JOB_STATE_BY_RUN_STATE[result["state"]]
    elif stopped or (code and result.get("state") == "interrupted"):
        state = "interrupted"
    error = reason or (_describe_failure(ledger, number, code) if state == "failed" else "")
    ledger.finish(number, state, error if state in ("failed", "interrupted") and error else None, attempt=attempt)


def _describe_failure(ledger: Ledger, number: int, code: int) -> str:
    """Return the signal, the error in the result, or else the exit status with the error at the end of the output."""
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    result = ledger.result(number) or {}
    if "error" in result:
        return "\n".join(str(result["error"]).removeprefix("UserError: ").splitlines()[:3])
    file = ledger.log_path(number)
    text = UNPRINTABLE.sub("", file.read_text("utf-8", "replace")) if file.is_file() else ""
    error = next((line for line in reversed(text.splitlines()[-MAX_LINES:]) if ERROR_LINE.match(line)), "")
    return f"exit status {code}: {error.removeprefix('error: ')}" if error else f"exit status {code}, see '{file}'"

"""Outcome of a job, determined by its exit status and its result file."""

import signal

from trainer.sweep.store.job_store import JOB_STATE_BY_RUN_STATE, JobState, Ledger


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
    if code == 0 and result.get("state") in JOB_STATE_BY_RUN_STATE:
        state = JOB_STATE_BY_RUN_STATE[result["state"]]
    elif stopped or (code and result.get("state") == "interrupted"):
        state = "interrupted"
    error = reason or (_describe_failure(ledger, number, code) if state == "failed" else "")
    ledger.finish(number, state, error if state in ("failed", "interrupted") and error else None, attempt=attempt)


def _describe_failure(ledger: Ledger, number: int, code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    result = ledger.result(number) or {}
    if "error" in result:
        return "\n".join(str(result["error"]).removeprefix("UserError: ").splitlines()[:3])
    file = ledger.log_path(number)
    lines = file.read_text("utf-8", "replace").strip().splitlines() if file.is_file() else []
    return lines[-1] if lines else f"exit status {code}"

"""Verdict: how a job has ended, judged by its exit status and by what it has left."""

import signal

from trainer.sweep.store.job_store import ENDED, Ledger, State


def conclude(ledger: Ledger, number: int, tries: int, code: int, why: str, *, stopped: bool) -> None:
    """Write down how a job ended, unless that was done, or another try has begun.

    Args:
        ledger: Of its sweep.
        number: Of the job.
        tries: Which of its tries it was.
        code: Exit status of its process; minus the number of the signal that killed it.
        why: What its engine says of a process that was lost; empty where it was not.
        stopped: Whether it was told to stop.
    """
    left = ledger.result(number) or {}
    state: State = "failed"
    if code == 0 and left.get("state") in ENDED:
        state = ENDED[left["state"]]
    elif stopped or (code and left.get("state") == "interrupted"):
        state = "interrupted"
    error = (why or _why(ledger, number, code)) if state == "failed" else None
    ledger.end(number, state, error, tries=tries)


def _why(ledger: Ledger, number: int, code: int) -> str:
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    left = ledger.result(number) or {}
    if left.get("state") == "failed":
        return "\n".join(str(left["error"]).removeprefix("UserError: ").splitlines()[:3])
    file = ledger.output(number)
    said = file.read_text("utf-8", "replace").strip().splitlines() if file.is_file() else []
    return said[-1] if said else f"exit status {code}"

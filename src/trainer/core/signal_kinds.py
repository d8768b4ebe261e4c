"""Signals that stop a run, and the difference between one request and two."""

import os
import signal
import sys


def handled_signals() -> list[signal.Signals]:
    """Return the signals that stop a run: SIGINT, SIGTERM, and SIGHUP unless it is ignored, as by nohup."""
    signals = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.append(signal.SIGHUP)
    return signals


def is_hangup(number: int) -> bool:
    """Return whether a signal is SIGHUP, which means that a terminal was closed."""
    return sys.platform != "win32" and number == signal.SIGHUP


def is_single_request(number: int) -> bool:
    """Return whether all signals of this kind are one request, so that a second one does not ask to quit at once.

    Several SIGHUP are sent if a terminal is closed. Slurm sends two SIGTERM before a preemption and at a time limit,
    and SIGKILL to the processes that do not end.
    """
    return is_hangup(number) or (number == signal.SIGTERM and "SLURM_JOB_ID" in os.environ)

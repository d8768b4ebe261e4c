"""Signals: SIGTERM and Ctrl-C end a run at a moment from which it can go on; a second one ends it at once."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ANSWERED = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def ctrl_c_held() -> Iterator[None]:
    """Ctrl-C waits for the end of this, and a process that begins within never gets it; Windows lets it through."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Interrupted(SystemExit):
    """The run was told to stop. The exit status is the shell's for that signal: 143 for SIGTERM, 130 for Ctrl-C.

    Args:
        number: Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int]]:
        """A process of a run with several sends it to the one that has started it."""
        return type(self), (self.number,)


class Stop:
    """Whether this process was told to stop, and who sees to it at the next good moment.

    `asked` is the number of the signal; 0 for none. `wait` is called when one comes, and whoever set it raises
    `Interrupted` as soon as it has saved; None where nobody can save, and then a signal ends the run at once.
    """

    asked = 0
    wait: Callable[[], None] | None = None

    def answer(self, number: int, frame: FrameType | None = None) -> None:
        """What happens when a signal comes.

        Raises:
            Interrupted: Nobody saves, or this is the second one.
        """
        if self.wait is None or self.asked:
            raise Interrupted(number)
        self.asked = number
        print("\nstopping: saving after this step (once more to leave at once)", file=sys.stderr, flush=True)
        self.wait()


stop = Stop()


def answer_signals() -> None:
    """Let `stop` answer both signals; outside the main thread Python does not allow that, and they stay as they are."""
    if threading.current_thread() is threading.main_thread():
        for number in ANSWERED:
            signal.signal(number, stop.answer)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within this, both signals end the run by `Interrupted`."""
    before = {number: signal.getsignal(number) for number in ANSWERED}
    answer_signals()
    try:
        yield
    finally:
        stop.asked, stop.wait = 0, None
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)

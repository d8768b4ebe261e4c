"""Handling of SIGTERM and SIGINT; the first signal stops a run after it has saved, the second one immediately."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

HANDLED_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def block_sigint() -> Iterator[None]:
    """Delay Ctrl-C until the block ends. Processes started in the block ignore it. No effect on Windows."""
    if sys.platform == "win32":
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class Interrupted(SystemExit):
    """Exit of a run after a signal, with the exit status of a shell: 143 for SIGTERM, 130 for Ctrl-C.

    Args:
        number: Signal number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name

    def __reduce__(self) -> tuple[type["Interrupted"], tuple[int]]:
        """Pickle the exception for the process that has started this one."""
        return type(self), (self.number,)


class GracefulShutdown:
    """Signal that this process has received, and the callback that saves the run.

    Attributes:
        signal_number: Number of the first signal; 0 if there was none.
        on_signal: Function called at the first signal; its owner raises `Interrupted` after saving. None if the run
            cannot save: then a signal stops it immediately.
    """

    signal_number = 0
    on_signal: Callable[[], None] | None = None

    def handle_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Store the signal and call `on_signal`.

        Raises:
            Interrupted: `on_signal` is None, or this is the second signal.
        """
        if self.on_signal is None or self.signal_number:
            raise Interrupted(number)
        self.signal_number = number
        message = "\nstopping after this step; press Ctrl-C again to quit without saving"
        print(message, file=sys.stderr, flush=True)
        self.on_signal()


shutdown = GracefulShutdown()


def install_signal_handlers() -> None:
    """Install `shutdown` as the handler of both signals; only in the main thread, as Python requires."""
    if threading.current_thread() is threading.main_thread():
        for number in HANDLED_SIGNALS:
            signal.signal(number, shutdown.handle_signal)


@contextmanager
def interruptible() -> Iterator[None]:
    """Make both signals raise `Interrupted` in the block; restore the old handlers after it."""
    handlers = {number: signal.getsignal(number) for number in HANDLED_SIGNALS}
    install_signal_handlers()
    try:
        yield
    finally:
        shutdown.signal_number = 0
        shutdown.on_signal = None
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)

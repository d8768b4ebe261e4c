"""Handling of SIGINT, SIGTERM and SIGHUP; the first signal stops a run after it has saved, the second one immediately.

A handler stores the signal, and the run raises `Interrupted` at its next interruption point: between two batches or
phases, and at its end. Code that reaches none within a second, for example a download, is interrupted by the handler.
Exceptions of a handler can be lost, for example in a `__del__` or a library's `except:`, so the stored signal counts.
"""

import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

from trainer.core.signal_kinds import handled_signals, is_hangup, is_single_request
from trainer.core.standard_streams import discard_output_to_closed_terminal

RETRY_SECONDS = 1.0  # until a handler interrupts code that has reached no interruption point, or has lost the exception
FORCED_RETRY_SECONDS = 0.1  # the same after a second signal


@contextmanager
def default_sigint_at_exit() -> Iterator[None]:
    """Let Ctrl-C end the process without a traceback if it exits after the block.

    Python would print the traceback of a `KeyboardInterrupt` in the cleanup of a library, and ignore the signal.
    """
    try:
        yield
    finally:
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)  # called before the cleanup of other modules


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


@contextmanager
def keep_sigchld_handler() -> Iterator[None]:
    """Restore the handler of SIGCHLD after the block. No effect on Windows and in other threads than the main one.

    PyTorch's `DataLoader` sets one that raises an error in whatever code runs when a worker is killed, also in a
    destructor. Without it, the error is raised by the next request of a batch, within 5 seconds.
    """
    is_set = sys.platform != "win32" and threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if is_set else None
    try:
        yield
    finally:
        if is_set:
            signal.signal(signal.SIGCHLD, handler or signal.SIG_DFL)


class Interrupted(SystemExit):
    """Exit of a run after a signal, with the exit status of a shell: 143 for SIGTERM, 130 for Ctrl-C, 129 for SIGHUP.

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
        signal_number: Number of the signal; 0 if there was none.
        is_forced: Whether a second signal has arrived, so that nothing is saved.
        on_signal: Function called at the first signal; its owner raises `Interrupted` after saving. None if there is
            nothing to save.
    """

    signal_number = 0
    is_forced = False
    on_signal: Callable[[], None] | None = None

    def __init__(self) -> None:
        self._process_id = 0  # of the process that has installed the handlers; forked ones inherit them
        self._wakeups: SimpleQueue[bool] = SimpleQueue()  # True after a signal, False to end the thread
        self._is_retry = False
        self._is_ending = False  # handlers only store a signal

    @property
    def is_installed(self) -> bool:
        """Return whether the handlers of this process are installed."""
        return self._process_id == os.getpid()

    def raise_if_due(self) -> None:
        """Raise `Interrupted` if a signal was received, unless the owner of `on_signal` is about to save.

        Raises:
            Interrupted: At an interruption point after a signal.
        """
        if self.signal_number and (self.is_forced or self.on_signal is None):
            raise Interrupted(self.signal_number)

    def save_by(self, on_signal: Callable[[], None]) -> None:
        """Set `on_signal`, and call it if a signal was received already."""
        self.on_signal = on_signal
        if self.signal_number:
            on_signal()

    def install_handlers(self) -> None:
        """Install the handlers, also if a library has replaced them."""
        if self.is_installed:
            for number in handled_signals():
                signal.signal(number, self.handle_signal)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle signals in the block, in the main thread; restore the old handlers after it.

        Raises:
            Interrupted: A signal was received in the block, and its exception was lost.
        """
        handlers = {number: signal.getsignal(number) for number in handled_signals()}
        unraisable_hook = sys.unraisablehook
        sys.unraisablehook = lambda args: None if isinstance(args.exc_value, Interrupted) else unraisable_hook(args)
        self._process_id = os.getpid()
        self._wakeups = SimpleQueue()
        self._is_retry = False
        self._is_ending = False
        self.install_handlers()
        thread = threading.Thread(target=self._send_again, args=(self._wakeups,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_ending = True
            self._wakeups.put(False)
            thread.join()  # before the old handlers would receive a repeated signal
            for number, handler in handlers.items():  # a later signal has the effect of the old handler
                signal.signal(number, handler or signal.SIG_DFL)
            received = self.signal_number
            self._process_id = 0
            sys.unraisablehook = unraisable_hook
            self.signal_number = 0
            self.is_forced = False
            self.on_signal = None
        if received:
            raise Interrupted(received)

    def handle_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Store the first signal and call `on_signal`; raise an exception at the second one.

        Raises:
            Interrupted: This is the second signal, or no interruption point was reached since the first one.
        """
        if not self.is_installed:
            _handle_in_fork(number)
        elif self._is_ending:
            self.signal_number = self.signal_number or number
        elif self._is_retry:
            self._is_retry = False
            self._raise()
        elif not self.signal_number:
            self._store(number)
        elif not is_single_request(number):
            self.signal_number = number
            self.is_forced = True
            self._wakeups.put(True)
            raise Interrupted(number)

    def _store(self, number: int) -> None:
        self.signal_number = number
        self._wakeups.put(True)
        if is_hangup(number):
            discard_output_to_closed_terminal()
        if self.on_signal:
            with suppress(OSError):  # not print, which fails if the signal has interrupted another print
                os.write(2, b"\nstopping after this step; press Ctrl-C again to quit without saving\n")
            self.on_signal()

    def _raise(self) -> None:
        """Raise `Interrupted` if it is due, unless it was raised already and cleanup is in progress."""
        error: Any = sys.exception()
        while error:
            if isinstance(error, Interrupted):
                return
            error = error.__context__
        self.raise_if_due()

    def _send_again(self, wakeups: "SimpleQueue[bool]") -> None:
        """Repeat the signal until the run has ended, as the exception of a handler can be lost."""
        timeout: float | None = None
        while True:
            try:
                if not wakeups.get(timeout=timeout):
                    return
                timeout = FORCED_RETRY_SECONDS if self.is_forced else RETRY_SECONDS
            except Empty:
                if self.is_forced or self.on_signal is None:
                    self._is_retry = True
                    _interrupt_main_thread(self.signal_number)


shutdown = GracefulShutdown()


def _interrupt_main_thread(number: int) -> None:
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main(number)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, number)


def _handle_in_fork(number: int) -> None:
    """Exit after SIGTERM; ignore the signals that a terminal sends to all processes, as the parent handles them."""
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the block after a signal, at the latest at its end; a nested block has no effect.

    Only in the main thread, as Python requires.
    """
    if shutdown.is_installed or threading.current_thread() is not threading.main_thread():
        yield
    else:
        with shutdown.installed():
            yield

"""Replacement of closed standard streams (`2>&-`), which Python represents by None, and of closed terminals."""

import io
import logging
import os
import sys
from contextlib import suppress

STREAMS = ("stdin", "stdout", "stderr")  # of the descriptors 0, 1 and 2
NON_TTY_COLUMNS = 2000  # width of a file or pipe, so that each row of a table is one line, for example for grep


def open_standard_streams() -> None:
    """Open the null device for each closed stream, so that no other file gets its descriptor.

    A log file or stream that cannot be written is reported in one line, once, and the command continues.
    Characters that the encoding of a stream lacks are printed as escapes, such as the bytes of a file name that is no
    UTF-8.
    """
    for descriptor in range(len(STREAMS)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
    for name in STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    logging.Handler.handleError = _report_failed_handler  # type: ignore[method-assign, assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report_failed_handler(handler: logging.Handler, record: logging.LogRecord) -> None:
    """Print that a handler cannot write, once; the reader of a pipe may have closed it on purpose."""
    error = sys.exc_info()[1]
    if isinstance(error, BrokenPipeError) or vars(handler).get("has_failed"):
        return
    vars(handler)["has_failed"] = True
    file = getattr(handler, "baseFilename", None) or getattr(getattr(handler, "stream", None), "name", "the log")
    with suppress(OSError, ValueError):
        print(f"warning: cannot write to '{file}': {error}; messages are missing there", file=sys.stderr, flush=True)


def find_output_width() -> int | None:
    """Return the width of standard output if it is a file or a pipe; None for a terminal, which has its own width."""
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else NON_TTY_COLUMNS


def discard_output_to_closed_terminal() -> None:
    """Replace standard output and error by the null device if writing to them fails."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

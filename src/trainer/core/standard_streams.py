"""Replacement of closed standard streams (`2>&-`), which Python represents by None, and of closed terminals."""

import os
import sys

STREAMS = ("stdin", "stdout", "stderr")  # of the descriptors 0, 1 and 2


def open_standard_streams() -> None:
    """Open the null device for each closed stream, so that no other file gets its descriptor."""
    for descriptor in range(len(STREAMS)):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest number that is free
    for name in STREAMS:
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115


def discard_output_to_closed_terminal() -> None:
    """Replace standard output and error by the null device if writing to them fails."""
    for stream in (1, 2):
        try:
            os.write(stream, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream)

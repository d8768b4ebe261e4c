"""Replacement of closed standard streams (`2>&-`), which Python represents by None."""

import io
import os
import sys

STREAMS = ("stdin", "stdout", "stderr")  # of the descriptors 0, 1 and 2


def open_standard_streams() -> None:
    """Open the null device for each closed stream, so that no other file gets its descriptor.

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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

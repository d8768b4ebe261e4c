"""Memory: what one step gives back is there for the next; a page that is fetched anew has to be filled with zeros."""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # by these numbers malloc.h knows them
KEPT = 2**28  # bytes that are free at the heap's end before the system gets any back
IN_HEAP = 2**25  # the largest piece that is kept there: glibc allows no larger one


def keep_freed_memory() -> None:
    """Have this process keep memory that was freed: a step asks for the same pieces again.

    glibc gives it back as soon as a few tens of MiB are free, which some steps find and others do not. Elsewhere
    nothing happens, nor where the environment has a `MALLOC_` variable of the user's.

    Source:
        mallopt(3)
    """
    tuned = any(name.startswith("MALLOC_") for name in os.environ)
    if sys.platform != "linux" or tuned or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # of other C libraries than glibc some have none
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, KEPT)
        mallopt(M_MMAP_THRESHOLD, IN_HEAP)

"""How many processor cores this process may use."""

import os


def cores() -> int:
    """Cores that the system lets this process run on: fewer than the machine has where it was given a share."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

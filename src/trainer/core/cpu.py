"""Number of CPU cores."""

import os


def count_cpus() -> int:
    """Return the number of cores that this process may use; with CPU affinity fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

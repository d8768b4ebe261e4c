"""Number of CPU cores."""

import math
import os
import sys

from trainer.core.control_groups import read_cpu_limits


def count_cpus() -> int:
    """Return the number of cores that this process may use.

    CPU affinity, and the quota of a container or of a job of a cluster, are limits. A fraction of a core is rounded up.
    """
    return min([_count_cores(), *map(math.ceil, read_cpu_limits())])


def _count_cores() -> int:
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

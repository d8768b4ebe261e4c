"""Amount of main memory."""

import os
import re
from contextlib import suppress
from pathlib import Path

from trainer.core.control_groups import read_memory_limits

MEMORY_INFO = Path("/proc/meminfo")


def available_memory_bytes() -> int:
    """Return the memory that this process can use: that of the machine, at most the limit of its control group.

    Containers and jobs of a cluster have a control group. Systems other than Linux do not report their free memory;
    half of their memory is returned, or 0 if it is unknown.
    """
    with suppress(OSError):
        available = re.search(r"^MemAvailable:\s*(\d+) kB", MEMORY_INFO.read_text(), re.MULTILINE)
        if available:
            return min([1024 * int(available[1]), *read_memory_limits()])
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 0

"""Amount of main memory."""

import os
import re
from contextlib import suppress
from pathlib import Path

MEMORY_INFO = Path("/proc/meminfo")
CONTROL_GROUPS = Path("/sys/fs/cgroup")


def available_memory_bytes() -> int:
    """Return the memory that this process can use: that of the machine, at most the limit of its control group.

    Containers and jobs of a cluster have a control group. Systems other than Linux do not report their free memory;
    half of their memory is returned, or 0 if it is unknown.
    """
    with suppress(OSError):
        available = re.search(r"^MemAvailable:\s*(\d+) kB", MEMORY_INFO.read_text(), re.MULTILINE)
        if available:
            return min([1024 * int(available[1]), *_read_limits()])
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return 0


def _read_limits() -> list[int]:
    """Return the limits of the control group of this process and of its parents."""
    limits: list[int] = []
    with suppress(OSError):
        [path] = re.findall(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)[:1] or [""]
        group = CONTROL_GROUPS / path
        for directory in (group, *group.parents):
            with suppress(OSError, ValueError):  # no file, or no limit: "max"
                limits.append(int((directory / "memory.max").read_text()))
    with suppress(OSError, ValueError):
        limits.append(int((CONTROL_GROUPS / "memory/memory.limit_in_bytes").read_text()))  # version 1
    return limits

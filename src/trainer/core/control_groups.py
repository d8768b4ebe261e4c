"""Limits of the control groups of this process, which containers and jobs of a cluster have on Linux.

Source: "Control Group v2" and "CFS Bandwidth Control" in the documentation of the Linux kernel.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CONTROL_GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
UNIFIED = ""  # name of the controller of version 2 in `MEMBERSHIP`; in version 1, each controller has its own groups


def read_memory_limits() -> list[int]:
    """Return the limits of main memory in bytes; empty if there are none."""
    limits: list[int] = []
    for controller, file in ((UNIFIED, "memory.max"), ("memory", "memory.limit_in_bytes")):
        for directory in _find_directories(controller):
            with suppress(OSError, ValueError):  # no file, or no limit: "max"
                limits.append(int((directory / file).read_text()))
    return limits


def read_cpu_limits() -> list[float]:
    """Return the limits of computing time per time, e.g. 1.5 for one and a half cores; empty if there are none."""
    limits: list[float] = []
    for directory in _find_directories(UNIFIED):
        with suppress(OSError, ValueError):
            quota, period = map(int, (directory / "cpu.max").read_text().split())
            limits.append(quota / period)
    for directory in _find_directories("cpu"):
        with suppress(OSError, ValueError):
            quota, period = (int((directory / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            limits.append(quota / period)
    return [limit for limit in limits if limit > 0]  # version 1: a quota of -1 is no limit


def _find_directories(controller: str) -> Iterator[Path]:
    """Yield the directories of the group of this process and of its parents."""
    root = CONTROL_GROUPS / controller
    group = root / _read_group(controller)
    for directory in (group, *group.parents):
        if directory.is_relative_to(root):
            yield directory


def _read_group(controller: str) -> str:
    """Return the path of the group below the directory of its controller; "" if it is unknown."""
    with suppress(OSError):
        for line in MEMBERSHIP.read_text().splitlines():
            _, names, group = line.split(":", maxsplit=2)
            if controller in names.split(","):
                return group.lstrip("/")
    return ""

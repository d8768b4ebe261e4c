"""Check whether the process of a job is still alive."""

import os
import platform
import sys
from pathlib import Path

# of the Windows API
PROCESS_QUERY_LIMITED_INFORMATION = 0x1000
STILL_ACTIVE = 259  # exit status of a process that has not ended


def read_process_start_time(pid: int) -> str | None:
    """Return the start time of a process in clock ticks since boot, or None if it has ended or `/proc` is missing.

    A process id is reused after some time; together with the start time it is unique.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]  # zombie or dead: the exit status was not read yet


def is_process_alive(host: str | None, pid: int | None, start_time: str | None, *, remote_default: bool) -> bool:
    """Return whether a process is alive.

    Args:
        host: Name of its machine.
        pid: Process id.
        start_time: Start time as returned by `read_process_start_time`.
        remote_default: Return value for processes on other machines, which cannot be checked.
    """
    if host != platform.node() or pid is None:
        return remote_default
    if sys.platform == "win32":
        return _is_alive_on_windows(pid)
    if Path("/proc/self/stat").exists():
        return start_time is not None and read_process_start_time(pid) == start_time
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _is_alive_on_windows(pid: int) -> bool:
    """Return whether a process is alive. `os.kill(pid, 0)` would send it Ctrl-C on Windows."""
    from ctypes import byref, c_ulong, windll  # type: ignore[attr-defined]

    handle = windll.kernel32.OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
    if not handle:
        return False
    status = c_ulong()
    windll.kernel32.GetExitCodeProcess(handle, byref(status))
    windll.kernel32.CloseHandle(handle)
    return status.value == STILL_ACTIVE

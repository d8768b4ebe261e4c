"""Processes of a session and their listening sockets, read from /proc."""

import os
import socket
import struct
from pathlib import Path

LISTENING = "0A"  # state of a socket in /proc/net/tcp


def find_processes(root: int) -> list[int]:
    """Return the living processes of the session of a process, and its descendants, which may have other sessions."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state not in "ZX":
            parents[int(entry.name)] = root if int(session) == root else int(parent)
    found = {root} & parents.keys()
    while new := {pid for pid, parent in parents.items() if parent in {*found, root}} - found:
        found |= new
    return sorted(found)


def find_listening_addresses(pids: list[int], namespace: int | str = "self") -> list[str]:
    """Return the addresses on which processes listen for TCP connections.

    Args:
        pids: Process ids.
        namespace: Id of a process in the same network namespace. Defaults to that of this process.
    """
    inodes = {inode for pid in pids for inode in _list_socket_inodes(pid)}
    addresses = []
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{namespace}/net/{name}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                addresses.append(_parse_address(fields[1].partition(":")[0]))
    return addresses


def _list_socket_inodes(pid: int) -> list[str]:
    inodes = []
    try:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(file)
            if target.startswith("socket:["):
                inodes.append(target[8:-1])
    except (ProcessLookupError, FileNotFoundError):
        pass
    return inodes


def _parse_address(text: str) -> str:
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    content = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, content)

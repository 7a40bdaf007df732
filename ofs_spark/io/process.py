"""Which process this is, and whether another one of the same machine is gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def name_process() -> str:
    """host:pid, then, where the system tells them, what no later process shares: boot, pid namespace, start."""
    mine = f"{socket.gethostname()}:{os.getpid()}"
    own = [_read_boot(), _read_namespace(), _read_start(os.getpid())]
    return f"{mine}#{' '.join(own)}" if all(own) else mine


def is_gone(process: str) -> bool:
    """Whether the process that `name_process` named has ended for certain: False of other machines and containers.

    It is gone if its machine was started anew since, or if in its own pid namespace no process of that number and start
    is left.
    """
    name, _, own = process.partition("#")
    host, _, pid = name.rpartition(":")
    if len(own.split(" ")) != 3 or not pid.isdecimal():
        return False
    boot, namespace, start = own.split(" ")
    if boot != _read_boot():
        return host == socket.gethostname() and bool(_read_boot())
    return namespace == _read_namespace() and _read_start(int(pid)) != start


def _read_boot() -> str:
    return _read(_BOOT).strip()


def _read_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read_start(pid: int) -> str:
    """Ticks from boot to the start of a process; "" where there is none, and of one that has ended but is not buried."""
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in ("Z", "X") else ""


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""

"""Runs a program under the seccomp filters of the unit file: `python tests/deploy/sandboxed.py PROGRAM ARG...`.

They are loaded with libseccomp and named by systemd-analyze, as systemd itself does it, and need no systemd that runs.
What the unit says of the file system and of users is not in force here.
"""

import ctypes
import errno
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "config/systemd/gateway.service"

ALLOW = 0x7FFF0000
NE, EQ, GT, MASKED_EQ = 1, 4, 6, 7  # enum scmp_compare
SHM_EXEC = 0o100000
FAMILIES = 46  # AF_MAX of the kernels that systemd knows


def said(section: str, key: str) -> list[str]:
    """Every value that the unit gives this key, in order."""
    found, here = [], ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            here = line.strip("[]")
        elif here == section and line.partition("=")[0] == key:
            found.append(line.partition("=")[2])
    return found


def refused(number: int) -> int:
    return 0x00050000 | number  # SCMP_ACT_ERRNO


class Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    )


class Filter:
    """default: what happens to a call that no rule is about."""

    def __init__(self, default: int) -> None:
        self._lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        self._lib.seccomp_init.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._lib.seccomp_init(ctypes.c_uint32(default)))

    def add(self, action: int, call: str, *compares: tuple[int, int, int, int]) -> None:
        """A call that this machine does not have needs no rule."""
        number = self._lib.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            return
        array = (Compare * len(compares))(*(Compare(*each) for each in compares))
        done = self._lib.seccomp_rule_add_array(
            self._context, ctypes.c_uint32(action), number, ctypes.c_uint(len(compares)), array
        )
        assert done == 0, f"{call}: {os.strerror(-done)}"

    def load(self) -> None:
        """From now on, for this process and what it becomes. Gives up new privileges first, as it has to."""
        done = self._lib.seccomp_load(self._context)
        assert done == 0, os.strerror(-done)


def calls(sets: Iterable[str]) -> set[str]:
    """The names in systemd's sets, such as @system-service, and in those that they are made of."""
    found: set[str] = set()
    for name in sets:
        if not name.startswith("@"):
            found.add(name)
            continue
        command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[1:]
        found |= calls(words[0] for line in shown if (words := line.split()) and not words[0].startswith("#"))
    return found


def filters() -> list[Filter]:
    """The one that allows only what it names is the last: loading another takes calls that it does not name."""
    made = []
    if said("Service", "MemoryDenyWriteExecute") == ["yes"]:
        memory, both = Filter(ALLOW), mmap.PROT_EXEC | mmap.PROT_WRITE
        memory.add(refused(errno.EPERM), "mmap", (2, MASKED_EQ, both, both))
        for call in ("mprotect", "pkey_mprotect"):
            memory.add(refused(errno.EPERM), call, (2, MASKED_EQ, mmap.PROT_EXEC, mmap.PROT_EXEC))
        memory.add(refused(errno.EPERM), "shmat", (2, MASKED_EQ, SHM_EXEC, SHM_EXEC))
        made.append(memory)
    families = {getattr(socket, name) for line in said("Service", "RestrictAddressFamilies") for name in line.split()}
    sockets = Filter(ALLOW)
    for family in set(range(FAMILIES)) - families:
        sockets.add(refused(errno.EAFNOSUPPORT), "socket", (0, EQ, family, 0))
    sockets.add(refused(errno.EAFNOSUPPORT), "socket", (0, GT, FAMILIES - 1, 0))
    allowed: set[str] = set()
    for line in said("Service", "SystemCallFilter"):
        named = calls(line.removeprefix("~").split())
        allowed = allowed - named if line.startswith("~") else allowed | named
    few = Filter(refused(errno.EPERM))
    for call in sorted(allowed):
        few.add(ALLOW, call)
    return [*made, sockets, few]


if __name__ == "__main__":
    for each in filters():
        each.load()
    os.execv(sys.argv[1], sys.argv[1:])

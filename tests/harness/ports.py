"""Ports for servers of tests, which no other run of the same user takes between the choice of a port and its use."""

import fcntl
import itertools
import os
import socket
import tempfile
from pathlib import Path
from typing import Final

LOOPBACK: Final = "127.0.0.1"
# Below what kernels take for connections, and for servers that name no port: Linux from 32768, others from 49152.
PORTS: Final = range(12000, 32768)


class _Ports:
    """One byte of a file is locked for each port, until this process ends: other processes of tests choose others."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._order = itertools.cycle(PORTS)

    def next(self) -> int:
        """One that can be bound; the same again after all others. Raises AssertionError where none is left."""
        for port in itertools.islice(self._order, len(PORTS)):
            if self._reserved(port) and _can_be_bound(port):
                return port
        raise AssertionError(f"no port of {PORTS[0]} to {PORTS[-1]} is free")

    def _reserved(self, port: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except (BlockingIOError, PermissionError):  # how it is told that another process has it
            return False
        return True


def _can_be_bound(port: int) -> bool:
    with socket.socket() as sock:
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


_PORTS = _Ports(Path(tempfile.gettempdir()) / f"gateway-tests-{os.geteuid()}.ports")
free_port = _PORTS.next

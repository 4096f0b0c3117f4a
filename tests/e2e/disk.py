"""A disk that fills up: a small file system of its own where the tests may make one, else a limit on a process."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

MEBIBYTES = 4
BLOCK = 4096


class Disk:
    """folder: on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, pid: int) -> None:
        """Nothing more fits, whoever writes."""
        with open(self.folder / "filler", "ab", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"\0" * BLOCK)

    def free(self, pid: int) -> None:
        (self.folder / "filler").unlink()


class Limited(Disk):
    """For who may not mount: the process cannot make any file longer, which it sees as EFBIG instead of ENOSPC."""

    def fill(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free(self, pid: int) -> None:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextlib.contextmanager
def small(folder: Path) -> Iterator[Disk]:
    if not _mounted(folder):
        yield Limited(folder)
        return
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mounted(folder: Path) -> bool:
    if os.geteuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "none", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0

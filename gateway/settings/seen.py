"""What the files of a configuration looked like when it was read, to tell whether it would be another one now."""

import errno
import fcntl
import glob
import os
import signal
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A file by what changes when it is written, replaced by another, or its symbolic link points elsewhere; None where
# there is none; a folder by the files in it.
Stamp = tuple[object, ...] | None


def stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            return tuple((name, stamp(os.path.join(path, name))) for name in sorted(os.listdir(path)))
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def being_written(path: str) -> bool:
    """Whether somebody has it open for writing, as far as the system tells: a lease for reading is refused then
    (fcntl(2)). A file of somebody else, or on a drive of another machine, tells nothing."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return False
    try:
        fcntl.fcntl(number, fcntl.F_SETSIG, signal.SIGURG)  # of who opens it just now: SIGIO would end the process
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(number, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(number)
    return False


@dataclass(frozen=True, slots=True)
class Seen:
    """stamps: by path, each from before the file was read. matches: names by (folder, pattern)."""

    stamps: Mapping[str, Stamp]
    matches: Mapping[tuple[str, str], Sequence[str]]

    def again(self) -> "Seen":
        """The same files and patterns, as they are now; equal to this one if nothing has changed."""
        matches = {(folder, pattern): found(pattern, folder) for folder, pattern in self.matches}
        return Seen({path: stamp(path) for path in self.stamps}, matches)

    def unfinished(self, other: "Seen") -> bool:
        """Whether a file that the other has differently is being written."""
        return any(being_written(path) for path, was in other.stamps.items() if self.stamps.get(path) != was)


def found(pattern: str, folder: str) -> Sequence[str]:
    """Names in the folder that a glob matches, sorted."""
    return sorted(glob.glob(pattern, root_dir=folder))

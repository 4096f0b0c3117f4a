"""What the files of a configuration looked like when it was read, to tell whether it would be another one now."""

import glob
import os
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


@dataclass(frozen=True, slots=True)
class Seen:
    """stamps: by path, each from before the file was read. matches: names by (folder, pattern)."""

    stamps: Mapping[str, Stamp]
    matches: Mapping[tuple[str, str], Sequence[str]]

    def again(self) -> "Seen":
        """The same files and patterns, as they are now; equal to this one if nothing has changed."""
        matches = {(folder, pattern): found(pattern, folder) for folder, pattern in self.matches}
        return Seen({path: stamp(path) for path in self.stamps}, matches)


def found(pattern: str, folder: str) -> Sequence[str]:
    """Names in the folder that a glob matches, sorted."""
    return sorted(glob.glob(pattern, root_dir=folder))

"""Files into one tree: `include:` globs, read and merged. Reads only regular files that are named.

A top-level list is concatenated in the order of reading, a top-level map is merged one level down, and anything else
given twice is a fault with both places. Patterns are relative to the file that names them.
"""

import glob
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.settings.faults import Fault, Place, Source, quoted
from gateway.settings.files import Disk, Files, NotRegularError
from gateway.settings.yaml import Node, Room, read

MAX_FILES = 1000
_OPENING = re.compile(rb"""\{|["']?[\w.-]+["']?\s*:(?:\s|$)""").match


@dataclass(frozen=True, slots=True)
class Composed:
    """whole: whether every file was read to its end; if not, names defined there only look unknown."""

    root: Node
    faults: list[Fault]
    whole: bool


def compose(path: Path, room: Room | None = None, files: int = MAX_FILES, source: Files | None = None) -> Composed:
    """The file and all that it includes. Never raises: what is wrong is in `faults`.

    room: values in all files together. files: the most that are read. source: where they are; the disk if None.
    """
    composer = _Composer(room or Room(), files, source or Disk())
    top = Place(Source(str(path)), 1, 1)
    composer.add(path, top)
    return Composed(composer.root or Node({}, top), composer.faults, composer.whole)


def _is_ours(data: bytes) -> bool:
    """Whether it begins as a configuration does. Of another file, a secret say, no line is shown to anybody."""
    lines = (line.strip() for line in data.split(b"\n", 200)[:200])
    first = next(
        (line for line in lines if line and not line.startswith((b"#", b"--- ", b"%")) and line != b"---"), b""
    )
    return first == b"" or _OPENING(first) is not None


@dataclass(slots=True)
class _Composer:
    room: Room
    files: int
    source: Files
    root: Node | None = None
    faults: list[Fault] = field(default_factory=list)
    whole: bool = True
    seen: dict[str, Place] = field(default_factory=dict)

    def add(self, path: Path, named: Place) -> None:
        """named: where the file is asked for."""
        real = os.path.realpath(path)
        if real in self.seen:
            self._broken(named, "include_loop", f"{quoted(path)} is read already, asked for at {self.seen[real]}")
            return
        if len(self.seen) >= self.files:
            self._broken(named, "too_many_files", f"more than {self.files} files")
            return
        self.seen[real] = named
        data = self._bytes(path, named)
        if data is None:
            return
        parsed = read(str(path), data, self.room)
        readable = _is_ours(data)
        self.faults += parsed.faults if readable else [replace(fault, source_line="") for fault in parsed.faults]
        if parsed.root is None:
            self.whole = False
        elif not isinstance(parsed.root.value, dict):
            self._broken(Place(Source(str(path)), 1, 1), "wrong_type", "the file must hold keys and values")
        else:
            self._merge(parsed.root)
            self._includes(parsed.root, path.parent)

    def _broken(self, place: Place, code: str, message: str) -> None:
        self.whole = False
        self.faults.append(place.fault(code, message))

    def _bytes(self, path: Path, named: Place) -> bytes | None:
        try:
            return self.source.read(path)
        except NotRegularError:
            self._broken(named, "file_missing", f"{quoted(path)} is not a regular file")
            return None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a file name"
            self._broken(named, "file_missing", f"{quoted(path)} cannot be read: {reason.lower()}")
            return None

    def _includes(self, root: Node, folder: Path) -> None:
        patterns = root.value.get("include")
        if patterns is None or not isinstance(patterns.value, list):
            return  # absent; another type is the model's to report
        for node in patterns.value:
            if isinstance(node.value, str):
                for path in self._expand(node.value, folder, node.place):
                    self.add(path, node.place)

    def _expand(self, pattern: str, folder: Path, place: Place) -> list[Path]:
        if "\0" in pattern or "**" in pattern:
            self._broken(place, "wrong_value", "an include is a path; * and ? stand within one folder's names")
            return []
        if not glob.has_magic(pattern):
            return [folder / pattern]
        return [folder / name for name in self.source.names(pattern, folder)]

    def _merge(self, other: Node) -> None:
        if self.root is None:
            self.root = Node(dict(other.value), other.place, dict(other.keys))
            return
        for key, node in other.value.items():
            self._put(self.root, key, node, other.keys[key], nested=True)

    def _put(self, into: Node, key: str, node: Node, place: Place, *, nested: bool) -> None:
        mine = into.value.get(key)
        if mine is None:
            into.value[key], into.keys[key] = node, place
        elif nested and isinstance(mine.value, list) and isinstance(node.value, list):
            into.value[key] = Node([*mine.value, *node.value], mine.place)
        elif nested and isinstance(mine.value, dict) and isinstance(node.value, dict):
            merged = Node(dict(mine.value), mine.place, dict(mine.keys))
            into.value[key] = merged
            for name, child in node.value.items():
                self._put(merged, name, child, node.keys[name], nested=False)
        else:
            self.faults.append(place.fault("duplicate_key", f"{quoted(key)} is given twice, first at {into.keys[key]}"))

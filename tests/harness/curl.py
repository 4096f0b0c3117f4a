"""The real `curl`, as people who read a page of documentation use it."""

import json
import subprocess
from dataclasses import dataclass
from typing import Any

from e2e.parts import program


@dataclass(frozen=True)
class Heard:
    """An answer. headers: lower-case names; of a name that comes twice, all values."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def curl(url: str, *arguments: str) -> Heard:
    """`curl ARGUMENTS URL`. Skips, or fails, without the program; fails where curl does."""
    command = [program("curl"), "-q", "-sS", "-i", "--max-time", "20", "--noproxy", "*", *arguments, url]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr.decode()
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers: dict[str, list[str]] = {}
    for name, _, value in (line.partition(": ") for line in lines):
        headers.setdefault(name.lower(), []).append(value)
    return Heard(int(first.split()[1]), headers, body)

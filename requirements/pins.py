"""The files of pins: read, and written. Their form is pip's, and so is how names of packages are compared."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.utils import canonicalize_name

FOLDER: Final = Path(__file__).resolve().parent
PROJECT: Final = "mycelium-gateway"
SETS: Final = {  # name: what it is for; in the order in which they are resolved
    "gateway": "What the gateway runs on.",
    "otel": "What the extra `otel` takes besides.",
    "build": "What builds the wheel, compiled or not, besides.",
}
HEADER: Final = """\
# {purpose} `make requirements` writes this from pyproject.toml.
# Every file of each release by its digest, for any platform; `--only-binary :all:` takes wheels alone, and runs nothing
# of a package while it installs it.
"""
_PIN: Final = re.compile(r"^(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))? \\$")
_DIGEST: Final = re.compile(r"^    --hash=sha256:([0-9a-f]{64})(?: \\)?$")
_WANTED: Final = re.compile(r"^    #(?: via)?(?:   )? ?(?P<name>[\w.-]+)(?: \(.*\))?$")


class NotPinnedError(ValueError):
    """A line that is no pin, no digest and no comment: an option, an address, or a package without a version."""


@dataclass(frozen=True)
class Pin:
    """wanted_by: the packages that depend on it; the project itself among them. marker: where it is installed."""

    name: str
    version: str
    marker: str
    digests: tuple[str, ...]
    wanted_by: tuple[str, ...]

    def holds(self, environment: dict[str, str]) -> bool:
        """Whether it is installed there. environment: as PEP 508 names its values."""
        return not self.marker or Marker(self.marker).evaluate(environment)


def read(text: str) -> dict[str, Pin]:
    """By canonical name, in the file's order. Raises NotPinnedError."""
    pins: dict[str, Pin] = {}
    for block in _blocks(text):
        head = _PIN.match(block[0])
        digests = [found[1] for line in block[1:] if (found := _DIGEST.match(line))]
        comments = [line for line in block[1:] if line.startswith("    #")]
        if head is None or not digests or len(digests) + len(comments) != len(block) - 1:
            raise NotPinnedError("\n".join(block))
        named = [found["name"] for line in comments if (found := _WANTED.match(line)) and found["name"] != "via"]
        name = canonicalize_name(head["name"])
        wanted = tuple(sorted(canonicalize_name(each) for each in named if not each.startswith("-")))
        pins[name] = Pin(name, head["version"], head["marker"] or "", tuple(sorted(digests)), wanted)
    return pins


def _blocks(text: str) -> list[list[str]]:
    """The lines of each package; what stands before the first is left out if it is a comment."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if not line.startswith(" "):
            if line and not line.startswith("#"):
                blocks.append([line])
        elif blocks:
            blocks[-1].append(line)
    return blocks


def written(name: str, pins: Iterable[Pin]) -> str:
    """The text of a set."""
    return HEADER.format(purpose=SETS[name]) + "".join(map(_written, pins))


def _written(pin: Pin) -> str:
    marker = f" ; {pin.marker}" if pin.marker else ""
    digests = " \\\n".join(f"    --hash=sha256:{digest}" for digest in pin.digests)
    wanted = "".join(f"    #   {each}\n" for each in pin.wanted_by)
    return f"{pin.name}=={pin.version}{marker} \\\n{digests}\n    # via\n{wanted}"


def of(name: str) -> dict[str, Pin]:
    """What a set's file pins."""
    return read((FOLDER / f"{name}.txt").read_text(encoding="utf-8"))

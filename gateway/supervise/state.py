"""What one image of a supervisor hands to the next, which may be of another release: JSON in a file in memory.

Fields are added, with a default, and keep their meaning; what a newer one has written besides is passed over. VERSION
changes with what cannot be read so: then the new program refuses in its trial, and the old one stays.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, TypeVar

from gateway.ops.merged import Families, Family

VERSION: Final = 1

Made = TypeVar("Made")


class StateUnknown(Exception):  # noqa: N818 - errors are named by fault
    """It cannot be taken over."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """pid: of a child of this process. control: a descriptor. The rest as in Worker; current: has what `State` has."""

    pid: int
    control: int
    since: float = 0.0
    exposition: str = ""
    leaving: bool = False
    release: int = 0
    current: bool = True


@dataclass(frozen=True, slots=True)
class SlotState:
    """listening: a descriptor. The rest as in Slot."""

    number: int
    listening: int
    restarts: int = 0
    seconds: float = 0.0
    workers: Sequence[WorkerState] = ()


@dataclass(frozen=True, slots=True)
class State:
    """admin: a descriptor. configuration: what the workers run, packed. reload: whether somebody has asked for one.

    The rest as in Fleet.
    """

    admin: int
    configuration: str
    slots: Sequence[SlotState]
    reloads: Mapping[str, int] = field(default_factory=dict)
    kept: Families = field(default_factory=dict)
    release: int = 0
    reload: bool = False
    version: int = VERSION

    def descriptors(self) -> list[int]:
        """All that the successor takes over."""
        workers = [worker.control for slot in self.slots for worker in slot.workers]
        return [self.admin, *(slot.listening for slot in self.slots), *workers]


def written(state: State) -> int:
    """The descriptor of the file."""
    number = os.memfd_create("gateway-state")
    with os.fdopen(os.dup(number), "w") as file:
        json.dump(asdict(state), file)
    return number


def read(number: int) -> State:
    """Leaves the descriptor as it is: the trial reads it before the successor does. Raises StateUnknown."""
    with os.fdopen(os.dup(number)) as file:
        file.seek(0)
        text = file.read()
    try:
        return _state(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateUnknown(f"{type(error).__name__}: {error}") from error


def _state(found: dict[str, Any]) -> State:
    if found.get("version", VERSION) != VERSION:
        raise StateUnknown(f"version {found['version']}, and this program knows {VERSION}")
    return _made(
        State,
        found,
        slots=[
            _made(SlotState, slot, workers=[_made(WorkerState, worker) for worker in slot.get("workers", ())])
            for slot in found["slots"]
        ],
        kept={name: _made(Family, family) for name, family in found.get("kept", {}).items()},
    )


def _made(kind: type[Made], found: Mapping[str, Any], **parts: object) -> Made:
    known = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # all are dataclasses
    return kind(**{name: value for name, value in {**found, **parts}.items() if name in known})

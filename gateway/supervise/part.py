"""The part that a process of the gateway plays, told by the process that started it, through the environment."""

import json
from collections.abc import MutableMapping
from dataclasses import asdict, dataclass
from typing import Final

VARIABLE: Final = "GATEWAY_PART"


@dataclass(frozen=True, slots=True)
class WorkerPart:
    """number: from 1. listening, control, configuration: file descriptors. migrate: bring the database up to date.

    first: nobody serves yet, so that what is wrong is told to whoever starts the gateway. count, address, admin: of the
    fleet, which a configuration that is read anew must have as well.
    """

    number: int
    listening: int
    control: int
    configuration: int
    first: bool
    migrate: bool
    count: int
    address: str
    admin: str


@dataclass(frozen=True, slots=True)
class SuccessorPart:
    """The new image of a supervisor. state: a descriptor of what it takes over. trial: only whether it would start."""

    state: int
    trial: bool


def told(part: WorkerPart | SuccessorPart) -> dict[str, str]:
    """The variable, for the environment of the process."""
    kind = "worker" if isinstance(part, WorkerPart) else "successor"
    return {VARIABLE: json.dumps({"part": kind, **asdict(part)})}


def taken(environ: MutableMapping[str, str]) -> WorkerPart | SuccessorPart | None:
    """The part; None where the process was started by somebody else. What it starts itself does not see it."""
    text = environ.pop(VARIABLE, None)
    if text is None:
        return None
    found = json.loads(text)
    made = WorkerPart if found.pop("part") == "worker" else SuccessorPart
    known = {name: value for name, value in found.items() if name in made.__slots__}  # a newer one may say more
    part: WorkerPart | SuccessorPart = made(**known)
    return part

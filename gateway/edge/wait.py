"""What a client's connection waits for."""

from enum import Enum


class Wait(Enum):
    """What the deadline of a connection is about."""

    NOTHING = 0
    REQUEST = 1  # the next head, on an idle connection
    HEAD = 2  # the rest of a head
    BODY = 3
    ANSWER = 4  # the first byte of the upstream's answer
    IDLE = 5  # the next part of the answer, or room to write it
    LINGER = 6
    CLOSING = 7  # room to write the rest

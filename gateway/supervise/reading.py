"""A configuration as the supervisor has read it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Fault = Mapping[str, object]  # file, line, column, code, message


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """Two are the same only if they were read at once. text: for the workers. faults: why it is none.

    take: called when they have it. drain: seconds.
    """

    text: str
    faults: Sequence[Fault] = ()
    drain: float = 30.0
    take: Callable[[], object] = lambda: None

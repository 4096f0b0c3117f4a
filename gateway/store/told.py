"""Who hears how far long work is: the port of migrations, imports and re-encryption."""

from typing import Protocol


class Told(Protocol):
    """A new `what` begins a new count; total None: nobody knows."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...


def silent(what: str, done: int, total: int | None) -> None:
    """Nobody waits for it."""

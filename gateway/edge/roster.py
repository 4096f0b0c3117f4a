"""The open connections of one worker, on shelves: whoever has to look at them all does it in parts."""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gateway.edge.client import Client

SHELVES: Final = 16


class Roster:
    """shelves: each connection is on one of them. added: connections so far."""

    __slots__ = ("_shelves", "added")

    def __init__(self) -> None:
        self._shelves: list[set[Client]] = [set() for _ in range(SHELVES)]
        self.added = 0

    @property
    def shelves(self) -> list[Collection["Client"]]:
        return list(self._shelves)

    def add(self, client: "Client") -> None:
        client.shelf = self.added % SHELVES
        self._shelves[client.shelf].add(client)
        self.added += 1

    def discard(self, client: "Client") -> None:
        self._shelves[client.shelf].discard(client)

    def __len__(self) -> int:
        return sum(map(len, self._shelves))

    def __iter__(self) -> Iterator["Client"]:
        for shelf in self._shelves:
            yield from shelf

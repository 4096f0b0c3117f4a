"""The last lines of the access log, kept for whoever has the id of one: most gateways write to a stream, not a file."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from gateway.ops.logged import Logged, parse

MOST: Final = 1024 * 1024  # bytes: some 2,000 lines


class Recent:
    """Written by one thread, read by another."""

    def __init__(self) -> None:
        self._blocks: deque[str] = deque()
        self._size = 0

    def add(self, lines: Sequence[str]) -> None:
        """Each with its line end. The oldest go when they are too many."""
        block = "".join(lines)
        self._blocks.append(block)
        self._size += len(block)
        while self._size > MOST and len(self._blocks) > 1:
            self._size -= len(self._blocks.popleft())

    def find(self, request_id: str) -> Logged | None:
        """The last one with this id."""
        mark = f'"id":"{request_id}"'
        for block in reversed(self._copy()):
            at = block.rfind(mark)
            if at >= 0:
                return parse(block[block.rfind("\n", 0, at) + 1 : block.find("\n", at)])
        return None

    def _copy(self) -> list[str]:
        while True:
            try:
                return list(self._blocks)
            except RuntimeError:  # the other thread has changed it meanwhile
                continue

"""How fast actions come, and what happens after how many of them."""

import asyncio
import heapq
import itertools


class Pace:
    """So many actions, at most so many a second (0: as fast as they go)."""

    def __init__(self, total: int, rate: float) -> None:
        self.total = total
        self.number = 0  # of actions begun
        self._rate = rate
        self._began: float | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    async def turn(self) -> bool:
        """Returns when the next action is due; False when it was the last one."""
        if self.number >= self.total:
            return False
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        due = self._began + self.number / self._rate if self._rate else now
        self.number += 1
        while self._waiting and (self._waiting[0][0] <= self.number or self.number >= self.total):
            future = heapq.heappop(self._waiting)[2]
            if not future.done():
                future.set_result(None)
        await asyncio.sleep(max(due - now, 0))
        return True

    async def after(self, more: int) -> bool:
        """Returns after so many actions more; False when the last one has begun before."""
        wanted = self.number + more
        if wanted >= self.total:
            return False
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (wanted, next(self._order), future))
        await future
        return self.number < self.total

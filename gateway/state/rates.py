"""Uses of limits, told to the other processes and learnt from them in the background: no request waits for Redis.

A process counts alone between two rounds. Rounds are five a second, and one more at once when a key has used an eighth
of a limit since the last. While Redis is away each goes on alone, and tells what still counts when it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, cast

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.state.connection import Script
from gateway.state.link import Link, end
from gateway.state.names import Names
from gateway.state.scripts import USES

ROUND_SECONDS: Final = 0.2
APART_SECONDS: Final = 0.01  # between rounds, however often they are called for
BATCH: Final = 128  # keys in one script: two milliseconds of this process, and one of Redis
BATCHES: Final = 400  # of one limit in a round: of all the keys that it can have. Then the others have their turn
_MICRO: Final = 1_000_000

Uses = dict[int, int]  # by the number of the part


class Table(Protocol):
    """Windows of one limit (`edge.windows`). name: the same in all processes. part: seconds."""

    @property
    def name(self) -> str: ...
    @property
    def part(self) -> float: ...
    def take(self, most: int, now: float) -> list[tuple[str, Uses]]: ...
    def give_back(self, taken: list[tuple[str, Uses]]) -> None: ...
    def learn(self, key: str, counts: Uses, now: float) -> None: ...


class Tables(Protocol):
    """All limits of this process. told: from now on uses are noted, and `call` is called when a share is used."""

    @property
    def tables(self) -> Sequence[Table]: ...
    def share(self, call: Callable[[], object]) -> None: ...
    def set_ahead(self, seconds: float) -> None: ...


class Rates:
    """age: seconds since the last round in which everything was told and learnt."""

    def __init__(
        self,
        link: Link,
        names: Names,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        apart: float = ROUND_SECONDS,
    ) -> None:
        """apart: seconds between rounds that nobody calls for."""
        self._link = link
        self._names = names
        self._clock = clock
        self._sleep = sleep
        self._apart = apart
        self._script = Script(USES)
        self._wake = asyncio.Event()
        self._tables: Tables | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._done = clock.monotonic()

    @property
    def age(self) -> float:
        return self._clock.monotonic() - self._done

    def start(self, tables: Tables) -> None:
        self.join(tables)
        self._tasks = [asyncio.create_task(self._run())]

    def join(self, tables: Tables) -> None:
        """Until Redis says what time it is, the wall clock does: the nodes' differ by less than a window."""
        self._tables = tables
        tables.set_ahead(self._clock.now() - self._clock.monotonic())
        tables.share(self._wake.set)

    async def aclose(self) -> None:
        await end(self._tasks)

    async def round(self) -> None:
        """Tells and learns once. Raises nothing: what could not be told is kept."""
        assert self._tables is not None
        whole = True
        for table in self._tables.tables:
            whole = await self._whole_table(table) and whole
        if whole:
            self._done = self._clock.monotonic()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            await self.round()
            await self._sleep(APART_SECONDS)
            try:
                async with asyncio.timeout(self._apart):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _whole_table(self, table: Table) -> bool:
        for _ in range(BATCHES):
            taken = table.take(BATCH, self._clock.monotonic())
            if not taken:
                return True
            try:
                await self._tell(table, taken)
            except DependencyFailed:
                table.give_back(taken)
                return False
        return False

    async def _tell(self, table: Table, taken: list[tuple[str, Uses]]) -> None:
        names = [self._names.uses(table.name, key) for key, _ in taken]
        values = [str(round(table.part * _MICRO))]
        for _, uses in taken:
            values.append(str(len(uses)))
            for slot, count in uses.items():
                values += (str(slot), str(count))
        began = self._clock.monotonic()
        answer = cast(list[list[int]], await self._link.do(lambda client: self._script.run(client, names, values)))
        now = self._clock.monotonic()
        assert self._tables is not None
        self._tables.set_ahead(answer[0][0] / _MICRO - (began + now) / 2)
        for (key, _), known in zip(taken, answer[1:], strict=True):
            numbers = [int(number) for number in known]
            table.learn(key, dict(zip(numbers[::2], numbers[1::2], strict=True)), now)

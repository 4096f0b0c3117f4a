"""Uses of limits, told to the other processes and learnt from them in the background: no request waits for Redis.

A process counts alone between two rounds. Rounds are five a second, and one more at once when a key has used an eighth
of a limit since the last. While Redis is away each goes on alone, and tells what still counts when it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
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
    def learn(self, key: str, counts: Uses, now: float) -> None: ...


class Tables(Protocol):
    """All limits of this process. told: from now on uses are noted, and `call` is called when a share is used."""

    @property
    def tables(self) -> Sequence[Table]: ...
    def share(self, call: Callable[[], object]) -> None: ...
    def set_ahead(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What is told at once. It is kept, and told again as it is, until Redis has answered: by the number Redis knows
    what it has counted. number: of this process, over all limits, as one may go and come back by its name."""

    number: int
    taken: list[tuple[str, Uses]]


class Rates:
    """age: seconds since the last round in which everything was told and learnt. rounds: how many there were."""

    def __init__(
        self,
        link: Link,
        names: Names,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        apart: float = ROUND_SECONDS,
        failed: Callable[[Exception], object] = lambda _error: None,
    ) -> None:
        """apart: seconds between rounds that nobody calls for. failed: told of what must not be, once for as long as it
        goes on; that Redis is away, the link tells."""
        self._link = link
        self._names = names
        self._clock = clock
        self._sleep = sleep
        self._apart = apart
        self._failed = failed
        self._failing = False
        self._script = Script(USES)
        self._process = clock.token_bytes(8).hex()
        self._number = 0
        self._batches: dict[str, Batch] = {}  # that were not answered, by the limit's name
        self.rounds = 0
        self._wake = asyncio.Event()
        self._tables: Tables | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._done = clock.monotonic()

    @property
    def age(self) -> float:
        return self._clock.monotonic() - self._done

    @property
    def untold(self) -> int:
        """Batches that were not answered."""
        return len(self._batches)

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
        if self._tables is None:  # nobody has joined
            return
        tables, whole, failure = self._tables.tables, True, None
        names = {table.name for table in tables}
        self._batches = {name: batch for name, batch in self._batches.items() if name in names}
        for table in tables:
            try:
                whole = await self._whole_table(table, self._tables) and whole
            except DependencyFailed:
                whole = False
            except Exception as error:  # an answer that is none of ours: this limit waits, the others are told
                whole, failure = False, error
        if failure is not None and not self._failing:
            self._failed(failure)
        self._failing = failure is not None
        self.rounds += 1
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

    async def _whole_table(self, table: Table, tables: Tables) -> bool:
        for _ in range(BATCHES):
            batch = self._batches.get(table.name) or self._next(table)
            if batch is None:
                return True
            await self._tell(table, batch, tables)
            del self._batches[table.name]
        return False

    def _next(self, table: Table) -> Batch | None:
        taken = table.take(BATCH, self._clock.monotonic())
        if not taken:
            return None
        self._number += 1
        batch = self._batches[table.name] = Batch(self._number, taken)
        return batch

    async def _tell(self, table: Table, batch: Batch, tables: Tables) -> None:
        names = [self._names.told(table.name, self._process)]
        names += [self._names.uses(table.name, key) for key, _ in batch.taken]
        values = [str(round(table.part * _MICRO)), str(batch.number)]
        for _, uses in batch.taken:
            values.append(str(len(uses)))
            for slot, count in uses.items():
                values += (str(slot), str(count))
        began = self._clock.monotonic()
        answer = cast(list[list[int]], await self._link.do(lambda client: self._script.run(client, names, values)))
        now = self._clock.monotonic()
        tables.set_ahead(answer[0][0] / _MICRO - (began + now) / 2)
        for (key, _), known in zip(batch.taken, answer[1:], strict=True):
            numbers = [int(number) for number in known]
            table.learn(key, dict(zip(numbers[::2], numbers[1::2], strict=True)), now)

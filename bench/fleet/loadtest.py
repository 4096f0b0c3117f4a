"""The load test: what the fleet costs and asks of its stores, beside what `arithmetic` says it would."""

import asyncio
from dataclasses import dataclass

from bench.fleet import servers
from bench.fleet.arithmetic import Shape
from bench.fleet.fleet import Fleet
from bench.fleet.traffic import Case, Connection, Tally, under_load
from bench.load import Target, warm

PRINCIPAL = "%FROM grant_ g%JOIN account%"  # the one query of a cold credential
POLL = "%FROM revocation%"
FRESH = 500  # keys of the cold part


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    unit: str
    predicted: float
    measured: float

    @property
    def factor(self) -> float:
        return self.measured / self.predicted if self.predicted else float("nan")

    def __str__(self) -> str:
        return (
            f"{self.what:64} {self.unit:12} predicted {self.predicted:10.1f}  measured {self.measured:10.1f}"
            f"  factor {self.factor:.2f}"
        )


class Counts:
    """Of both stores, since the last look."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._before = self._now()

    def _now(self) -> tuple[int, int, dict[str, int]]:
        port = self._fleet.postgres.port
        return _calls(port, PRINCIPAL), _calls(port, POLL), servers.redis_calls(self._fleet.redis.port)

    def taken(self) -> tuple[int, int, dict[str, int]]:
        """Reads of principals, reads of revocations, Redis commands by name."""
        before, self._before = self._before, self._now()
        principals, polls, redis = self._before
        return (
            principals - before[0],
            polls - before[1],
            {name: count - before[2].get(name, 0) for name, count in redis.items()},
        )


def _calls(port: int, like: str) -> int:
    rows = servers.query(
        port, f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query LIKE '{like}'", "postgres"
    )
    return int(rows[0])


async def load_test(fleet: Fleet, seconds: int) -> list[Figure]:
    counts = Counts(fleet)
    return [
        *await _warm(fleet, counts, seconds),
        *await _cold(fleet, counts),
        *await _changes(fleet, counts),
    ]


async def _warm(fleet: Fleet, counts: Counts, seconds: int) -> list[Figure]:
    """Known callers through the balancer, as many as it takes to see each in each worker."""
    alone = await _micros(fleet, fleet.gateways[0].port, 5, 1)
    counts.taken()
    micros = await _micros(fleet, fleet.balancer.port, seconds, len(fleet.gateways))
    polls = counts.taken()[1]
    known = [case for case in fleet.callers.known if case.kind == "known"]
    async with under_load((fleet.balancer.port,), known, connections=32) as tally:
        await asyncio.sleep(seconds)
    principals, _, _ = counts.taken()
    shape = Shape(
        len(fleet.gateways), fleet.gateways[0].workers, len(known), tally.sent / seconds, probes=servers.PROBES
    )
    return [
        Figure("CPU of a warm request, all gateways, beside one gateway's", "us", alone, micros),
        Figure("reads of revocations", "per second", shape.poll_reads, polls / seconds),
        Figure("reads of principals, known callers", "per second", shape.principal_reads, principals / seconds),
    ]


async def _micros(fleet: Fleet, port: int, seconds: int, gateways: int) -> float:
    case = fleet.callers.known[0]
    assert case.header is not None
    target = Target(port, case.path, case.header)
    before = sum(gateway.process.cpu_seconds() for gateway in fleet.gateways[:gateways])
    served = await asyncio.to_thread(warm, target, seconds)
    used = sum(gateway.process.cpu_seconds() for gateway in fleet.gateways[:gateways]) - before
    return used / served * 1e6


async def _cold(fleet: Fleet, counts: Counts) -> list[Figure]:
    """Keys that nobody has seen, each once: one read each, whatever the number of workers."""
    counts.taken()
    connection, tally = Connection(fleet.balancer.port), Tally()
    for _ in range(FRESH):
        case = fleet.fresh()
        tally.judge(case, *await connection.ask(case.request))
    connection.close()
    return [Figure(f"reads of principals, {tally.passed} new callers", "reads", float(FRESH), counts.taken()[0])]


async def _changes(fleet: Fleet, counts: Counts) -> list[Figure]:
    """Logouts on one node."""
    counts.taken()
    number = 5
    for _ in range(number):
        _, _, case = next(fleet.callers.doomed)
        await log_out(fleet.gateways[0].port, case)
    redis = counts.taken()[2]
    return [Figure("messages to Redis of so many logouts", "messages", float(number), redis.get("publish", 0))]


async def log_out(port: int, case: Case) -> None:
    """By the API of one node. Raises OSError."""
    assert case.header is not None
    connection = Connection(port)
    request = (
        f"POST /v1/logout HTTP/1.1\r\nHost: fleet\r\n{case.header[0]}: {case.header[1]}\r\n"
        "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    status, body = await connection.ask(request.encode())
    connection.close()
    if status != 200:
        raise OSError(f"logout: {status} {body!r}")

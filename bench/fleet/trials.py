"""Faults, each under a load that judges every answer: requests sent, failed for known callers, wrongly passed (0)."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from bench.fleet.callers import PATH
from bench.fleet.disk import disk_full
from bench.fleet.fleet import Fleet
from bench.fleet.loadtest import log_out
from bench.fleet.traffic import Case, Connection, Tally, under_load

SETTLE = 2.0  # seconds of load before and after a fault
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Outcome:
    """note: what else was seen, with its figure."""

    name: str
    tally: Tally
    note: str = ""


Trial = Callable[[Fleet], Awaitable[Outcome]]


@contextlib.asynccontextmanager
async def loaded(fleet: Fleet, *ports: int, new: bool = True) -> AsyncIterator[Tally]:
    """Load through the balancer, or straight to the ports given, a while before and after."""
    fresh = fleet.fresh if new else None
    async with under_load(ports or (fleet.balancer.port,), fleet.callers.known, fresh) as tally:
        await asyncio.sleep(SETTLE)
        yield tally
        await asyncio.sleep(SETTLE)


async def worker_killed(fleet: Fleet) -> Outcome:
    """One of two workers of a gateway that nothing stands in front of: what it was answering is cut."""
    gateway = fleet.gateways[0]
    async with loaded(fleet, gateway.port) as tally:
        victim = gateway.worker_pids()[0]
        os.kill(victim, signal.SIGKILL)
        seconds = await asyncio.to_thread(gateway.wait_until_ready)
    return Outcome("SIGKILL of a worker, no balancer", tally, f"replaced after {seconds:.1f} s")


async def worker_killed_behind(fleet: Fleet) -> Outcome:
    """The same behind the balancer, which asks again where nothing was answered."""
    gateway = fleet.gateways[0]
    async with loaded(fleet) as tally:
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        await asyncio.to_thread(gateway.wait_until_ready)
    return Outcome("SIGKILL of a worker, behind the balancer", tally)


async def gateway_killed(fleet: Fleet) -> Outcome:
    gateway = fleet.gateways[1]
    async with loaded(fleet) as tally:
        gateway.process.kill()
        await asyncio.sleep(3)
        await asyncio.to_thread(gateway.start)
    return Outcome("SIGKILL of a gateway with its workers", tally)


async def redis_down(fleet: Fleet) -> Outcome:
    async with loaded(fleet) as tally:
        fleet.redis.kill()
        await asyncio.sleep(30)
        during = tally.unavailable
        await asyncio.to_thread(fleet.redis.start)
        seconds = max([await asyncio.to_thread(gateway.wait_until_ready) for gateway in fleet.gateways])
    return Outcome("Redis down for 30 s", tally, f"new callers told 503: {during}; converged after {seconds:.1f} s")


async def postgres_restarted(fleet: Fleet) -> Outcome:
    """Killed, and started 5 s later: known callers pass by the caches, new ones are told to come again."""
    async with loaded(fleet) as tally:
        fleet.postgres.kill()
        await asyncio.sleep(5)
        await asyncio.to_thread(fleet.postgres.start)
        seconds = max([await asyncio.to_thread(gateway.wait_until_ready) for gateway in fleet.gateways])
    return Outcome("PostgreSQL killed, back after 5 s", tally, f"ready {seconds:.1f} s after it")


async def clock_forward(fleet: Fleet) -> Outcome:
    """One gateway's clock is an hour ahead: what has expired by it is refused there, nothing else."""
    return await _clock(fleet, HOUR, "a clock an hour ahead")


async def clock_back(fleet: Fleet) -> Outcome:
    return await _clock(fleet, -HOUR, "a clock an hour behind")


async def _clock(fleet: Fleet, seconds: int, name: str) -> Outcome:
    port = fleet.gateways[0].port
    async with loaded(fleet, port) as tally:
        fleet.clock(seconds)
        await asyncio.sleep(3)
        ended = await _statuses(port, fleet.callers.short)
        fleet.clock(0)
        await asyncio.sleep(3)
        after = await _statuses(port, fleet.callers.short)
    return Outcome(name, tally, f"tokens of half an hour: {ended} during, {after} after")


async def disk_filled(fleet: Fleet) -> Outcome:
    tally, note = await disk_full(fleet)
    return Outcome("a full disk under SQLite", tally, note)


async def black_hole(fleet: Fleet) -> Outcome:
    """An upstream that accepts and never answers costs the callers of another one nothing."""
    async with loaded(fleet) as tally:
        fleet.hole.process.send_all(signal.SIGSTOP)
        cases = [Case("known", PATH.replace("orders", "hole"), case.header, case.email) for case in fleet.callers.known]
        try:
            async with under_load((fleet.balancer.port,), [c for c in cases if c.header][:8], connections=16) as hole:
                await asyncio.sleep(6)
        finally:
            fleet.hole.process.send_all(signal.SIGCONT)
    return Outcome("an upstream black-holed", tally, f"its own callers: {dict(hole.failed)}, {hole.passed} passed")


async def reloads(fleet: Fleet) -> Outcome:
    """Of one gateway, each second for a minute, its configuration changing each time."""
    gateway = fleet.gateways[0]
    async with loaded(fleet, gateway.port) as tally:
        for turn in range(60):
            gateway.write(cache={"credentials": f"{20 + turn % 10}s"})
            gateway.reload()
            await asyncio.sleep(1)
        await asyncio.to_thread(gateway.wait_until_ready)
    gateway.write()
    return Outcome("a reload each second for a minute", tally)


async def upgraded(fleet: Fleet) -> Outcome:
    """Each worker replaced by a new process, one after another."""
    gateway = fleet.gateways[0]
    before = set(gateway.worker_pids())
    async with loaded(fleet, gateway.port) as tally:
        gateway.process.send(signal.SIGUSR2)
        await asyncio.sleep(8)
        await asyncio.to_thread(gateway.wait_until_ready)
    left = before & set(gateway.worker_pids())
    return Outcome("a rolling upgrade", tally, f"old workers left: {len(left)} of {len(before)}")


async def revoked(fleet: Fleet) -> Outcome:
    """By the command line, which tells nobody: each worker reads it in the table."""

    async def revoke(grant_id: str, _: Case) -> None:
        await fleet.revoke(grant_id)

    return await _revoked(fleet, "revoked by the command line, 10 times", revoke)


async def logged_out(fleet: Fleet) -> Outcome:
    """On one node, which tells the others through Redis."""

    async def revoke(_: str, case: Case) -> None:
        await log_out(fleet.gateways[0].port, case)

    return await _revoked(fleet, "logged out on one node, 10 times", revoke)


async def _revoked(fleet: Fleet, name: str, revoke: Callable[[str, Case], Awaitable[None]]) -> Outcome:
    """How long any worker goes on letting in whoever is out: asked without pause on each."""
    waits = []
    async with loaded(fleet) as tally:
        for _ in range(10):
            grant_id, _, case = next(fleet.callers.doomed)
            connections = [Connection(port) for port in fleet.ports for _ in range(4)]  # some on each worker
            await asyncio.gather(*(connection.ask(case.request) for connection in connections))
            await revoke(grant_id, case)
            began = time.perf_counter()
            waits.append(max(await asyncio.gather(*(_until_refused(one, case, began) for one in connections))))
            for connection in connections:
                connection.close()
    longest, mean = max(waits), sum(waits) / len(waits)
    return Outcome(name, tally, f"last pass anywhere after {longest:.2f} s, mean {mean:.2f}")


async def _until_refused(connection: Connection, case: Case, began: float) -> float:
    last = 0.0
    while time.perf_counter() - began < 5:
        status, _ = await connection.ask(case.request)
        if status != 200:
            return last
        last = time.perf_counter() - began
        await asyncio.sleep(0.01)
    return 5.0


async def _statuses(port: int, cases: Iterable[Case]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    connection = Connection(port)
    for case in cases:
        status, _ = await connection.ask(case.request)
        found[status] = found.get(status, 0) + 1
    connection.close()
    return found


TRIALS: Mapping[str, Trial] = {
    "worker": worker_killed,
    "worker-behind": worker_killed_behind,
    "gateway": gateway_killed,
    "redis": redis_down,
    "postgres": postgres_restarted,
    "clock-forward": clock_forward,
    "clock-back": clock_back,
    "disk": disk_filled,
    "black-hole": black_hole,
    "reloads": reloads,
    "upgrade": upgraded,
    "revoked": revoked,
    "logged-out": logged_out,
}

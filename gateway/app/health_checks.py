"""Active checks: each endpoint of an upstream that wants them is asked now and then. By one worker for itself."""

import asyncio
from collections.abc import Mapping
from typing import Final, TypeAlias

from gateway.app.assembly import Assembly
from gateway.clock import Clock
from gateway.control.probe import Probe, Target
from gateway.edge.endpoint import Endpoint
from gateway.errors import DependencyFailed
from gateway.ops.logs import Log
from gateway.settings.upstream import HealthCheck
from gateway.settings.values import Address

AT_ONCE: Final = 64  # checks under way: of a thousand endpoints, the rest wait for their turn
FIRST_SECONDS: Final = 1.0  # within which the first check of an endpoint begins: of many, not all at one instant

_Key: TypeAlias = tuple[str, str, HealthCheck]


class HealthChecks:
    """One task for each endpoint. A reload that changes nothing about it leaves it alone."""

    def __init__(self, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._probe: Probe | None = None
        self._wanted: dict[_Key, tuple[Assembly, Endpoint]] = {}
        self._tasks: dict[_Key, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def adopt(self, assemblies: Mapping[str, Assembly]) -> None:
        """These are checked from now on, and no others."""
        self._wanted = {
            (name, endpoint.name, said): (assembly, endpoint)
            for name, assembly in assemblies.items()
            if (said := assembly.said.health) is not None
            for endpoint in assembly.upstream.endpoints
        }
        for key in self._tasks.keys() - self._wanted.keys():
            self._tasks.pop(key).cancel()
        for key in self._wanted.keys() - self._tasks.keys():
            probe = self._probe = self._probe or Probe()  # not before it is needed
            self._tasks[key] = asyncio.create_task(self._run(key, probe))

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._probe is not None:
            await self._probe.aclose()

    async def _run(self, key: _Key, probe: Probe) -> None:
        said = key[2]
        between = self._clock.between
        await asyncio.sleep(between(0.0, min(FIRST_SECONDS, said.interval)))
        failing = ""
        while True:
            try:
                await self._check(key, probe)
                failing = ""
            except Exception as error:  # whatever it was: else the endpoint would stay as it is for ever
                if repr(error) != failing:
                    self._log.error("health checks fail", upstream=key[0], endpoint=key[1], exc_info=error)
                failing = repr(error)
            await asyncio.sleep(said.interval * between(0.9, 1.1))

    async def _check(self, key: _Key, probe: Probe) -> None:
        said = key[2]
        assembly, endpoint = self._wanted[key]
        async with self._room:
            why = await _fault(probe, _target(assembly, endpoint, said), said)
        self._judge(assembly, endpoint, said, why)

    def _judge(self, assembly: Assembly, endpoint: Endpoint, said: HealthCheck, why: str) -> None:
        """why: "" where it passed."""
        assembly.record.ledger.checks["failed" if why else "passed"] += 1
        needed = said.unhealthy if why else said.healthy
        if not endpoint.health.checked(not why, needed, self._clock.monotonic()):
            return
        if why:
            assembly.watch.endpoint_unhealthy(endpoint.name, why)
        else:
            assembly.watch.endpoint_healthy(endpoint.name)


async def _fault(probe: Probe, target: Target, said: HealthCheck) -> str:
    try:
        status = await probe(target, said.timeout)
    except DependencyFailed as fault:
        return fault.detail
    low, high = said.status
    return "" if low <= status <= high else f"The check was answered with {status}."


def _target(assembly: Assembly, endpoint: Endpoint, said: HealthCheck) -> Target:
    url = assembly.server(endpoint).url
    at = Address(endpoint.address, url.port)
    host = said.host or endpoint.aim.host.decode("ascii")
    return Target(f"{url.scheme}://{at}{said.path}", host, url.host, assembly.tls(endpoint))

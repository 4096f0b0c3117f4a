"""What a load test or a trial works with: every part of a running fleet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.fleet.callers import Callers
from bench.fleet.gateways import Gateway
from bench.fleet.servers import Served
from bench.fleet.traffic import Case


@dataclass
class Fleet:
    """clock: sets by how many seconds the first gateway's clock is off. hole: an upstream that can be stopped."""

    gateways: list[Gateway]
    postgres: Served
    redis: Served
    balancer: Served
    echo: Served
    hole: Served
    callers: Callers
    revoke: Callable[[str], Awaitable[bool]]
    clock: Callable[[int], None]

    @property
    def ports(self) -> list[int]:
        return [gateway.port for gateway in self.gateways]

    def fresh(self) -> Case:
        return next(self.callers.new)

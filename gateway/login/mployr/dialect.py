"""Mployr's API as a dialect: its endpoints together, how they word a fault, how they count calls."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.identity.services import Services
from gateway.identity.throttle import Throttle
from gateway.login.dialect import Dialect, Endpoint, Metered, Reply
from gateway.login.mployr.answers import failed
from gateway.login.mployr.limits import metered
from gateway.login.mployr.second_factor import SecondFactorEndpoints
from gateway.login.mployr.sessions import SessionEndpoints


class Said(Protocol):
    """What the operator said. mount: as `/v1`."""

    @property
    def mount(self) -> str: ...


class Mployr:
    name = "mployr"

    def __init__(
        self, sessions: SessionEndpoints, second: SecondFactorEndpoints, throttle: Throttle, mount: str
    ) -> None:
        self._endpoints = (*sessions.endpoints(), *second.endpoints())
        self._throttle = throttle
        self._mount = mount

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        return failed(fault, endpoint.path.removeprefix(self._mount))

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return await metered(self._throttle.meter, endpoint, origin, caller)


def build(services: Services, said: Said) -> Dialect:
    """Its steps mint a JWT: `identity.business_tokens`."""
    mount = said.mount
    return Mployr(
        SessionEndpoints(services.steps, services.sessions, mount),
        SecondFactorEndpoints(services.factors, services.logins, services.sessions, mount),
        services.throttle,
        mount,
    )

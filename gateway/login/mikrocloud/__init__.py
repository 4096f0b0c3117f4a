"""MikroCloud's login API (seed: `MikroCloud`'s own documentation), a codec over the identity core."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.identity.services import Services
from gateway.login.dialect import UNMETERED, Dialect, Endpoint, Metered, Reply


class Said(Protocol):
    """What the operator said."""

    @property
    def mount(self) -> str: ...


class MikroCloud:
    name = "mikrocloud"

    def __init__(self, services: Services, said: Said) -> None:
        self._services = services
        self._said = said

    def endpoints(self) -> Sequence[Endpoint]:
        return ()

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        raise fault

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED


def build(services: Services, said: Said) -> Dialect:
    return MikroCloud(services, said)

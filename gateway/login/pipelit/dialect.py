"""Pipelit's API as a dialect: its endpoints together, and how they word a fault."""

from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.identity.services import Services
from gateway.login.dialect import UNMETERED, Endpoint, Metered, Reply
from gateway.login.pipelit.answers import failed
from gateway.login.pipelit.keys import KeyEndpoints
from gateway.login.pipelit.logins import LoginEndpoints
from gateway.login.pipelit.said import NAME, Said
from gateway.login.pipelit.second_factor import SecondFactor


class Pipelit:
    name = NAME

    def __init__(self, services: Services, said: Said) -> None:
        parts = LoginEndpoints(services, said), SecondFactor(services, said), KeyEndpoints(services, said)
        self._endpoints = tuple(endpoint for part in parts for endpoint in part.endpoints())
        self._mount = f"{said.mount}/"
        self._keys = said.keys_mount

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        keys = endpoint.path == self._keys or endpoint.path.startswith(f"{self._keys}/")
        return failed(fault, "keys" if keys else endpoint.path.removeprefix(self._mount))

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED

"""MikroCloud's API as a dialect: its endpoints, and how they word a fault."""

from collections.abc import Sequence
from typing import Protocol

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import UNMETERED, Endpoint, Metered, Reply
from gateway.login.mikrocloud.answers import failed
from gateway.login.mikrocloud.user import NAME, User


class Said(Protocol):
    """What the operator said."""

    @property
    def mount(self) -> str: ...


class MikroCloud:
    name = NAME

    def __init__(self, user: User) -> None:
        self._endpoints = user.endpoints()

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        return failed(fault, endpoint.path.rpartition("/")[2])

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED

"""Navak's API as a dialect: its endpoints together, and how they word a fault."""

from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import UNMETERED, Endpoint, Metered, Reply
from gateway.login.navak.account import AccountEndpoints
from gateway.login.navak.answers import failed
from gateway.login.navak.logins import LoginEndpoints
from gateway.login.pages.decisions import DecisionPages
from gateway.wire.problems import PROBLEMS, told

NAME = "navak"


class Navak:
    name = NAME

    def __init__(self, logins: LoginEndpoints, account: AccountEndpoints, pages: DecisionPages) -> None:
        self._endpoints = (*logins.endpoints(), *account.endpoints())
        self._pages = pages

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        if not endpoint.page:
            return failed(fault)
        problem = PROBLEMS[fault.code]
        return self._pages.refused(problem.status, problem.title, told(fault), fault.retry_after)

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED

"""Mycelium's API as a dialect: its endpoints together, and how they word a fault."""

from collections.abc import Sequence

from gateway.errors import GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import UNMETERED, Endpoint, Metered, Reply
from gateway.login.mycelium.answers import failed
from gateway.login.mycelium.links import LinkEndpoints
from gateway.login.mycelium.telegram import TelegramEndpoints
from gateway.login.mycelium.tokens import Tokens
from gateway.login.mycelium.users import Users
from gateway.login.pages.render import Pages
from gateway.wire.problems import PROBLEMS, told


class Mycelium:
    name = "mycelium"

    def __init__(
        self, users: Users, tokens: Tokens, links: LinkEndpoints, telegram: TelegramEndpoints, pages: Pages
    ) -> None:
        self._endpoints = (*users.endpoints(), *tokens.endpoints(), *links.endpoints(), *telegram.endpoints())
        self._pages = pages

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        if not endpoint.page:
            return failed(fault, request_id)
        problem = PROBLEMS[fault.code]
        return self._pages.refused(problem.status, problem.title, told(fault), fault.retry_after)

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED

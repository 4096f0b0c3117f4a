"""What every call of a login API goes through: it is metered first, and then told what is wrong with it."""

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp.test_utils import TestClient, TestServer
from harness.kept import Kept

from gateway.control import application, dialects
from gateway.errors import DependencyFailed, GatewayError
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import NO_CONTENT, Call, Endpoint, Metered, Reply, replied

from .callers import Knowing


class Shop:
    """One endpoint, and a meter that counts."""

    name = "shop"

    def __init__(self) -> None:
        self.calls = 0

    def endpoints(self) -> Sequence[Endpoint]:
        return (Endpoint("POST", "/shop", self.buy, "session", "json"),)

    async def buy(self, call: Call) -> Reply:
        return NO_CONTENT

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        return replied({"shop": fault.code}, 503 if isinstance(fault, DependencyFailed) else 400)

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        self.calls += 1
        return Metered({"X-Count": str(self.calls)})


async def store_away() -> None:
    raise DependencyFailed("store_unavailable")


async def store_there() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("token", "prepare", "body", "expected"),
    [
        ("whole", store_there, b"{}", (204, None)),
        ("whole", store_away, b"{}", (503, "store_unavailable")),
        ("down", store_there, b"{}", (503, "store_unavailable")),
        ("bug", store_there, b"{}", (503, "internal_error")),
        ("nobody", store_there, b"{}", (400, "invalid_credential")),
        ("whole", store_there, b"{", (400, "bad_parameter")),
        ("whole", store_there, b" " * (16 * 1024 + 1), (400, "body_too_large")),
    ],
)
async def test_every_answer_has_the_meters_headers_and_the_apis_words(
    token: str, prepare: dialects.Prepare, body: bytes, expected: tuple[int, str | None]
) -> None:
    """Also where the caller could not be looked up, or the store is away."""
    built = application.build(
        authenticator=Knowing(), render_profile=None, public_keys=None, now=lambda: 0.0,  # type: ignore[arg-type]
        log=Kept(), logins=[Shop()], prepare=prepare,
    )  # fmt: skip
    async with TestClient(TestServer(built)) as client:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        answer = await client.post("/shop", data=body, headers=headers)
        said = (await answer.json())["shop"] if answer.status != 204 else None
        assert ((answer.status, said), answer.headers["X-Count"]) == (expected, "1")

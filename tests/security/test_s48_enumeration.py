"""S-48, on the wire: somebody, nobody and somebody who was shown the door get the same answers.

That the work behind them is the same is in `identity/core/test_enumeration.py`.
"""

import json
import re

import pytest
from conformance.adapters import ADAPTERS, NOBODY, Adapter, someone
from dialects.desk import Desk as Every
from e2e.world import ask
from harness.client import Answer
from harness.people import open_people
from harness.site import Site
from identity.core.desk import ADA, BOB, PASSWORD, Desk, seated

WHO = (ADA, BOB, "nobody@example.org")
NEW = "another horse battery"
CALLS = {
    "request": ("users/magic-link/request", {}),
    "verify": ("users/magic-link/verify", {"code": "00000x"}),
    "login": ("users/login", {"password": "wrong horse battery"}),
    "the password of others": ("users/login", {"password": PASSWORD}),
    "start reset": ("users/start-password-reset", {}),
    "reset": ("users/reset-password", {"token": "00000x", "newPassword": NEW}),
    "reset to a bad password": ("users/reset-password", {"token": "00000x", "newPassword": "short"}),
}


async def made(site: Site) -> Desk:
    """Ada has no password yet, Bob had one and is disabled."""
    desk = await seated(site)
    await desk.give_password(BOB)
    store = await open_people(desk.running.people)
    await store.accounts.set_status(desk.running.people.bob.account_id, "disabled")
    await store.aclose()
    return desk


def told(answer: Answer) -> tuple[object, ...]:
    """All that can be told apart, but for the date and the id of the request."""
    body = json.loads(answer.body)
    body.pop("request_id", None)
    return answer.status, body, [name.lower() for name, _ in answer.fields]


@pytest.mark.parametrize("call", CALLS)
async def test_s48_nobody_cannot_be_told_from_somebody(site: Site, call: str) -> None:
    """By status, body, or names of headers."""
    desk = await made(site)
    path, rest = CALLS[call]
    answers = [told(await desk.call("POST", path, {**rest, "email": who})) for who in WHO]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("call", ["verify", "login", "request", "start reset"])
async def test_s48_limits_do_not_tell_who_is_there(site: Site, call: str) -> None:
    """Here they are on: the same answer comes after the same number, with the same wait."""
    upstream = await site.upstream()
    desk, (path, rest) = Desk(site, await site.gateway(upstream), upstream), CALLS[call]
    found = {who: [await desk.call("POST", path, {**rest, "email": who}) for _ in range(7)] for who in (ADA, WHO[2])}
    told_of = {who: [(told(answer), bool(answer.all(b"retry-after"))) for answer in found[who]] for who in found}
    assert told_of[ADA] == told_of[WHO[2]]
    assert found[ADA][-1].status == 429


HASHED = re.compile(r"^gateway_password_seconds_count (\d+)", re.MULTILINE)


@pytest.mark.parametrize("api", [one for one in ADAPTERS if one.name != "navak"], ids=lambda api: api.name)
def test_s48_a_password_is_hashed_whoever_it_is_of(desk: Every, api: Adapter) -> None:
    """One hash for somebody, for nobody and for somebody who was shown the door: as the gateway's own metric counts."""
    disabled = someone(desk)
    desk.host.do(desk.host.store.accounts.set_status(disabled.account, "disabled"))
    host, port = desk.host.running.gateway.admin_address

    def hashed() -> int:
        found = HASHED.search(ask(f"http://{host}:{port}/metrics").body.decode())
        return int(found[1]) if found else 0

    cost = []
    for who in (someone(desk), NOBODY, disabled):
        desk.hand.rest()
        before = hashed()
        api.first(desk, who, "wrong horse battery")
        cost.append(hashed() - before)
    assert cost == [1, 1, 1]

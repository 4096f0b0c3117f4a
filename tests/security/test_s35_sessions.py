"""S-35: nobody keeps a session that was made before, and what ends the others ends them at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from harness.people import open_people
from harness.site import Site
from identity.core.desk import ADA, PASSWORD, Desk, bearer, seated

from gateway.clock import Clock
from gateway.identity.accounts import Accounts

NEW = "another horse battery"


async def alive(desk: Desk, *tokens: str) -> list[bool]:
    """Whether the proxy lets each of them through."""
    return [(await desk.send("GET", "/secure/x", bearer(token))).status == 200 for token in tokens]


async def test_s35_a_login_under_a_session_makes_another_one(site: Site) -> None:
    """Whoever planted the first does not hold the second: fixation."""
    desk = await seated(site)
    await desk.give_password(ADA)
    planted = await desk.login(ADA)
    body = {"email": ADA, "password": PASSWORD}
    fresh = (await desk.done("POST", "users/login", body, planted))["token"]
    await desk.done("POST", "users/logout", token=planted)
    assert await alive(desk, planted, fresh) == [False, True]


async def test_s35_the_second_factor_of_one_login_lifts_no_other(site: Site) -> None:
    """Neither one that an attacker began with a stolen password."""
    desk = await seated(site)
    await desk.give_password(ADA)
    app, _ = await desk.enrol(await desk.login(ADA))
    theirs, mine = await desk.login(ADA), await desk.login(ADA)
    lifted = (await desk.done("POST", "users/totp/check-token", {"token": app.code()}, mine))["token"]
    assert await alive(desk, theirs, lifted) == [False, True]


async def test_s35_the_second_factor_hands_out_another_token(site: Site) -> None:
    """With the level that was reached."""
    desk = await seated(site)
    await desk.give_password(ADA)
    app, _ = await desk.enrol(await desk.login(ADA))
    waiting = await desk.login(ADA)
    lifted = await desk.done("POST", "users/totp/check-token", {"token": app.code()}, waiting)
    assert (lifted["token"] != waiting, lifted["totpRequired"]) == (True, False)


async def _password(desk: Desk, token: str) -> None:
    await desk.done("PUT", "users/password", {"currentPassword": PASSWORD, "newPassword": NEW}, token)


async def _enable(desk: Desk, token: str) -> None:
    await desk.enrol(token)


async def _end(desk: Desk, token: str) -> None:
    await desk.done("DELETE", "sessions", token=token)


@pytest.mark.parametrize("change", [_password, _enable, _end])
async def test_s35_a_change_ends_all_sessions_but_its_own_at_once(
    site: Site, change: Callable[[Desk, str], Awaitable[None]]
) -> None:
    """Though the proxy had just let them through."""
    desk = await seated(site)
    await desk.give_password(ADA)
    mine, other = await desk.login(ADA), await desk.login(ADA)
    before = await alive(desk, mine, other)
    await change(desk, mine)
    assert (before, await alive(desk, mine, other)) == ([True, True], [True, False])


async def test_s35_the_end_of_a_factor_ends_the_other_sessions(site: Site) -> None:
    """Which had proved it."""
    desk = await seated(site)
    await desk.give_password(ADA)
    mine = await desk.login(ADA)
    app, recovery = await desk.enrol(mine)
    body = {"token": app.code()}
    other = (await desk.done("POST", "users/totp/check-token", body, await desk.login(ADA)))["token"]
    before = await alive(desk, mine, other)
    await desk.done("POST", "users/totp/disable", {"token": recovery[0]}, mine)
    assert (before, await alive(desk, mine, other)) == ([True, True], [True, False])


async def test_s35_a_reset_ends_every_session_and_connection_string(site: Site) -> None:
    """Whoever had got in before is out."""
    desk = await seated(site)
    await desk.give_password(ADA)
    token = await desk.login(ADA)
    field = b"x-mycelium-connection-string: " + (await desk.connection_string(token)).encode()
    before = (await desk.send("GET", "/secure/x", field)).status
    await desk.reset(ADA)
    after = (await desk.send("GET", "/secure/x", field)).status
    assert (before, after, await alive(desk, token)) == (200, 401, [False])


async def test_s35_a_waiting_login_can_be_left(site: Site) -> None:
    """Its code is of no use then."""
    desk = await seated(site)
    await desk.give_password(ADA)
    app, _ = await desk.enrol(await desk.login(ADA))
    waiting = await desk.login(ADA)
    await desk.done("POST", "users/logout", token=waiting)
    assert (await desk.call("POST", "users/totp/check-token", {"token": app.code()}, waiting)).status == 401


async def test_s35_the_first_token_of_a_login_ends_with_its_five_minutes(site: Site) -> None:
    """The session keeps its id, as its API has it (decision 11); what it had before the code lasts no longer than that
    would have, whatever the new token does."""
    desk = await seated(site)
    await desk.give_password(ADA)
    app, _ = await desk.enrol(await desk.login(ADA))
    waiting = await desk.login(ADA)
    lifted = (await desk.done("POST", "users/totp/check-token", {"token": app.code()}, waiting))["token"]
    desk.running.hand.ahead += 301
    assert await alive(desk, waiting, lifted) == [False, True]


async def test_s35_a_session_has_the_roles_of_now(site: Site) -> None:
    """It holds none of its own: one that is given or taken away shows in the sessions that are there already."""
    desk = await seated(site)
    people = desk.running.people
    store = await open_people(people)
    accounts = Accounts(store.accounts, store.tenants, store.roles, Clock())
    held = (people.bob.account_id, people.tenant_id, "manager", "write")
    try:
        before = (await desk.send("GET", "/roles/x", people.bob.field)).code
        await accounts.assign_role(*held)
        await settled_at(desk, people.bob.field, 200)
        await accounts.remove_role(*held)
        await settled_at(desk, people.bob.field, 403)
    finally:
        await store.aclose()
    assert before == "role_missing"


async def settled_at(desk: Desk, field: bytes, status: int) -> None:
    """Within a third of the time that a caller is remembered for."""
    async with asyncio.timeout(10):
        while (await desk.send("GET", "/roles/x", field)).status != status:  # noqa: ASYNC110 - nobody sets an event for it
            await asyncio.sleep(0.02)

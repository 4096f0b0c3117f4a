"""S-48: who asks in vain learns nothing. The work is the same too: statement by statement, and hash by hash."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from .world import ADA, BOB, HERE, PASSWORD, Core, outcome

NOBODY = "nobody@example.org"
NEW = "another horse battery"

CALLS: Mapping[str, Callable[[Core, str], Awaitable[object]]] = {
    "request": lambda core, who: core.logins.request_link(who, HERE),
    "verify": lambda core, who: core.logins.claim_code(who, "000000", HERE),
    "login": lambda core, who: core.logins.password(who, "wrong horse battery", HERE),
    "start reset": lambda core, who: core.logins.request_reset(who, HERE),
    "reset": lambda core, who: core.logins.reset_password(who, "000000", NEW, HERE),
}


@contextmanager
def statements() -> Iterator[list[str]]:
    """What is sent to the database meanwhile, with the values left out."""
    found: list[str] = []

    def heard(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        found.append(" ".join(statement.split()[:4]))

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", heard)


async def asked(core: Core, call: str, who: str) -> tuple[str, list[str]]:
    with statements() as found:
        answer = await outcome(CALLS[call](core, who))
    return answer, found


@pytest.mark.parametrize("call", CALLS)
async def test_nobody_costs_as_many_statements_as_somebody(core: Core, call: str) -> None:
    """The same ones in the same order, with the same outcome."""
    assert await asked(core, call, NOBODY) == await asked(core, call, ADA)


@pytest.mark.parametrize("call", CALLS)
async def test_a_disabled_account_is_nobody(core: Core, call: str) -> None:
    """Whoever was shown the door is not told so by mail or password."""
    await core.store.accounts.set_status((await core.account(BOB)).id, "disabled")
    assert await asked(core, call, BOB) == await asked(core, call, NOBODY)


@pytest.mark.parametrize("call", ["verify", "reset"])
async def test_a_live_challenge_cannot_be_told_from_none(core: Core, call: str) -> None:
    """A wrong code is a wrong code."""
    await core.link()
    await core.reset_code()
    assert await asked(core, call, ADA) == await asked(core, call, NOBODY)


@pytest.mark.parametrize("call", ["verify", "reset"])
async def test_a_challenge_without_tries_cannot_be_told_from_none(core: Core, call: str) -> None:
    """Nor does the sixth guess differ from the fifth."""
    await core.link()
    await core.reset_code()
    for _ in range(5):
        await asked(core, call, ADA)
    assert await asked(core, call, ADA) == await asked(core, call, NOBODY)


async def test_the_right_password_of_a_disabled_account_is_a_wrong_one(core: Core) -> None:
    """It would tell whoever stole it that it is right."""
    await core.store.accounts.set_status((await core.account()).id, "disabled")
    with statements() as right:
        found = await outcome(core.logins.password(ADA, PASSWORD, HERE))
    assert (found, right) == await asked(core, "login", NOBODY)


@pytest.mark.parametrize("call", ["request", "start reset"])
async def test_s48_a_mail_to_nobody_takes_as_much_room_as_one_to_somebody(core: Core, call: str) -> None:
    """In the outbox: but for being sent."""
    for who in (ADA, NOBODY):
        await CALLS[call](core, who)
    sizes = await core.rows("SELECT template, length(payload_enc), tries, failed_at FROM outbox")
    assert len(sizes) == 2
    assert len(set(sizes)) == 1


async def test_s42_a_mail_goes_to_the_stored_address(core: Core) -> None:
    """Not to another spelling of it."""
    await core.logins.request_link("ADA@EXAMPLE.ORG", HERE)
    assert [letter.to for letter in await core.letters()] == [ADA]

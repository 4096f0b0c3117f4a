"""Mails that somebody waits for go before those that only tell; and a store that is away has guessed nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from identity.core.world import ADA, HERE, Core, outcome
from login.linking import opened as opened_linking

from gateway.errors import DependencyFailed
from gateway.identity.letters import Letter, LetterKind
from gateway.identity.model import TelegramBot
from gateway.identity.telegram_logins import TelegramLogins
from gateway.identity.throttle import Throttle

TENANT = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11"
URGENT: Sequence[LetterKind] = ("login_approval", "magic_link", "password_reset")
OTHERS: Sequence[LetterKind] = tuple(kind for kind in get_args(LetterKind) if kind not in URGENT)


async def post(core: Core, *kinds: LetterKind) -> None:
    """One letter after the other, a second apart, as a change of password carries one."""
    account = await core.account()
    for kind in kinds:
        await core.store.changes().accounts.set_password(account.id, "phc", None, Letter(kind, ADA, {}))
        core.hand.at += 1


async def taken(core: Core, most: int = 1) -> list[str]:
    return [found.template for found in await core.store.changes().outbox.take(most, 60.0)]


@pytest.mark.parametrize("kind", URGENT)
async def test_a_mail_that_somebody_waits_for_is_taken_first(core: Core, kind: LetterKind) -> None:
    """Before all that were posted earlier: somebody may have made two hundred connection strings."""
    await post(core, *OTHERS, kind)
    assert await taken(core) == [kind]


async def test_of_those_the_oldest_is_taken_first(core: Core) -> None:
    """Links and codes are alike."""
    await post(core, "password_reset", "mfa_enabled", "magic_link", "password_reset")
    assert await taken(core, 3) == ["password_reset", "magic_link", "password_reset"]


async def test_of_the_others_the_oldest_is_taken_first(core: Core) -> None:
    """When nobody waits."""
    await post(core, *OTHERS)
    assert await taken(core, len(OTHERS)) == list(OTHERS)


async def test_the_others_are_taken_when_nobody_waits_any_more(core: Core) -> None:
    """What is under a lease stands in nobody's way."""
    await post(core, "mfa_enabled", "magic_link")
    assert [await taken(core), await taken(core), await taken(core)] == [["magic_link"], ["mfa_enabled"], []]


class Away:
    """A store of bots that cannot be reached."""

    async def put_bot(self, tenant_id: str, bot: TelegramBot) -> None:
        raise DependencyFailed("store_unavailable")

    async def bot(self, tenant_id: str) -> TelegramBot | None:
        raise DependencyFailed("store_unavailable")


async def test_a_login_by_telegram_that_we_could_not_look_at_is_no_guess(tmp_path: Path) -> None:
    """As with a password: all thirty of the network are left."""
    async with opened_linking(tmp_path) as linking:
        throttle, clock = Throttle(linking.world.clock), linking.world.clock
        logins = TelegramLogins(Away(), linking.links, linking.world.grants, throttle, clock)
        for _ in range(30):
            with pytest.raises(DependencyFailed):
                await logins.login(TENANT, "", HERE)
        assert await outcome(throttle.guess(HERE, None)) == "ok"

"""A login, a link or a code that a change of the account has overtaken ends in no grant.

Which change comes between which of its steps is `identity.core.test_between`; here is what the store holds for each.
"""

from collections.abc import Awaitable, Callable, Mapping

import pytest
from identity.core.conftest import settled_url
from identity.core.world import ADA, BOB, HERE, PASSWORD, STEP, App, Core, outcome

from gateway.errors import RequestRejected
from gateway.identity.challenge import Challenge
from gateway.identity.model import Account, Grant, Issue, Principal

NEW = "another horse battery"
__all__ = ["settled_url"]  # races: over every store

LIVE = "SELECT id FROM grant_ WHERE revoked_at IS NULL"
UNRESTRICTED = "SELECT id FROM grant_ WHERE revoked_at IS NULL AND NOT restricted AND aal = 2"


async def begun(core: Core, account: Account) -> Challenge:
    """A login by password, as it stands in the store."""
    now = core.hand.at
    challenge = Challenge(core.clock.uuid4(), "login", now, now + 900, account_id=account.id)
    await core.store.changes().challenges.begin(challenge, None, None)
    return challenge


def granted(core: Core, account: Account, *, restricted: bool = False, lifetime: float = 60.0) -> Issue:
    now = core.hand.at
    grant = Grant(core.clock.uuid4(), account.id, "session", "jwt", now, now + lifetime, restricted=restricted)
    return Issue(grant)


async def claim(core: Core, challenge: Challenge, account: Account, epoch: int) -> bool:
    """With a second factor to come, as the larger of the two."""
    issue, now = granted(core, account, restricted=True), core.hand.at
    step_up = Challenge(core.clock.uuid4(), "step_up", now, now + 60, account_id=account.id, grant_id=issue.grant.id)
    return await core.store.changes().challenges.claim(challenge.id, issue, epoch, step_up)


async def _set(core: Core, account: Account) -> None:
    await core.store.changes().accounts.set_password(account.id, "phc", None, None)


async def _reset(core: Core, account: Account) -> None:
    await core.logins.reset_password(ADA, await core.reset_code(), NEW, HERE)


async def _enable(core: Core, account: Account) -> None:
    app = App(await core.factors.enable(account), core.hand)
    await core.factors.confirm(account, app.code(), "", HERE)


async def _remove(core: Core, account: Account) -> None:
    await core.store.changes().factors.remove(account.id, None, None)


async def _nothing(core: Core, account: Account) -> None:
    return


async def _rehash(core: Core, account: Account) -> None:
    stored = await core.store.changes().accounts.password(account.id)
    assert stored is not None
    await core.store.changes().accounts.rehash(account.id, stored.phc, stored.phc)


async def _mistype(core: Core, account: Account) -> None:
    await outcome(core.logins.password(ADA, "wrong horse battery", HERE))


async def _log_in(core: Core, account: Account) -> None:
    await core.logins.password(ADA, PASSWORD, HERE)


async def _begin_to_enrol(core: Core, account: Account) -> None:
    await core.factors.enable(account)


async def _of_another(core: Core, account: Account) -> None:
    await _set(core, await core.account(BOB))


Change = Callable[[Core, Account], Awaitable[None]]


@pytest.mark.parametrize("change", [_set, _reset, _enable, _remove])
async def test_a_claim_by_an_account_that_has_changed_since_is_none(core: Core, change: Change) -> None:
    """It was looked at before, and begins after: the challenge itself was not ended by the change."""
    account = await core.account()
    await change(core, account)
    assert not await claim(core, await begun(core, account), account, account.epoch)


@pytest.mark.parametrize("change", [_nothing, _rehash, _mistype, _log_in, _begin_to_enrol, _of_another])
async def test_a_claim_survives_what_changes_neither_password_nor_factors(core: Core, change: Change) -> None:
    """Or anybody could keep others from logging in by mistyping their password."""
    account = await core.account()
    await change(core, account)
    assert await claim(core, await begun(core, account), account, account.epoch)


async def test_a_claim_that_was_overtaken_inserts_nothing(core: Core) -> None:
    """Neither the grant nor the challenge of its second factor."""
    account = await core.account()
    await _set(core, account)
    challenge = await begun(core, account)
    await claim(core, challenge, account, account.epoch)
    left = await core.rows("SELECT purpose FROM challenge")
    assert (await core.count("grant_"), left) == (0, [("login",)])


async def test_a_claim_that_was_overtaken_cannot_be_made_again(core: Core) -> None:
    """Not by the account as it is now, either: what the login rests on has changed."""
    account = await core.account()
    await _set(core, account)
    challenge = await begun(core, account)
    await claim(core, challenge, account, account.epoch)
    assert not await claim(core, challenge, account, (await core.account()).epoch)


async def test_a_claim_by_the_account_as_it_is_now_is_good(core: Core) -> None:
    """The other side."""
    await _set(core, await core.account())
    account = await core.account()
    assert await claim(core, await begun(core, account), account, account.epoch)


# what was mailed before


async def _changed(core: Core) -> None:
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    await core.logins.change_password(caller, PASSWORD, NEW, HERE)


async def _reset_by_mail(core: Core) -> None:
    await core.logins.reset_password(ADA, await core.reset_code(), NEW, HERE)


PasswordChange = Callable[[Core], Awaitable[None]]


@pytest.mark.parametrize("change", [_changed, _reset_by_mail])
async def test_a_link_is_void_after_a_change_of_password(core: Core, change: PasswordChange) -> None:
    """Whoever reads old mails must not undo it."""
    token = await core.link()
    await change(core)
    assert await outcome(core.logins.claim_link(token, HERE)) == "code_wrong"


@pytest.mark.parametrize("change", [_changed, _reset_by_mail])
async def test_a_code_that_was_shown_is_void_after_a_change_of_password(core: Core, change: PasswordChange) -> None:
    """Though its link was opened before."""
    code = await core.code()
    await change(core)
    assert await outcome(core.logins.claim_code(ADA, code, HERE)) == "code_wrong"


async def test_a_reset_code_is_void_after_a_change_of_password(core: Core) -> None:
    """It would take the new password away again."""
    code = await core.reset_code()
    await _changed(core)
    assert await outcome(core.logins.reset_password(ADA, code, PASSWORD, HERE)) == "code_wrong"


async def test_a_page_of_a_link_that_is_void_shows_nothing(core: Core) -> None:
    """As of one that was used."""
    token = await core.link()
    await _changed(core)
    assert (await core.logins.view_link(token), await core.logins.show_code(token)) == (None, None)


async def test_another_account_s_link_survives(core: Core) -> None:
    """Ada's password is none of Bob's business."""
    token = await core.link(BOB)
    await _changed(core)
    assert await outcome(core.logins.claim_link(token, HERE)) == "ok"


async def test_a_link_asked_for_after_the_change_is_good(core: Core) -> None:
    """Only what came before is void."""
    await _changed(core)
    await core.letters()
    assert await outcome(core.logins.claim_link(await core.link(), HERE)) == "ok"


# the second factor of a grant that has ended


async def waiting(core: Core) -> tuple[App, Principal]:
    """A login that waits for its second factor, whose token was just believed."""
    app, _, _ = await core.enrolled()
    return app, await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)


async def _disabled(core: Core, caller: Principal) -> None:
    await core.store.accounts.set_status((await core.account()).id, "disabled")


async def _revoked(core: Core, caller: Principal) -> None:
    await core.store.grants.revoke(caller.grant_id or "", "test")


async def _expired(core: Core, caller: Principal) -> None:
    core.hand.at += 10 * STEP


async def _replaced(core: Core, caller: Principal) -> None:
    await core.store.changes().accounts.set_password((await core.account()).id, "phc", None, None)


ENDS: Mapping[str, Callable[[Core, Principal], Awaitable[None]]] = {
    "disabled": _disabled,
    "revoked": _revoked,
    "expired": _expired,
    "password changed": _replaced,
}


@pytest.mark.parametrize("end", ENDS)
async def test_a_grant_that_has_ended_is_not_lifted(core: Core, end: str) -> None:
    """The code is right, and the caller was let in before."""
    app, caller = await waiting(core)
    before = await core.rows(UNRESTRICTED)
    await ENDS[end](core, caller)
    await outcome(core.logins.second_factor(caller, app.code(), HERE))
    assert set(await core.rows(UNRESTRICTED)) <= set(before)


async def test_a_grant_that_has_not_ended_is_lifted(core: Core) -> None:
    """The other side."""
    app, caller = await waiting(core)
    await core.logins.second_factor(caller, app.code(), HERE)
    assert (caller.grant_id,) in await core.rows(UNRESTRICTED)


@pytest.mark.parametrize(
    "end",
    [
        "disabled",
        "revoked",
    ],
)
async def test_who_waits_in_vain_is_told_to_log_in_again(core: Core, end: str) -> None:
    """As every login that ends is: nothing of the account's state."""
    app, caller = await waiting(core)
    await ENDS[end](core, caller)
    assert await outcome(core.logins.second_factor(caller, app.code(), HERE)) == "code_wrong"


async def step_up(core: Core, account: Account, lifetime: float) -> tuple[str, str]:
    """The ids of a challenge and of the restricted grant that it lifts."""
    issue, now = granted(core, account, restricted=True, lifetime=lifetime), core.hand.at
    challenge = Challenge(core.clock.uuid4(), "step_up", now, now + 900, account_id=account.id, grant_id=issue.grant.id)
    await core.store.grants.add_grant(issue)
    await core.store.changes().challenges.begin(challenge, None, None)
    return challenge.id, issue.grant.id


@pytest.mark.parametrize(("after", "lifted"), [(59.0, True), (60.0, False)])
async def test_a_lift_looks_at_the_end_of_the_grant(core: Core, after: float, lifted: bool) -> None:
    """Under the lock, whatever the challenge says."""
    challenge_id, grant_id = await step_up(core, await core.account(), 60.0)
    core.hand.at += after
    until = core.hand.at + 86400
    assert await core.store.changes().challenges.lift(challenge_id, grant_id, until, "otp") is lifted


async def test_a_lift_of_a_disabled_account_changes_nothing(core: Core) -> None:
    """Its grant stays as it was, and ends as it would have."""
    account = await core.account()
    challenge_id, grant_id = await step_up(core, account, 60.0)
    await core.store.accounts.set_status(account.id, "disabled")
    with pytest.raises(RequestRejected, match="conflict"):
        await core.store.changes().challenges.lift(challenge_id, grant_id, core.hand.at + 86400, "otp")
    found = await core.rows("SELECT restricted, aal, expires_at FROM grant_")
    assert found == [(1, 1, core.hand.at + 60.0)]


async def test_a_lift_happens_once(core: Core) -> None:
    """It cannot put off the end of a session again."""
    challenge_id, grant_id = await step_up(core, await core.account(), 60.0)
    lift = core.store.changes().challenges.lift
    found = [await lift(challenge_id, grant_id, core.hand.at + 86400, "otp") for _ in range(2)]
    assert found == [True, False]

"""Both sides of every second at which something stops to count. The clock is the test's."""

import pytest

from .world import ADA, HERE, PASSWORD, STEP, App, Core, outcome

NEW = "another horse battery"


async def waiting(core: Core) -> tuple[App, str]:
    """An app, and the token of a login that waits for its code."""
    app, _, _ = await core.enrolled()
    return app, (await core.logins.password(ADA, PASSWORD, HERE)).token


@pytest.mark.parametrize(("after", "found"), [(0, "ok"), (899, "ok"), (899.999, "ok"), (900, "code_wrong")])
async def test_a_link_lives_for_fifteen_minutes(core: Core, after: float, found: str) -> None:
    """As its mail says."""
    token = await core.link()
    core.hand.at += after
    assert await outcome(core.logins.claim_link(token, HERE)) == found


@pytest.mark.parametrize(("after", "found"), [(899, "ok"), (900, "code_wrong")])
async def test_a_code_lives_as_long_as_its_link(core: Core, after: float, found: str) -> None:
    """Whenever it was shown."""
    code = await core.code()
    core.hand.at += after
    assert await outcome(core.logins.claim_code(ADA, code, HERE)) == found


@pytest.mark.parametrize(("after", "shown"), [(899, True), (900, False)])
async def test_a_page_shows_its_code_as_long_as_the_link_lives(core: Core, after: float, shown: bool) -> None:
    """Both of its faces."""
    token = await core.link()
    core.hand.at += after
    found = await core.logins.view_link(token), await core.logins.show_code(token)
    assert [one is not None for one in found] == [shown, shown]


@pytest.mark.parametrize(("after", "found"), [(899, "ok"), (900, "code_wrong")])
async def test_a_reset_code_lives_for_fifteen_minutes(core: Core, after: float, found: str) -> None:
    """As a link does."""
    code = await core.reset_code()
    core.hand.at += after
    assert await outcome(core.logins.reset_password(ADA, code, NEW, HERE)) == found


@pytest.mark.parametrize(("after", "found"), [(299, "ok"), (300, "expired_credential")])
async def test_a_login_waits_five_minutes_for_its_second_factor(core: Core, after: float, found: str) -> None:
    """Then its token is as good as none."""
    app, token = await waiting(core)
    core.hand.at += after

    async def step_up() -> None:
        await core.logins.second_factor(await core.caller(token), app.code(), HERE)

    assert await outcome(step_up()) == found


async def test_a_challenge_outlives_no_waiting_login(core: Core) -> None:
    """Though the caller was let in a moment before."""
    app, token = await waiting(core)
    caller = await core.caller(token)
    core.hand.at += 300
    assert await outcome(core.logins.second_factor(caller, app.code(), HERE)) == "mfa_not_enabled"


@pytest.mark.parametrize(("after", "found"), [(86399, "ok"), (86400, "expired_credential")])
async def test_a_lifted_session_lives_a_day_from_then(core: Core, after: float, found: str) -> None:
    """Not from its first half."""
    app, token = await waiting(core)
    core.hand.at += 200
    session = await core.logins.second_factor(await core.caller(token), app.code(), HERE)
    core.hand.at += after
    assert await outcome(core.caller(session.token)) == found


@pytest.mark.parametrize(("after", "found"), [(899, "ok"), (900, "mfa_not_enabled")])
async def test_an_enrolment_waits_fifteen_minutes(core: Core, after: float, found: str) -> None:
    """Then it begins anew."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    app = App(await core.factors.enable(session.account), core.hand)
    core.hand.at += after
    assert await outcome(core.factors.confirm(session.account, app.code(), session.grant.id, HERE)) == found


@pytest.mark.parametrize("within", [0, 1, 29])
@pytest.mark.parametrize(
    ("ahead", "found"),
    [(-2, "mfa_code_wrong"), (-1, "ok"), (0, "ok"), (1, "ok"), (2, "mfa_code_wrong")],
)
async def test_a_code_is_good_one_step_either_way(core: Core, within: int, ahead: int, found: str) -> None:
    """RFC 6238 section 5.2, at the first second of a step, and at its last."""
    app, _, session = await core.enrolled()
    core.hand.at = (core.hand.at // STEP + 4) * STEP + within  # far from the code that confirmed
    assert await outcome(core.factors.prove(session.account, app.code(ahead), HERE)) == found


@pytest.mark.parametrize("ahead", [-1, 0, 1])
async def test_a_code_is_not_good_again_in_the_next_step(core: Core, ahead: int) -> None:
    """S-44: though the drift still covers it."""
    app, _, session = await core.enrolled()
    core.hand.at = (core.hand.at // STEP + 4) * STEP
    code = app.code(ahead)
    first = await outcome(core.factors.prove(session.account, code, HERE))
    core.hand.at += STEP
    assert (first, await outcome(core.factors.prove(session.account, code, HERE))) == ("ok", "mfa_code_wrong")


async def test_an_older_code_is_not_good_after_a_newer_one(core: Core) -> None:
    """S-44: that nobody has used it changes nothing."""
    app, _, session = await core.enrolled()
    core.hand.at += 4 * STEP
    found = [await outcome(core.factors.prove(session.account, app.code(ahead), HERE)) for ahead in (0, -1, 1)]
    assert found == ["ok", "mfa_code_wrong", "ok"]


async def test_the_code_that_enabled_the_factor_logs_nobody_in(core: Core) -> None:
    """S-44: between endpoints, too."""
    session = await core.logins.password(ADA, PASSWORD, HERE)
    app = App(await core.factors.enable(session.account), core.hand)
    await core.factors.confirm(session.account, app.code(), session.grant.id, HERE)
    caller = await core.caller((await core.logins.password(ADA, PASSWORD, HERE)).token)
    assert await outcome(core.logins.second_factor(caller, app.code(), HERE)) == "mfa_code_wrong"


async def test_a_fresh_code_is_good_in_the_step_after(core: Core) -> None:
    """Nobody waits longer than for the next one."""
    app, token = await waiting(core)
    await core.factors.prove(await core.account(), app.code(), HERE)
    core.hand.at += STEP
    assert await outcome(core.logins.second_factor(await core.caller(token), app.code(), HERE)) == "ok"

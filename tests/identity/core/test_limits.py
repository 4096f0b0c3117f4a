"""Limits where logins meet them: whose guesses count together, and whom a stranger cannot keep out."""

import pytest

from gateway.identity.origin import Origin

from .world import ADA, BOB, HERE, PASSWORD, Core, outcome, wrong_code

NEW = "another horse battery"
STRANGER = Origin("203.0.113.9")
SPELLINGS = (ADA, "ADA@example.org", "Ada@EXAMPLE.org", "ada@ＥＸＡＭＰＬＥ.org", "aDa@example。org", "ada@example.ORG")


def elsewhere(number: int) -> Origin:
    return Origin(f"198.51.100.{number}")


async def test_s43_every_spelling_of_an_address_counts_with_the_others(limited: Core) -> None:
    """The sixth guess waits, however it is written."""
    found = [await outcome(limited.logins.password(who, "wrong horse battery", HERE)) for who in SPELLINGS]
    assert found == ["code_wrong"] * 5 + ["too_many_attempts"]


async def test_s43_spellings_of_nobody_count_together_too(limited: Core) -> None:
    """Or the difference would tell who is there."""
    spellings = [f"eve{who[3:]}" for who in SPELLINGS]
    found = [await outcome(limited.logins.password(who, "wrong horse battery", HERE)) for who in spellings]
    assert found == ["code_wrong"] * 5 + ["too_many_attempts"]


async def test_s43_spellings_share_the_limit_of_mails(limited: Core) -> None:
    """A mailbox is one mailbox."""
    found = [await outcome(limited.logins.request_link(who, HERE)) for who in SPELLINGS[:4]]
    assert found == ["ok"] * 3 + ["too_many_attempts"]


async def test_s45_all_that_takes_a_secret_of_an_account_counts_together(limited: Core) -> None:
    """CVE-2026-58271: no side door has guesses of its own."""
    app, _, session = await limited.enrolled()
    caller, code = await limited.caller(session.token), await limited.code()
    ways = (
        lambda: limited.logins.password(ADA, "wrong horse battery", STRANGER),
        lambda: limited.logins.claim_code(ADA, wrong_code(code), STRANGER),
        lambda: limited.logins.reset_password(ADA, "000000", NEW, STRANGER),
        lambda: limited.logins.change_password(caller, "wrong horse battery", NEW, STRANGER),
        lambda: limited.factors.disable(session.account, app.wrong(), session.grant.id, STRANGER),
        lambda: limited.factors.new_recovery_codes(session.account, app.code(), STRANGER),
    )
    found = [await outcome(way()) for way in ways]
    assert found == ["code_wrong"] * 4 + ["mfa_code_wrong", "too_many_attempts"]


async def test_s45_half_a_login_buys_no_guesses(limited: Core) -> None:
    """Who has the password may not forget the failures at the second factor by logging in again."""
    app, _, _ = await limited.enrolled()
    found = []
    for _ in range(5):
        caller = await limited.caller((await limited.logins.password(ADA, PASSWORD, STRANGER)).token)
        found.append(await outcome(limited.logins.second_factor(caller, app.wrong(), STRANGER)))
    found.append(await outcome(limited.logins.password(ADA, PASSWORD, STRANGER)))
    assert found == ["mfa_code_wrong"] * 5 + ["too_many_attempts"]


async def test_s50_a_stranger_s_guesses_do_not_keep_the_owner_out(limited: Core) -> None:
    """Of the network that the owner has logged in from before."""
    await limited.logins.password(ADA, PASSWORD, HERE)
    for number in range(60):
        await outcome(limited.logins.password(ADA, "wrong horse battery", elsewhere(number)))
    assert await outcome(limited.logins.password(ADA, PASSWORD, HERE)) == "ok"


async def test_s50_a_stranger_who_spends_the_tries_of_a_code_does_not_spend_the_link(limited: Core) -> None:
    """It cannot be guessed, so it needs no tries."""
    token = await limited.link()
    for number in range(10):
        await outcome(limited.logins.claim_code(ADA, "00000x", elsewhere(number)))
    assert await outcome(limited.logins.claim_link(token, HERE)) == "ok"


async def test_s50_after_a_storm_everybody_gets_in_again(limited: Core) -> None:
    """S-50: nothing is locked for good."""
    for number in range(200):
        await outcome(limited.logins.password(ADA, "wrong horse battery", elsewhere(number)))
    limited.hand.at += 4 * 3600
    assert await outcome(limited.logins.password(ADA, PASSWORD, HERE)) == "ok"


async def test_s50_a_limit_that_was_met_spends_no_try_of_a_waiting_login(limited: Core) -> None:
    """Who is told to wait, and waits, has not guessed."""
    app, _, _ = await limited.enrolled()
    caller = await limited.caller((await limited.logins.password(ADA, PASSWORD, STRANGER)).token)
    for _ in range(4):
        await outcome(limited.logins.second_factor(caller, app.wrong(), STRANGER))
    await outcome(limited.logins.password(ADA, "wrong horse battery", STRANGER))
    told = await outcome(limited.logins.second_factor(caller, app.code(), STRANGER))
    limited.hand.at += 60
    found = await outcome(limited.logins.second_factor(caller, app.code(), STRANGER))
    assert (told, found) == ("too_many_attempts", "ok")


async def test_a_stranger_s_resets_are_limited_before_a_password_is_hashed(limited: Core) -> None:
    """A hash is 50 ms of a core: unlimited, they would keep everybody from logging in."""
    before = limited.passwords.hashed
    for number in range(60):
        await outcome(limited.logins.reset_password(f"nobody-{number}@example.org", "000000", NEW, STRANGER))
    assert limited.passwords.hashed - before <= 30


@pytest.mark.parametrize("way", ["link", "reset"])
async def test_s52_three_mails_in_a_quarter_of_an_hour(limited: Core, way: str) -> None:
    """To one address, from everywhere; to nobody's as well."""
    ask = limited.logins.request_link if way == "link" else limited.logins.request_reset
    for who in (BOB, "nobody@example.org"):
        found = [await outcome(ask(who, elsewhere(number))) for number in range(4)]
        assert found == ["ok"] * 3 + ["too_many_attempts"]


async def test_s52_a_newer_link_voids_the_older(core: Core) -> None:
    """Its code as well."""
    old = await core.link()
    shown = await core.logins.show_code(old)
    assert shown is not None
    await core.link()
    found = await outcome(core.logins.claim_link(old, HERE)), await outcome(core.logins.claim_code(ADA, shown[1], HERE))
    assert found == ("code_wrong", "code_wrong")


async def test_s52_a_newer_reset_code_voids_the_older(core: Core) -> None:
    """One is live at a time."""
    old, new = await core.reset_code(), await core.reset_code()
    found = [await outcome(core.logins.reset_password(ADA, code, NEW, HERE)) for code in (old, new)]
    assert found == ["code_wrong", "ok"]


async def test_s52_a_link_does_not_void_a_reset(core: Core) -> None:
    """Nor another's link."""
    code, link = await core.reset_code(), await core.link(BOB)
    await core.link()
    found = [
        await outcome(core.logins.claim_link(link, HERE)),
        await outcome(core.logins.reset_password(ADA, code, NEW, HERE)),
    ]
    assert found == ["ok", "ok"]


@pytest.mark.parametrize(("wrong", "found"), [(4, "ok"), (5, "code_wrong")])
async def test_s52_a_code_bears_five_tries(core: Core, wrong: int, found: str) -> None:
    """The fifth may still be right."""
    code = await core.code()
    for _ in range(wrong):
        await outcome(core.logins.claim_code(ADA, wrong_code(code), HERE))
    assert await outcome(core.logins.claim_code(ADA, code, HERE)) == found


@pytest.mark.parametrize(
    "typed", ["１２３４５６", "١٢٣٤٥٦", "12345", "1234567", "", "abcdef", "12 3456", "\n", "\ud800"]
)
async def test_s52_what_is_not_six_ascii_digits_is_a_wrong_code(core: Core, typed: str) -> None:
    """And a try."""
    await core.link()
    assert await outcome(core.logins.claim_code(ADA, typed, HERE)) == "code_wrong"
    assert await core.rows("SELECT tries_left FROM challenge") == [(4,)]

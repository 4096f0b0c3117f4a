"""Every kind of the audit trail is written by the operation that it is the name of, and holds no secret."""

import json
from typing import get_args

import pytest
from identity.core.world import ADA, BOB, HERE, PASSWORD, outcome
from store.world import stored

from gateway.identity.audit import KINDS, Kind, acting, asked_by

from .office import NEW, SECRET, Office
from .operations import BOT, CAUSES

# What no service here does: test_audit_running.py, tests/cli/test_cli_audit.py, tests/api/test_api_told.py and the
# store's own tests have them
ELSEWHERE = {
    "account_imported", "master_key_changed", "store_migrated", "configuration_reloaded", "cache_purged", "rank_set",
    "tenant_renamed", "tenant_deleted", "owner_added", "owner_removed", "invited", "invitation_revoked",
    "invitation_accepted", "invitation_refused", "admin_refused",
}  # fmt: skip

# What is about nobody in particular, or about somebody who is not known
NOBODYS = {
    "mail_refused", "registration_refused", "identity_refused", "bot_configured", "tenant_created", "key_rotated",
    "mac_key_rotated", "trail_trimmed", "refusals_dropped",
}  # fmt: skip
REFUSED = {kind for kind in KINDS if kind.endswith("_refused")} | {"refusals_dropped"}
PROVED = {"login_begun", "login_waits", "login_succeeded", "factor_proved", "recovery_code_used", "password_reset"}

# What one account can do after the other
TOGETHER: tuple[Kind, ...] = (
    "login_begun", "link_opened", "login_refused", "session_renewed", "approval_granted", "registered", "reset_refused",
    "bot_configured", "connection_string_issued", "grant_deleted", "role_removed", "mac_key_rotated",
    "key_rotated", "account_disabled",
)  # fmt: skip


def test_every_kind_is_said_and_caused() -> None:
    """A kind that nothing writes would be a promise."""
    assert set(get_args(Kind)) == set(KINDS) == set(CAUSES) | ELSEWHERE


@pytest.mark.parametrize("kind", CAUSES)
async def test_an_operation_is_told(office: Office, kind: Kind) -> None:
    """With whom it is about, who asked and from where."""
    with acting(asked_by(HERE, "anonymous", "mycelium")):
        before = {row.uid for row in await office.rows()}
        await CAUSES[kind](office)
        found = [row for row in await office.rows() if row.uid not in before and row.kind == kind]
    assert found, f"no row of {kind}"
    row = found[-1]
    assert (row.account_id is None) == (kind in NOBODYS)
    assert row.outcome == ("refused" if kind in REFUSED else "done")
    assert bool(row.reason) >= (kind in REFUSED)
    if kind != "refusals_dropped":
        assert (row.ip, row.agent, row.dialect) == (HERE.address, HERE.user_agent, "mycelium")
    if kind in PROVED:
        assert row.actor == f"account:{row.account_id}"


async def test_a_chain_of_every_kind_is_whole(office: Office) -> None:
    """All of them in one trail."""
    for kind in TOGETHER:
        office.hand.at += 7200
        await CAUSES[kind](office)
    await office.flush()
    verdict = await office.store.changes().trail.verify()
    assert (verdict.broken, verdict.waiting) == (None, 0)
    assert set(TOGETHER) <= set(await office.kinds())


@pytest.mark.parametrize("kind", CAUSES)
async def test_a_row_holds_no_secret_and_no_address(office: Office, kind: Kind) -> None:
    """Of what the operation was given, and of what it gave back."""
    given = await CAUSES[kind](office)
    words = [PASSWORD, NEW, SECRET, ADA, BOB, "ada@example.net", "eve@", "nobody@", "new@example.org", "wrong wrong"]
    words += [BOT.token, BOT.webhook_secret, "alice-of-elsewhere", "carol"]
    words += _secrets(given)
    for letter in await office.core.letters():
        words += [letter.values["link"].rpartition("/")[2]] if "link" in letter.values else []
        words += [f'"{letter.values["code"]}"'] if "code" in letter.values else []
    dump = json.dumps([[str(getattr(row, name)) for name in row.__slots__] for row in await office.rows()])
    assert [word for word in words if word in dump] == []


def _secrets(given: object) -> list[str]:
    """The fields of results that their own repr hides."""
    found = [given] if isinstance(given, str) and len(given) > 8 else []
    for name in ("secret", "token", "auth_id"):
        value = getattr(given, name, None)
        found += [value] if isinstance(value, str) and value else []
    parts = given if isinstance(given, tuple | list) else ()
    for part in parts:
        found += _secrets(part)
    return [word for word in found if isinstance(word, str)]


async def test_a_decoy_leaves_no_row_of_a_mail(office: Office) -> None:
    """None was sent; that it was asked for is counted as refused."""
    await office.core.logins.request_link("nobody@example.org", HERE)
    assert "link_sent" not in await office.kinds()


async def test_what_a_change_ends_is_told_one_by_one(office: Office) -> None:
    """With the reason, and by whoever made the change."""
    sessions = {(await office.entered())[0].grant.id for _ in range(3)}
    with acting(asked_by(HERE, "cli:root", "")):
        await office.store.changes().factors.remove((await office.ada()).id, None, None)
    ended = [row for row in await office.rows() if row.kind == "grant_revoked"]
    assert {row.subject for row in ended} == sessions
    assert {(row.actor, row.reason) for row in ended} == {("cli:root", "second factor removed")}


async def test_an_external_identitys_account_is_told(office: Office) -> None:
    """By its issuer: the subject may be a person's name."""
    await office.store.directory.provision("https://id.example", "alice-of-elsewhere", "", "Alice")
    row = (await office.rows())[-1]
    assert (row.kind, row.actor) == ("account_provisioned", "issuer:https://id.example")


async def test_a_throttled_attempt_is_told(office: Office) -> None:
    """With the reason that its answer has."""
    for _ in range(20):
        await outcome(office.core.logins.password(ADA, "wrong wrong", HERE))
    reasons = {row.reason for row in await office.rows() if row.kind == "login_refused"}
    assert reasons == {"code_wrong", "too_many_attempts"}


async def test_the_whole_database_has_no_word_of_a_login(office: Office, settled_url: str) -> None:
    """Not in the log of the file either."""
    session, _ = await office.entered()
    await office.flush()
    dump = await stored(settled_url)
    assert session.token.encode() not in dump
    assert PASSWORD.encode() not in dump

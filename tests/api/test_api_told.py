"""Every change that is made through the API is told in the audit trail, by whom and about whom."""

from typing import Any

import pytest

from gateway.identity.limits import OPENED

from .desk import Desk
from .operations import GOOD, Scene, call

# What the trail calls each change; reads, and what only asks, have no row.
TOLD = {
    "createTenant": "tenant_created",
    "renameTenant": "tenant_renamed",
    "deleteTenant": "tenant_deleted",
    "addOwner": "owner_added",
    "removeOwner": "owner_removed",
    "assignRole": "role_assigned",
    "removeRole": "role_removed",
    "createAccount": "account_created",
    "deleteAccount": "account_deleted",
    "disableAccount": "account_disabled",
    "enableAccount": "account_enabled",
    "resetMfa": "factor_removed",
    "requireMfa": "mfa_required",
    "allowNoMfa": "mfa_not_required",
    "setPassword": "password_changed",
    "sendReset": "reset_sent",
    "setRank": "rank_set",
    "invite": "invited",
    "revokeInvitation": "invitation_revoked",
    "acceptInvitation": "invitation_accepted",
    "revokeGrant": "grant_revoked",
    "revokeGrants": "grant_revoked",
    "issueToken": "token_issued",
    "createConnectionString": "connection_string_issued",
    "rotateKeys": "key_rotated",
}
BEFORE = {"enableAccount": "disableAccount", "allowNoMfa": "requireMfa"}  # else nothing would change


def test_the_table_has_every_change() -> None:
    """An operation that is added is looked at."""
    reads = {name for name in GOOD if name.startswith(("list", "show", "verify", "describe"))}
    assert TOLD.keys() == GOOD.keys() - reads


@pytest.mark.parametrize("name", TOLD)
def test_a_change_is_told(desk: Desk, name: str) -> None:
    """With the caller's account as who did it, and the request's id."""
    scene = Scene(desk)
    if name in BEFORE:
        assert call(desk, GOOD[BEFORE[name]](scene), desk.staff).status == 200
    good = GOOD[name](scene)
    answer = call(desk, good, desk.staff)
    assert answer.status == good.status, answer.body
    rows = desk.done("GET", "/audit", desk.staff, kind=TOLD[name], limit=1)["items"]
    assert [row["actor"] for row in rows] == [f"account:{desk.staff.id}"]
    assert (rows[0]["dialect"], rows[0]["outcome"]) == ("admin", "done")
    assert rows[0]["requestId"] != ""


def test_a_trail_of_changes_is_whole(desk: Desk) -> None:
    """As the command line would say."""
    assert desk.done("GET", "/audit/verify", desk.staff)["intact"]


def told(desk: Desk, kind: str, actor: str) -> list[dict[str, Any]]:
    """What was refused to this one, once a worker has written it."""
    desk.host.do(desk.host.running.gateway.auditing.work())
    rows = desk.done("GET", "/audit", desk.staff, kind=kind, limit=50)["items"]
    return [row for row in rows if row["actor"] == actor]


def test_a_change_that_is_refused_is_told(desk: Desk) -> None:
    """With who asked for it, about whom, what it was and why not; reading in vain is in the access log alone."""
    person, victim = desk.person(), desk.person()
    assert desk.code("POST", f"/accounts/{victim.id}/disable", person) == (404, "not_found")
    assert desk.code("GET", "/audit", person) == (403, "forbidden")
    [row] = told(desk, "admin_refused", f"account:{person.id}")
    assert (row["accountId"], row["outcome"], row["reason"]) == (victim.id, "refused", "not_found")
    assert (row["detail"], row["dialect"]) == ({"operation": "disableAccount"}, "admin")


def test_a_change_that_only_its_body_forbids_is_told(desk: Desk) -> None:
    """Whoever hands a tenant's roles out may not hand out every one."""
    tenant = desk.tenant()
    said = {"email": "guest@example.org", "role": "tenant-manager", "permission": "write"}
    path = f"/tenants/{tenant.id}/invitations"
    assert desk.code("POST", path, tenant.delegate, said) == (403, "forbidden")
    [row] = told(desk, "admin_refused", f"account:{tenant.delegate.id}")
    assert row["detail"] == {"operation": "invite"}


def test_an_invitation_taken_in_vain_is_told(desk: Desk) -> None:
    """With whose session it was."""
    person = desk.person()
    assert desk.code("POST", "/invitations/accept", person, {"token": "x" * 43}) == (404, "not_found")
    [row] = told(desk, "invitation_refused", f"account:{person.id}")
    assert (row["accountId"], row["reason"]) == (person.id, "not_found")


def test_vain_openings_of_invitations_are_told_and_lock_no_login(desk: Desk) -> None:
    """They have a limit of their own: whoever opens an old mail over and over keeps nobody of the office out."""
    path, most = "/_adm/invitations/" + "x" * 43, OPENED.windows[0].limit
    assert [desk.ask("GET", path).status for _ in range(most + 1)] == [404] * most + [429]
    reasons = {row["reason"] for row in told(desk, "invitation_refused", "anonymous")}
    assert reasons == {"not_found", "too_many_attempts"}
    person = desk.person()
    assert desk.code("POST", "/invitations/accept", person, {"token": "x" * 43}) == (404, "not_found")

"""Every change that is made through the API is told in the audit trail, by whom and about whom."""

import pytest

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

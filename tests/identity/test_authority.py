"""Who is admitted, as values: what has no row nobody may, and only a login of a person counts."""

from dataclasses import replace

import pytest

from gateway.errors import RequestRejected
from gateway.identity.authority import DELEGATES, RULES, admit, entitled
from gateway.identity.model import Account, Invitation, Licence, Member, Owner, Ownership, Principal

TENANT = "00000000-0000-4000-8000-00000000000a"
STAFF = Account("staff", "Root", Owner("owner", "root@example.org"), is_staff=True, is_manager=True)
PLAIN = Account("plain", "Ann", Owner("owner", "ann@example.org"))


def principal(account: Account) -> Principal:
    return Principal(account.id, account.owner.email, "internal", 2e9, account, grant_kind="session")


def licence(role: str, permission: str, *, verified: bool = True) -> Licence:
    return Licence("own", "Acme", TENANT, role, "id", permission, verified)  # type: ignore[arg-type]


def test_an_operation_without_a_row_is_nobodys() -> None:
    """Not the staff's either."""
    with pytest.raises(RequestRejected, match="forbidden"):
        admit(principal(STAFF), "newOperation")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"account": None}, "no_account"),
        ({"restricted": True}, "mfa_required"),
        ({"grant_kind": "api_key"}, "forbidden"),
        ({"grant_kind": "connection"}, "forbidden"),
        ({"grant_kind": "service"}, "forbidden"),
        ({"grant_kind": None, "issuer": "acme"}, "forbidden"),  # a token of an external issuer, of a linked account
    ],
)
def test_only_a_whole_login_here_administrates(changes: dict[str, object], code: str) -> None:
    """Though it is the staff's."""
    for name in RULES:
        with pytest.raises(RequestRejected, match=code):
            admit(replace(principal(STAFF), **changes), name)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("held", "may"),
    [
        (licence("tenant-manager", "write"), True),
        (licence("tenant-manager", "read"), False),
        (licence("tenant-manager", "write", verified=False), False),
        (licence("manager", "write"), False),
        (replace(licence("tenant-manager", "write"), tenant_id="other"), False),
    ],
)
def test_a_tenant_manager_is_one_that_may_write(held: Licence, may: bool) -> None:
    """In this tenant, and has accepted it."""
    caller = replace(principal(PLAIN), licences=(held,))
    if may:
        assert admit(caller, "invite", tenant_id=TENANT).account is PLAIN
    else:
        with pytest.raises(RequestRejected):
            admit(caller, "invite", tenant_id=TENANT)


def test_an_owner_manages_and_does_not_reach_further() -> None:
    """Memberships and invitations; not the tenant's name, nor other accounts."""
    caller = replace(principal(PLAIN), ownerships=(Ownership(TENANT, "Acme", 0.0),))
    admit(caller, "assignRole", tenant_id=TENANT, account_id="other")
    with pytest.raises(RequestRejected, match="forbidden"):
        admit(caller, "renameTenant", tenant_id=TENANT)
    with pytest.raises(RequestRejected, match="not_found"):
        admit(caller, "disableAccount", account_id="other")


def invitation(role: str, permission: str = "read") -> Invitation:
    return Invitation("id", TENANT, "b@b.org", "b@b.org", role, permission, b"", "inviter", 0, 1)  # type: ignore[arg-type]


MANAGER = (("tenant-manager", "write"), ("reader", "write"), ("writer", "read"))


@pytest.mark.parametrize(
    ("inviter", "value", "good"),
    [
        (Member(STAFF, TENANT), invitation("tenant-manager", "write"), True),
        (Member(replace(PLAIN, is_manager=True), TENANT), invitation("any", "write"), True),
        (Member(PLAIN, TENANT, (), 1.0), invitation("tenant-manager", "write"), True),
        (Member(PLAIN, TENANT), invitation("reader"), False),
        (Member(replace(STAFF, status="disabled"), TENANT), invitation("reader"), False),
        (Member(replace(STAFF, deleted=True), TENANT), invitation("reader"), False),
        (Member(replace(PLAIN, status="disabled"), TENANT, (), 1.0), invitation("reader"), False),
        (Member(PLAIN, TENANT, MANAGER), invitation("reader", "write"), True),
        (Member(PLAIN, TENANT, MANAGER), invitation("reader", "read"), True),
        (Member(PLAIN, TENANT, MANAGER), invitation("writer", "read"), True),
        (Member(PLAIN, TENANT, MANAGER), invitation("writer", "write"), False),
        (Member(PLAIN, TENANT, MANAGER), invitation("other"), False),
        (Member(PLAIN, TENANT, MANAGER), invitation("tenant-manager"), False),
        (Member(PLAIN, TENANT, MANAGER[1:]), invitation("reader"), False),
        (Member(PLAIN, TENANT, (("tenant-manager", "read"), ("reader", "write"))), invitation("reader"), False),
    ],
)
def test_an_invitation_is_worth_what_its_inviter_may(inviter: Member, value: Invitation, good: bool) -> None:
    """By now, not when they sent it."""
    assert entitled(inviter, value) is good


def test_whatever_cannot_be_undone_is_the_staffs_and_fresh() -> None:
    """Rows by what they do, so that a new one is thought about."""
    dangerous = {
        "deleteTenant", "deleteAccount", "setPassword", "setRank", "issueToken", "createConnectionString", "rotateKeys",
    }  # fmt: skip
    assert {name for name, rule in RULES.items() if rule.fresh} == dangerous
    assert {name for name, rule in RULES.items() if rule.who == {"staff"}} == dangerous


def test_the_roles_that_manage_are_a_fixed_list() -> None:
    """No configuration and no tenant adds one."""
    assert {"tenant-manager"} == DELEGATES

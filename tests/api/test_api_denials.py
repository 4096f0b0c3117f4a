"""Who may not: every kind of caller on every operation, over a real socket, and what no rank lets anybody do."""

from pathlib import Path

import pytest
from harness.people import People

from gateway.identity.authority import FRESH, RULES

from .desk import NOBODY, Desk, Person, opened
from .operations import GOOD, Scene, call

# For each operation: who holds nothing in the tenant, reads in it, manages it, owns it; a manager and the staff of the
# gateway. What is theirs to know of answers 403, what is not 404.
CALLERS = ("stranger", "member", "delegate", "owner", "manager", "staff")
TABLE = {
    "createTenant": "403 403 403 403 yes yes",
    "listTenants": "403 403 403 403 yes yes",
    "showTenant": "404 403 yes yes yes yes",
    "renameTenant": "404 403 403 403 yes yes",
    "deleteTenant": "404 404 404 404 403 yes",  # of another tenant
    "addOwner": "404 403 403 403 yes yes",
    "removeOwner": "404 403 403 403 yes yes",
    "listMembers": "404 403 yes yes yes yes",
    "assignRole": "404 403 yes yes yes yes",
    "removeRole": "404 403 yes yes yes yes",
    "listRoles": "403 403 403 403 yes yes",
    "listAccountRoles": "404 yes 404 404 yes yes",  # the member's own
    "createAccount": "403 403 403 403 yes yes",
    "listAccounts": "403 403 403 403 yes yes",
    "showAccount": "404 404 404 404 yes yes",
    "deleteAccount": "404 404 404 404 403 yes",
    "disableAccount": "404 404 404 404 yes yes",
    "enableAccount": "404 404 404 404 yes yes",
    "resetMfa": "404 404 404 404 yes yes",
    "requireMfa": "404 404 404 404 yes yes",
    "allowNoMfa": "404 404 404 404 yes yes",
    "setPassword": "404 404 404 404 403 yes",
    "sendReset": "404 404 404 404 yes yes",
    "setRank": "404 404 404 404 403 yes",
    "invite": "404 403 yes yes yes yes",
    "listInvitations": "404 403 yes yes yes yes",
    "revokeInvitation": "404 403 yes yes yes yes",
    "acceptInvitation": "404 404 404 404 404 yes",  # for the staff's address
    "listGrants": "404 404 404 404 yes yes",
    "revokeGrant": "404 404 404 404 yes yes",
    "revokeGrants": "404 404 404 404 yes yes",
    "issueToken": "404 404 404 404 403 yes",
    "createConnectionString": "404 403 404 404 403 yes",  # of the member
    "listKeys": "403 403 403 403 yes yes",
    "rotateKeys": "403 403 403 403 403 yes",
    "listAudit": "403 403 403 403 yes yes",
    "verifyAudit": "403 403 403 403 yes yes",
}
CODES = {"403": "forbidden", "404": "not_found"}


def test_the_table_has_every_operation() -> None:
    """Those of the rules and those that are served."""
    assert TABLE.keys() == GOOD.keys() == RULES.keys()


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("who", CALLERS)
def test_a_caller_may_what_the_table_says(desk: Desk, name: str, who: str) -> None:
    """And is told nothing more."""
    scene = Scene(desk)
    callers = {"stranger": desk.person(), "manager": desk.manager, "staff": desk.staff}
    caller = callers[who] if who in callers else getattr(scene.tenant, who)
    good = GOOD[name](scene)
    expected = TABLE[name].split()[CALLERS.index(who)]
    answer = call(desk, good, caller)
    if expected == "yes":
        assert answer.status == good.status, answer.body
    else:
        assert (answer.status, answer.code) == (int(expected), CODES[expected])


@pytest.mark.parametrize("name", GOOD)
def test_who_presents_nothing_or_half_a_login_or_a_programs_key_may_nothing(desk: Desk, name: str) -> None:
    """Whoever they belong to: here, to the staff."""
    scene = Scene(desk)
    good = GOOD[name](scene)
    desk.host.do(desk.accounts.assign_role(desk.staff.id, scene.tenant.id, "reader", "read"))
    found = [
        call(desk, good, None),
        call(desk, good, desk.again(desk.staff, restricted=True)),
        call(desk, good, None, token=desk.key(desk.staff)),
        call(desk, good, None, string=desk.string(desk.staff, scene.tenant.id, "reader")),
        call(desk, good, None, token=f"{desk.staff.token[:-4]}AAAA"),
    ]
    assert [(answer.status, answer.code) for answer in found] == [
        (401, "no_credential"), (401, "mfa_required"), (403, "forbidden"), (403, "forbidden"),
        (401, "invalid_credential"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.fresh])
@pytest.mark.parametrize(("age", "fresh"), [(FRESH - 30, True), (FRESH + 1, False)])
def test_the_dangerous_takes_a_login_just_now(desk: Desk, name: str, age: float, fresh: bool) -> None:
    """Both sides of the limit."""
    staff, good = desk.again(desk.staff), GOOD[name](Scene(desk))
    desk.host.hand.ahead += age
    answer = call(desk, good, staff)
    assert (answer.status, answer.code) == ((good.status, "") if fresh else (401, "login_too_old"))


def test_a_call_that_is_refused_is_not_told_what_else_is_wrong(desk: Desk) -> None:
    """A stranger cannot try values out."""
    assert desk.code("POST", "/accounts", desk.person(), {"email": 1}) == (403, "forbidden")


# above

CHANGES = {
    "disableAccount": ("POST", "disable", None),
    "enableAccount": ("POST", "enable", None),
    "resetMfa": ("POST", "reset-mfa", None),
    "requireMfa": ("POST", "require-mfa", None),
    "allowNoMfa": ("POST", "allow-no-mfa", None),
    "sendReset": ("POST", "send-reset", None),
    "revokeGrants": ("DELETE", "grants", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_manager_changes_nobody_of_the_staff(desk: Desk, name: str) -> None:
    """May look, and no more."""
    above, (method, path, body) = desk.person(is_staff=True), CHANGES[name]
    assert desk.code(method, f"/accounts/{above.id}/{path}", desk.manager, body) == (403, "forbidden")
    assert desk.ask("GET", f"/accounts/{above.id}", desk.manager).status == 200
    assert desk.ask("GET", f"/accounts/{above.id}", above).status == 200


def test_a_manager_ends_no_credential_of_the_staff_and_gives_them_no_role(desk: Desk) -> None:
    """One by one neither."""
    above, tenant = desk.person(is_staff=True), desk.tenant()
    grant = f"/accounts/{above.id}/grants/{above.grant_id}"
    assert desk.code("DELETE", grant, desk.manager) == (403, "forbidden")
    held = f"/tenants/{tenant.id}/members/{above.id}/roles/reader"
    assert desk.code("PUT", held, desk.manager, {"permission": "read"}) == (403, "forbidden")
    assert desk.code("PUT", f"/tenants/{tenant.id}/owners/{above.id}", desk.manager) == (403, "forbidden")


def raised(desk: Desk, caller: Person, tenant_id: str) -> tuple[int, str]:
    held = f"/tenants/{tenant_id}/members/{caller.id}/roles/reader"
    return desk.code("PUT", held, caller, {"permission": "write"})


def test_nobody_gives_a_role_to_themselves(desk: Desk) -> None:
    """But the staff, who may all."""
    tenant = desk.tenant()
    for caller in (tenant.delegate, tenant.owner, desk.manager):
        assert raised(desk, caller, tenant.id) == (403, "forbidden")
    assert desk.code("PUT", f"/tenants/{tenant.id}/owners/{desk.manager.id}", desk.manager) == (403, "forbidden")
    desk.done("PUT", f"/tenants/{tenant.id}/members/{desk.staff.id}/roles/reader", desk.staff, {"permission": "read"})


def test_nobody_invites_themselves(desk: Desk) -> None:
    """By the address of their account; nor do they take what they have offered to another address of theirs."""
    tenant = desk.tenant()
    said = {"email": tenant.owner.email.upper(), "role": "reader", "permission": "write"}
    path = f"/tenants/{tenant.id}/invitations"
    assert desk.code("POST", path, tenant.owner, said) == (403, "forbidden")


def test_only_an_owner_makes_and_unmakes_tenant_managers(desk: Desk) -> None:
    """A tenant-manager neither raises others to their own level nor pulls anybody there down."""
    tenant = desk.tenant()
    members = f"/tenants/{tenant.id}/members"
    raising = f"{members}/{tenant.member.id}/roles/tenant-manager", {"permission": "write"}
    said = {"email": "x@b.org", "role": "tenant-manager", "permission": "read"}
    invitation = f"/tenants/{tenant.id}/invitations", said
    assert desk.code("PUT", raising[0], tenant.delegate, raising[1]) == (403, "forbidden")
    assert desk.code("POST", invitation[0], tenant.delegate, invitation[1]) == (403, "forbidden")
    desk.done("PUT", raising[0], tenant.owner, raising[1])
    desk.done("POST", invitation[0], tenant.owner, invitation[1])
    for above in (tenant.member, tenant.owner):  # the one is their equal by now
        answer = desk.code("DELETE", f"{members}/{above.id}/roles/reader", tenant.delegate)
        assert answer == (403, "forbidden")
    desk.done("DELETE", raising[0], tenant.owner)


def test_a_tenant_manager_gives_no_more_than_they_hold(desk: Desk) -> None:
    """Else a second mailbox of theirs would hold it. Neither by invitation nor by assignment; an owner may."""
    tenant = desk.tenant()
    for role, permission in (("writer", "read"), ("reader", "write")):
        desk.host.do(desk.accounts.assign_role(desk.staff.id, tenant.id, role, permission))
    desk.done("DELETE", f"/tenants/{tenant.id}/members/{tenant.delegate.id}/roles/reader", tenant.owner)
    held = f"/tenants/{tenant.id}/members/{tenant.delegate.id}/roles/reader"
    desk.done("PUT", held, desk.staff, {"permission": "read"})
    invitations, members = f"/tenants/{tenant.id}/invitations", f"/tenants/{tenant.id}/members/{tenant.member.id}/roles"
    for role, permission, may in (("writer", "read", False), ("reader", "write", False), ("reader", "read", True)):
        said = {"email": "second-mailbox@example.org", "role": role, "permission": permission}
        invited = desk.ask("POST", invitations, tenant.delegate, said)
        given = desk.ask("PUT", f"{members}/{role}", tenant.delegate, {"permission": permission})
        assert (invited.status, given.status) == ((201, 200) if may else (403, 403))
    desk.done("PUT", f"{members}/writer", tenant.owner, {"permission": "read"})


def test_a_tenant_manager_holds_a_role_in_this_tenant_or_not_at_all(desk: Desk) -> None:
    """What they hold elsewhere gives nothing here."""
    tenant, other = desk.tenant(), desk.tenant()
    desk.host.do(desk.accounts.assign_role(tenant.delegate.id, other.id, "writer", "write"))
    held = f"/tenants/{tenant.id}/members/{tenant.member.id}/roles/writer"
    assert desk.code("PUT", held, tenant.delegate, {"permission": "read"}) == (403, "forbidden")


def test_only_who_may_give_it_takes_an_invitation_back(desk: Desk) -> None:
    """A tenant-manager keeps nobody from becoming their equal."""
    tenant, path = (found := desk.tenant()), f"/tenants/{found.id}/invitations"
    said = {"email": "equal@example.org", "role": "tenant-manager", "permission": "write"}
    made = desk.done("POST", path, tenant.owner, said)
    assert desk.code("DELETE", f"{path}/{made['id']}", tenant.delegate) == (403, "forbidden")
    desk.done("DELETE", f"{path}/{made['id']}", tenant.owner)


def test_an_issued_session_is_no_login_of_just_now(desk: Desk) -> None:
    """Else a stolen session of the staff would issue itself the next one, for ever."""
    issued = desk.done("POST", f"/accounts/{desk.staff.id}/tokens", desk.staff, {"lifetime": 3600})["token"]
    answer = desk.ask("POST", f"/accounts/{desk.staff.id}/tokens", token=issued, body={"lifetime": 3600})
    assert (answer.status, answer.code) == (401, "login_too_old")
    assert desk.ask("GET", "/accounts", token=issued).status == 200


def test_whoever_is_not_in_the_tenant_cannot_be_told_from_nobody(desk: Desk) -> None:
    """An owner gives roles to members; others are invited, and an id of theirs says nothing."""
    tenant, outsider = desk.tenant(), desk.person()
    answers = [
        desk.ask("PUT", f"/tenants/{tenant.id}/members/{who}/roles/reader", tenant.owner, {"permission": "read"})
        for who in (outsider.id, NOBODY)
    ]
    assert [(answer.status, answer.code) for answer in answers] == [(404, "not_found")] * 2
    texts = [{**answer.json(), "request_id": ""} for answer in answers]
    assert texts[0] == texts[1]


def test_an_owner_makes_no_new_roles(desk: Desk) -> None:
    """Their names are the whole gateway's: routes have them."""
    tenant = desk.tenant()
    held = f"/tenants/{tenant.id}/members/{tenant.member.id}/roles/brand-new"
    assert desk.code("PUT", held, tenant.owner, {"permission": "read"}) == (422, "invalid_value")
    said = {"email": "y@b.org", "role": "brand-new", "permission": "read"}
    assert desk.code("POST", f"/tenants/{tenant.id}/invitations", tenant.owner, said) == (422, "invalid_value")


def test_an_owner_changes_nothing_of_the_gateways_own_people(desk: Desk) -> None:
    """Who happen to be in the tenant."""
    tenant = desk.tenant()
    desk.host.do(desk.accounts.assign_role(desk.manager.id, tenant.id, "reader", "read"))
    held = f"/tenants/{tenant.id}/members/{desk.manager.id}/roles/reader"
    assert desk.code("DELETE", held, tenant.owner) == (403, "forbidden")


def test_an_owner_of_one_tenant_is_a_stranger_in_another(desk: Desk) -> None:
    """Also where somebody is a member of both."""
    tenant, other = desk.tenant(), desk.tenant()
    assert desk.code("GET", f"/tenants/{other.id}/members", tenant.owner) == (404, "not_found")
    held = f"/tenants/{other.id}/members/{other.member.id}/roles/reader"
    assert desk.code("DELETE", held, tenant.owner) == (404, "not_found")


def test_an_invitation_is_not_reached_through_another_tenant(desk: Desk) -> None:
    """By whoever owns that one."""
    scene, other = Scene(desk), desk.tenant()
    path = f"/tenants/{other.id}/invitations/{scene.open_invitation()}"
    assert desk.code("DELETE", path, other.owner) == (404, "not_found")


def test_a_credential_is_not_reached_through_another_account(desk: Desk) -> None:
    """By whoever holds that one."""
    person, other = desk.person(), desk.person()
    path = f"/accounts/{other.id}/grants/{person.grant_id}"
    assert desk.code("DELETE", path, other) == (404, "not_found")
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "reset-mfa", None),
        ("POST", "allow-no-mfa", None),
        ("PUT", "password", {"password": "correct horse battery"}),
        ("DELETE", "", None),
    ],
)
def test_what_proves_who_somebody_is_they_change_elsewhere(desk: Desk, method: str, path: str, body: object) -> None:
    """There, the old proof is asked for; a stolen session of the staff has none."""
    own = f"/accounts/{desk.staff.id}/{path}".rstrip("/")
    assert desk.code(method, own, desk.staff, body) == (403, "forbidden")


def test_rights_end_with_the_role(desk: Desk) -> None:
    """At once: the next call of who was a tenant-manager is a reader's."""
    tenant = desk.tenant()
    path = f"/tenants/{tenant.id}/members"
    desk.done("GET", path, tenant.delegate)
    desk.done("DELETE", f"{path}/{tenant.delegate.id}/roles/tenant-manager", tenant.owner)
    assert desk.code("GET", path, tenant.delegate) == (403, "forbidden")


def test_a_tenant_manager_that_may_only_read_manages_nothing(desk: Desk) -> None:
    """Write is what manages."""
    tenant = desk.tenant()
    reading = desk.person()
    desk.host.do(desk.accounts.assign_role(reading.id, tenant.id, "tenant-manager", "read"))
    assert desk.code("GET", f"/tenants/{tenant.id}/members", reading) == (403, "forbidden")


def test_the_last_of_the_staff_stays(people: People, tmp_path: Path) -> None:
    """Neither disabled nor lowered, until there is another."""
    with opened(tmp_path, people) as desk:
        own = f"/accounts/{desk.staff.id}"
        assert desk.code("POST", f"{own}/disable", desk.staff) == (409, "conflict")
        assert desk.code("PUT", f"{own}/rank", desk.staff, {"rank": "manager"}) == (409, "conflict")
        desk.done("POST", f"/accounts/{desk.person(is_staff=True).id}/disable", desk.staff)
        assert desk.code("POST", f"{own}/disable", desk.staff) == (409, "conflict")  # who cannot log in does not count
        desk.person(is_staff=True)
        desk.done("PUT", f"{own}/rank", desk.staff, {"rank": "manager"})

"""An invitation from its mail to the role, and all that ends it on the way."""

import re

import pytest
from harness.hosted import LINK

from gateway.identity.invitations import LIFETIME, LONGEST
from gateway.identity.limits import MAIL_ADDRESS, MAIL_NETWORK
from gateway.login.rfc3339 import moment

from .desk import INVITED, Desk, Person, Tenant

ACCEPT = "/invitations/accept"


def waiting(desk: Desk, tenant: Tenant) -> list[str]:
    found = desk.done("GET", f"/tenants/{tenant.id}/invitations", tenant.owner, state="open")
    return [one["email"] for one in found["items"]]


def roles(desk: Desk, person: Person) -> list[tuple[str, str, str]]:
    held = desk.done("GET", f"/accounts/{person.id}/roles", person)["items"]
    return [(one["tenantId"], one["role"], one["permission"]) for one in held]


def test_who_has_the_address_takes_the_role_once(desk: Desk) -> None:
    """At once, and the second time there is nothing to take."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    assert waiting(desk, tenant) == [guest.email]
    taken = desk.done("POST", ACCEPT, guest, {"token": token})
    assert (taken["state"], taken["acceptedBy"], taken["tenantId"]) == ("accepted", guest.id, tenant.id)
    assert roles(desk, guest) == [(tenant.id, "reader", "read")]
    assert waiting(desk, tenant) == []
    assert desk.code("POST", ACCEPT, guest, {"token": token}) == (404, "not_found")


def test_who_has_another_address_takes_nothing(desk: Desk) -> None:
    """A mail that was passed on lets nobody else in, and stays good for whom it is for."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    assert desk.code("POST", ACCEPT, desk.person(), {"token": token}) == (404, "not_found")
    desk.done("POST", ACCEPT, guest, {"token": token})


@pytest.mark.parametrize("token", ["x", "A" * 43, "é" * 43])
def test_a_token_of_no_invitation_takes_nothing(desk: Desk, token: str) -> None:
    """In form or not."""
    assert desk.code("POST", ACCEPT, desk.person(), {"token": token}) == (404, "not_found")


def test_one_that_was_taken_back_takes_nothing(desk: Desk) -> None:
    """And is taken back once; an accepted one cannot be."""
    tenant, guest = desk.tenant(), desk.person()
    token, path = desk.invited(tenant, guest.email), f"/tenants/{tenant.id}/invitations"
    (found,) = desk.done("GET", path, tenant.owner)["items"]
    for _ in range(2):
        desk.done("DELETE", f"{path}/{found['id']}", tenant.delegate)
    assert desk.code("POST", ACCEPT, guest, {"token": token}) == (404, "not_found")
    other = desk.invited(tenant, guest.email)
    taken = desk.done("POST", ACCEPT, guest, {"token": other})
    assert desk.code("DELETE", f"{path}/{taken['id']}", tenant.owner) == (409, "conflict")


@pytest.mark.parametrize(("early", "taken"), [(10, True), (-1, False)])
def test_its_time_ends(desk: Desk, early: float, taken: bool) -> None:
    """After seven days, where nothing else is said. Both sides of it."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    desk.host.hand.ahead += LIFETIME - early
    answer = desk.ask("POST", ACCEPT, desk.again(guest), {"token": token})
    assert answer.status == (200 if taken else 404)
    if not taken:
        found = desk.done("GET", f"/tenants/{tenant.id}/invitations", desk.again(tenant.owner), state="expired")
        assert [one["state"] for one in found["items"]] == ["expired"]


@pytest.mark.parametrize(("seconds", "status"), [(2, 201), (0, 422), (LONGEST - 5, 201), (LONGEST + 5, 422)])
def test_its_time_has_bounds(desk: Desk, seconds: float, status: int) -> None:
    """From now to thirty days; both sides of both."""
    tenant = desk.tenant()
    until = moment(desk.host.hand.now() + seconds)
    said = {"email": "guest@example.org", "role": "reader", "permission": "read", "expiresAt": until}
    assert desk.ask("POST", f"/tenants/{tenant.id}/invitations", desk.staff, said).status == status


def test_the_same_is_asked_once_at_a_time(desk: Desk) -> None:
    """Another role is another invitation; nobody's mailbox is filled by repeating one."""
    tenant, guest = desk.tenant(), desk.person()
    path, said = f"/tenants/{tenant.id}/invitations", {"email": guest.email, "role": "reader", "permission": "read"}
    desk.done("POST", path, tenant.owner, said)
    assert desk.code("POST", path, tenant.delegate, {**said, "email": guest.email.upper()}) == (409, "conflict")
    desk.done("POST", path, tenant.owner, {**said, "permission": "write"})


def test_who_may_invite_has_a_limit(desk: Desk) -> None:
    """Each is a mail to somebody who did not ask for it: their network has the limit of all mails."""
    tenant = desk.tenant()
    path, most = f"/tenants/{tenant.id}/invitations", MAIL_NETWORK.windows[0].limit
    said = {"role": "reader", "permission": "read"}
    found = [
        desk.ask("POST", path, tenant.owner, {**said, "email": f"guest-{number}@example.org"})
        for number in range(most + 1)
    ]
    assert [answer.status for answer in found] == [201] * most + [429]
    assert found[-1].headers["Retry-After"]


def test_a_mailbox_is_not_flooded_by_taking_back_and_sending_again(desk: Desk) -> None:
    """The limit is the address's, whoever invites it, and to whatever; logins by mail count in it."""
    tenant, other, guest = desk.tenant(), desk.tenant(), desk.person()
    said = {"email": guest.email, "role": "reader", "permission": "read"}
    for _ in range(MAIL_ADDRESS.windows[0].limit):
        path = f"/tenants/{tenant.id}/invitations"
        made = desk.done("POST", path, tenant.owner, said)
        desk.done("DELETE", f"{path}/{made['id']}", tenant.owner)
        tenant, other = other, tenant
    answer = desk.ask("POST", f"/tenants/{tenant.id}/invitations", tenant.owner, said)
    assert (answer.status, answer.code) == (429, "too_many_attempts")
    assert answer.headers["Retry-After"]


def test_what_an_owner_offered_ends_with_them(desk: Desk) -> None:
    """The address neither takes the role, nor makes an account for itself."""
    tenant, address = desk.tenant(), "late@example.org"
    said = {"email": address, "role": "reader", "permission": "read"}
    desk.done("POST", f"/tenants/{tenant.id}/invitations", tenant.owner, said)
    guest = desk.person()
    other = desk.done("POST", f"/tenants/{tenant.id}/invitations", tenant.owner, {**said, "email": guest.email})
    taken = desk.host.mailed(guest.email, INVITED)
    desk.done("DELETE", f"/tenants/{tenant.id}/owners/{tenant.owner.id}", desk.staff)
    assert desk.code("POST", ACCEPT, guest, {"token": taken}) == (404, "not_found")
    found = desk.done("GET", f"/tenants/{tenant.id}/invitations", desk.staff, state="revoked")
    assert [one["id"] for one in found["items"]] == [other["id"]]
    links = "/_adm/beginners/users/magic-link"
    for one in (address, guest.email):
        assert desk.ask("POST", f"{links}/request", body={"email": one}).status == 200
    assert desk.host.mailed(guest.email, LINK)
    assert len(desk.host.mails(address)) == 1  # the invitation


def test_what_somebody_else_has_given_meanwhile_is_no_fault(desk: Desk) -> None:
    """The role is held once."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    desk.host.do(desk.accounts.assign_role(guest.id, tenant.id, "reader", "read"))
    desk.done("POST", ACCEPT, guest, {"token": token})
    assert roles(desk, guest) == [(tenant.id, "reader", "read")]


def test_nobody_takes_what_they_have_offered_themselves(desk: Desk) -> None:
    """Their account may have got the address after they invited it."""
    tenant = desk.tenant()
    address = "offered-to-oneself@example.org"  # nobody else invites it: the mails of all tests lie in one place
    said = {"email": address, "role": "reader", "permission": "write"}
    desk.done("POST", f"/tenants/{tenant.id}/invitations", tenant.owner, said)
    token = desk.host.mailed(address, re.compile(r"/_adm/invitations/([\w-]{43})\s"))
    assert desk.code("POST", ACCEPT, tenant.owner, {"token": token}) == (403, "forbidden")


def test_whoever_is_invited_may_log_in_for_the_first_time(desk: Desk) -> None:
    """By mail, though nobody else may: an account comes with it, and takes the role."""
    tenant, address = desk.tenant(), "quite-new@example.org"
    token = desk.invited(tenant, address)
    links = "/_adm/beginners/users/magic-link"
    assert desk.ask("POST", f"{links}/request", body={"email": address}).status == 200
    login = desk.ask("POST", f"{links}/verify", body={"token": desk.host.mailed(address, LINK)}).json()
    assert desk.ask("POST", ACCEPT, token=login["token"], body={"token": token}).status == 200


def test_the_page_says_what_waits_and_changes_nothing(desk: Desk) -> None:
    """Mail scanners open links too. The address is masked, and no log has the token."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    for _ in range(2):
        page = desk.ask("GET", f"/_adm/invitations/{token}")
        assert (page.status, page.headers.get_content_type()) == (200, "text/html")
    text = page.body.decode()
    assert "You are invited to Acme" in text
    assert guest.email not in text
    assert "default-src &#39;none&#39;" not in text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert token not in desk.host.access_log()
    desk.done("POST", ACCEPT, guest, {"token": token})


def test_the_page_of_none_says_so(desk: Desk) -> None:
    """Taken, or never there: the same words."""
    tenant, guest = desk.tenant(), desk.person()
    token = desk.invited(tenant, guest.email)
    desk.done("POST", ACCEPT, guest, {"token": token})
    found = [desk.ask("GET", f"/_adm/invitations/{one}") for one in (token, "A" * 43, "x")]
    assert [page.status for page in found] == [404] * 3
    assert len({page.body for page in found}) == 1


def test_the_mail_tells_nothing_of_the_network_of_who_invites(desk: Desk) -> None:
    """It goes to somebody whom they may not know."""
    tenant, guest = desk.tenant(), desk.person()
    desk.invited(tenant, guest.email)
    (mail,) = desk.host.mails(guest.email)
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "127.0.0.1" not in text
    assert tenant.owner.email not in text

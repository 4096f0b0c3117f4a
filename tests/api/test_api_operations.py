"""Every operation of the admin API over a real socket: what it answers, and that it is what its model says."""

import re

import pytest

from gateway.app.logins import admin_api
from gateway.control.api.operation import checked

from .desk import NOBODY, Desk
from .operations import GOOD, Scene, call

OPERATIONS = {one.name: one for one in admin_api().operations}


def test_every_operation_is_called_here() -> None:
    """And nothing that is not there."""
    assert GOOD.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", GOOD)
def test_an_operation_answers_what_its_model_says(desk: Desk, name: str) -> None:
    """Status, media type and every member; never to be kept by a cache."""
    good, operation = GOOD[name](Scene(desk)), OPERATIONS[name]
    assert (good.method, good.operation) == (operation.method, operation.name)
    answer = call(desk, good, desk.staff)
    assert (answer.status, answer.headers["Cache-Control"]) == (good.status, "no-store"), answer.body
    if operation.answer is None:
        assert answer.body == b""
    else:
        assert answer.headers.get_content_type() == "application/json"
        checked(operation.answer, answer.json(), "answer")


@pytest.mark.parametrize("name", [name for name in GOOD if "Id}" in OPERATIONS[name].path])
@pytest.mark.parametrize("other", [NOBODY, "nobody"])
def test_what_is_not_there_is_not_found(desk: Desk, name: str, other: str) -> None:
    """By an id that nobody has, and by what is none."""
    good, scene = GOOD[name](Scene(desk)), desk.staff
    first = good.path.split("/")[2]
    answer = desk.ask(good.method, good.path.replace(first, other, 1), scene, good.body, good.query)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("name", [name for name in GOOD if OPERATIONS[name].body is not None])
def test_an_unknown_member_is_refused_by_its_name(desk: Desk, name: str) -> None:
    """And nothing is done."""
    good = GOOD[name](Scene(desk))
    answer = desk.ask(good.method, good.path, desk.staff, {**(good.body or {}), "naem": "x"}, good.query)
    assert (answer.status, answer.code) == (422, "invalid_value")
    assert {"place": "body.naem", "message": "there is no such member"} in answer.json()["errors"]


@pytest.mark.parametrize("name", [name for name in GOOD if OPERATIONS[name].query is not None])
def test_an_unknown_parameter_is_refused_by_its_name(desk: Desk, name: str) -> None:
    """A misspelt filter must not list everything, nor end everything."""
    good = GOOD[name](Scene(desk))
    answer = desk.ask(good.method, good.path, desk.staff, good.body, {**good.query, "knid": "x"})
    assert (answer.status, answer.json()["errors"]) == (
        422, [{"place": "query.knid", "message": "there is no such member"}],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "place"),
    [
        ("POST", "/tenants", {}, {}, "body.name"),
        ("POST", "/tenants", {"name": 1}, {}, "body.name"),
        ("POST", "/tenants", {"name": ""}, {}, "body.name"),
        ("POST", "/tenants", {"name": "x" * 201}, {}, "body.name"),
        ("POST", "/tenants", {"name": "\ud800"}, {}, "body.name"),
        ("POST", "/tenants", {"name": "x", "ownerId": "nobody"}, {}, "body.ownerId"),
        ("POST", "/tenants", {"name": "x", "owner_id": NOBODY}, {}, "body.owner_id"),
        ("POST", "/accounts", {"email": "a@example.org", "password": "short"}, {}, "body.password"),
        ("POST", "/accounts", {"email": "a@b.org", "password": "x" * 9, "passwordHash": "x"}, {}, "body.passwordHash"),
        ("POST", "/keys/rotate", {"kind": "all"}, {}, "body.kind"),
        ("POST", "/keys/rotate", {"force": 1}, {}, "body.force"),
        ("GET", "/tenants", None, {"limit": 0}, "query.limit"),
        ("GET", "/tenants", None, {"limit": 201}, "query.limit"),
        ("GET", "/tenants", None, {"limit": "1e1"}, "query.limit"),
        ("GET", "/tenants", None, {"after": "x"}, "query.after"),
        ("GET", "/tenants", None, {"after": "WzFd"}, "query.after"),
        ("GET", "/accounts", None, {"after": "WzFlOTld"}, "query.after"),
        ("GET", "/accounts", None, {"after": "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"}, "query.after"),
        ("GET", "/accounts", None, {"status": "gone"}, "query.status"),
    ],
)
def test_a_value_out_of_form_is_refused_with_its_place(
    desk: Desk, method: str, path: str, body: object, query: dict[str, object], place: str
) -> None:
    """Each with its place, and none repeated."""
    answer = desk.ask(method, path, desk.staff, body, query)
    assert (answer.status, answer.code) == (422, "invalid_value")
    assert [one["place"] for one in answer.json()["errors"]] == [place]
    assert "short" not in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(("limit", "status"), [(1, 200), (200, 200), (0, 422), (201, 422)])
def test_a_page_has_its_bounds(desk: Desk, limit: int, status: int) -> None:
    """Both sides of both."""
    assert desk.ask("GET", "/roles", desk.staff, query={"limit": limit}).status == status


def test_a_body_that_is_no_json_is_refused(desk: Desk) -> None:
    """By type, and by form."""
    assert desk.ask("POST", "/tenants", desk.staff).code == "unsupported_media"
    assert desk.ask("POST", "/tenants", desk.staff, []).code == "bad_parameter"


def test_a_body_has_its_bound(desk: Desk) -> None:
    """16 KiB, as everywhere in the gateway's own endpoints."""
    assert desk.code("POST", "/tenants", desk.staff, {"name": "x" * 17_000}) == (413, "body_too_large")


# what the calls do


def test_pages_are_stable_while_others_are_added(desk: Desk) -> None:
    """Whoever is added between two pages neither repeats nor hides one that was there."""
    tenant = desk.tenant()
    for _ in range(3):
        desk.host.do(desk.accounts.assign_role(desk.person().id, tenant.id, "reader", "read"))
    members = f"/tenants/{tenant.id}/members"
    before = [one["accountId"] for one in desk.done("GET", members, desk.staff)["items"]]
    seen, after = [], {}
    while True:
        page = desk.done("GET", members, desk.staff, limit=2, **after)
        seen += [one["accountId"] for one in page["items"]]
        desk.host.do(desk.accounts.assign_role(desk.person().id, tenant.id, "reader", "read"))
        if len(seen) >= len(before) or page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen[: len(before)] == before
    assert len(set(seen)) == len(seen)


def test_a_last_page_has_no_next(desk: Desk) -> None:
    """Also where it is full."""
    tenant = desk.tenant()
    assert desk.done("GET", f"/tenants/{tenant.id}/members", desk.staff, limit=3)["next"] is None
    assert desk.done("GET", f"/tenants/{tenant.id}/members", desk.staff, limit=2)["next"] is not None


def test_a_disabled_account_is_out_at_once(desk: Desk) -> None:
    """In this worker before the answer is sent; and in again once it is enabled."""
    person = desk.person()
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 200
    assert desk.done("POST", f"/accounts/{person.id}/disable", desk.staff)["status"] == "disabled"
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 401
    assert desk.done("POST", f"/accounts/{person.id}/enable", desk.staff)["status"] == "active"
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 200


def test_a_deleted_account_is_forgotten(desk: Desk) -> None:
    """Its credentials end, its address is free again, it is in no list, and it stays deleted."""
    person = desk.person()
    desk.done("DELETE", f"/accounts/{person.id}", desk.staff)
    assert desk.ask("GET", "/beginners/profile", token=person.token).status != 200
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 401
    shown = desk.done("GET", f"/accounts/{person.id}", desk.staff)
    assert (shown["status"], shown["email"], shown["username"], shown["name"]) == ("deleted", "", None, "deleted")
    assert desk.done("GET", "/accounts", desk.staff, q=person.email)["items"] == []
    assert desk.code("POST", f"/accounts/{person.id}/enable", desk.staff) == (409, "conflict")
    desk.done("POST", "/accounts", desk.staff, {"email": person.email})


def test_who_holds_something_is_not_deleted(desk: Desk) -> None:
    """A role or a tenant must be taken away first: nothing goes unseen."""
    tenant = desk.tenant()
    for person in (tenant.owner, tenant.member):
        assert desk.code("DELETE", f"/accounts/{person.id}", desk.staff) == (409, "conflict")


def test_a_tenant_with_somebody_in_it_is_not_deleted(desk: Desk) -> None:
    """Roles first; owners go with it."""
    tenant = desk.tenant()
    path = f"/tenants/{tenant.id}"
    assert desk.code("DELETE", path, desk.staff) == (409, "conflict")
    for person, role in ((tenant.delegate, "tenant-manager"), (tenant.delegate, "reader"), (tenant.member, "reader")):
        desk.done("DELETE", f"{path}/members/{person.id}/roles/{role}", desk.staff)
    desk.done("DELETE", path, desk.staff)
    assert desk.code("GET", path, desk.staff) == (404, "not_found")
    assert desk.code("GET", path, tenant.owner) == (404, "not_found")


def test_a_new_rank_counts_at_once(desk: Desk) -> None:
    """Up, and down again."""
    person = desk.person()
    assert desk.code("GET", "/accounts", person) == (403, "forbidden")
    found = desk.done("PUT", f"/accounts/{person.id}/rank", desk.staff, {"rank": "staff"})
    assert (found["isStaff"], found["isManager"]) == (True, True)
    desk.done("GET", "/accounts", person)
    desk.done("PUT", f"/accounts/{person.id}/rank", desk.staff, {"rank": "user"})
    assert desk.code("GET", "/accounts", person) == (403, "forbidden")


def test_a_token_that_is_issued_lets_its_holder_in(desk: Desk) -> None:
    """For as long as it was asked for."""
    person = desk.person()
    made = desk.done("POST", f"/accounts/{person.id}/tokens", desk.staff, {"lifetime": 3600})
    assert desk.ask("GET", f"/accounts/{person.id}", token=made["token"]).status == 200


def test_ending_all_credentials_spares_the_one_that_asks(desk: Desk) -> None:
    """Of the caller's own; of others all go."""
    person = desk.person()
    other = desk.again(person)
    assert desk.done("DELETE", f"/accounts/{person.id}/grants", person) == {"ended": 1}
    assert desk.ask("GET", f"/accounts/{person.id}", other).status == 401
    assert desk.done("DELETE", f"/accounts/{person.id}/grants", desk.staff) == {"ended": 1}
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 401


def test_calls_that_say_the_same_twice_do_it_once(desk: Desk) -> None:
    """PUT, and the ends of credentials: whoever got no answer may ask again."""
    tenant, person = desk.tenant(), desk.person()
    for _ in range(2):
        desk.done("PUT", f"/tenants/{tenant.id}/owners/{person.id}", desk.staff)
        held = f"/tenants/{tenant.id}/members/{person.id}/roles/reader"
        desk.done("PUT", held, desk.staff, {"permission": "read"})
        desk.done("DELETE", f"/accounts/{person.id}/grants/{person.grant_id}", desk.staff)
    (held_once,) = desk.done("GET", f"/accounts/{person.id}/roles", desk.staff)["items"]
    assert held_once["permission"] == "read"


def test_a_rotation_that_would_end_strings_is_refused_without_force(desk: Desk) -> None:
    """As on the command line: with a count, and with force they end."""
    tenant = desk.tenant()
    string = desk.string(tenant.member, tenant.id, "reader")
    for _ in range(2):
        desk.done("POST", "/keys/rotate", desk.staff, {"kind": "mac"})
    refused = desk.ask("POST", "/keys/rotate", desk.staff, {"kind": "mac"})
    assert (refused.status, "live connection strings" in refused.json()["detail"]) == (409, True)
    desk.done("POST", "/keys/rotate", desk.staff, {"kind": "mac", "force": True})
    assert desk.ask("GET", "/_adm/beginners/profile", string=string).status == 401


def test_no_list_shows_a_secret(desk: Desk) -> None:
    """Of an account with a session, a key and a connection string."""
    tenant = desk.tenant()
    secret = desk.key(tenant.member)
    string = desk.string(tenant.member, tenant.id, "reader")
    text = desk.ask("GET", f"/accounts/{tenant.member.id}/grants", desk.staff).body.decode()
    assert secret not in text
    assert string.rpartition("sig=")[2] not in text
    assert tenant.member.token.rpartition(".")[2] not in text


def test_a_mail_tells_of_a_password_that_somebody_else_has_set(desk: Desk) -> None:
    """And every session of the account is over."""
    person = desk.person()
    desk.done("PUT", f"/accounts/{person.id}/password", desk.staff, {"password": "correct horse battery"})
    desk.host.mailed(person.email, re.compile("(password)"))
    assert desk.ask("GET", f"/accounts/{person.id}", person).status == 401

"""Calls that could be read in two ways, or say what is not looked at, are refused."""

import pytest

from .desk import BASE, Desk


def test_a_parameter_that_comes_twice_is_refused(desk: Desk) -> None:
    """Which of the two counts is a guess; one of each is none."""
    answer = desk.ask("GET", f"{BASE}/accounts?limit=1&limit=2", desk.staff)
    assert (answer.status, answer.code) == (400, "bad_parameter")
    assert desk.ask("GET", f"{BASE}/accounts?limit=1&status=active", desk.staff).status == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=iso-8859-1", 415),
        ("application/json; charset=UTF-8", 201),
        ('application/json; charset="utf-8"', 201),
    ],
)
def test_json_is_utf_8(desk: Desk, kind: str, status: int) -> None:
    """RFC 8259 section 8.1: a body that claims to be anything else is not read as if it did not."""
    answer = desk.send("POST", "/tenants", desk.staff, b'{"name": "New"}', kind)
    assert answer.status == status


@pytest.mark.parametrize(("body", "kind"), [(b"x", "text/plain"), (b"{}", "application/json")])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_call_without_a_body_takes_none(desk: Desk, method: str, body: bytes, kind: str) -> None:
    """Whoever sends one means something that is not done."""
    person = desk.person()
    path = {"GET": "/accounts", "POST": f"/accounts/{person.id}/disable", "DELETE": f"/accounts/{person.id}/grants"}
    answer = desk.send(method, path[method], desk.staff, body, kind)
    assert (answer.status, answer.code) == (400, "bad_parameter")
    assert desk.send(method, path[method], desk.staff, b"", kind).status == 200

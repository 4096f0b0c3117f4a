"""The audit trail through the API, over one that the test keeps: pages, filters, and what it says of itself."""

from typing import Any, cast

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from gateway.control.api import answers, asks
from gateway.control.api.document import document
from gateway.control.api.operation import Asked, checked, mark
from gateway.control.api.trail import AuditTrail
from gateway.errors import RequestRejected
from gateway.identity.authority import RULES, Authority, admit
from gateway.identity.model import Account, Mark, Owner, Page, Principal
from gateway.identity.origin import Origin
from gateway.identity.trail import Entry, Verdict

STAFF = Account("staff", "Root", Owner("owner", "root@example.org"), is_staff=True, is_manager=True)


class Kept:
    """Ten entries, newest first."""

    def __init__(self) -> None:
        self.entries = [
            Entry(number, 1.8e9 + number, "role_assigned" if number % 2 else "account_disabled", "account:staff")
            for number in range(10, 0, -1)
        ]

    async def page(
        self, limit: int, after: Mark | None, kind: str | None = None, account_id: str | None = None
    ) -> Page[Entry]:
        found = [one for one in self.entries if (after is None or one.id < after[0]) and kind in (None, one.kind)]  # type: ignore[operator]
        return Page(found[:limit], (found[limit - 1].id,) if len(found) > limit else None)

    async def verify(self) -> Verdict:
        return Verdict(False, 10, "ab" * 32, "row 11: rows wait that cannot be sealed", 2)


def principal(account: Account, **more: Any) -> Principal:
    return Principal(account.id, account.owner.email, "internal", 2e9, account, grant_kind="session", **more)


def asked(**said: object) -> Asked:
    authority = Authority(STAFF, principal(STAFF), RULES["listAudit"])
    return Asked(authority, Origin("192.0.2.1"), {}, query=checked(asks.AuditQuery, said, "query"))


async def test_pages_lead_through_all_of_it() -> None:
    """As their model says."""
    trail, seen, after = AuditTrail(Kept()), [], {}
    while True:
        page = cast(dict[str, Any], await trail.list(asked(limit="4", **after)))
        checked(answers.AuditEntries, page, "answer")
        seen += [entry["id"] for entry in page["items"]]
        if page["next"] is None:
            break
        assert mark(page["next"], int) == (seen[-1],)
        after = {"after": page["next"]}
    assert seen == list(range(10, 0, -1))


async def test_one_kind_is_asked_for() -> None:
    """And comes alone."""
    page = cast(dict[str, Any], await AuditTrail(Kept()).list(asked(kind="role_assigned")))
    assert {entry["kind"] for entry in page["items"]} == {"role_assigned"}


async def test_it_says_whether_it_is_whole() -> None:
    """As its model says, with what waits."""
    said = cast(dict[str, Any], await AuditTrail(Kept()).verify(asked()))
    checked(answers.AuditVerdict, said, "answer")
    assert (said["intact"], said["waiting"]) == (False, 2)


def test_the_document_has_it_where_it_is_kept() -> None:
    """And is valid with it."""
    found = document(AuditTrail(Kept()).operations(), "/_adm", "/api/v1")
    assert {"/_adm/api/v1/audit", "/_adm/api/v1/audit/verify"} <= found["paths"].keys()
    validate(found, cls=OpenAPIV31SpecValidator)


@pytest.mark.parametrize("name", ["listAudit", "verifyAudit"])
def test_it_is_for_staff_and_managers(name: str) -> None:
    """Nobody else reads what others did."""
    manager = Account("manager", "M", Owner("owner", ""), is_manager=True)
    plain = Account("plain", "P", Owner("owner", ""))
    for account in (STAFF, manager):
        assert admit(principal(account), name).account is account
    with pytest.raises(RequestRejected, match="forbidden"):
        admit(principal(plain), name)

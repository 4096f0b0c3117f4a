"""What the document says of the caller's own account is what those endpoints answer."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from gateway.control.api.own import ENDPOINTS, Own

from .desk import NOBODY, Answer, Desk, Tenant
from .operations import LATER


def token(desk: Desk, tenant: Tenant) -> str:
    """The id of a connection string that the member has just made."""
    desk.ask("POST", "/_adm/beginners/tokens", tenant.member, body(tenant))
    return str(desk.ask("GET", "/_adm/beginners/tokens", tenant.member).json()[0]["id"])


def body(tenant: Tenant) -> dict[str, Any]:
    return {"tenantId": tenant.id, "role": "reader", "expiresAt": LATER, "name": "nightly"}


def called(desk: Desk, own: Own) -> Answer:
    """Well: by a member who has two sessions and a connection string."""
    tenant = desk.tenant()
    other = desk.again(tenant.member)
    id = token(desk, tenant) if "tokens" in own.path else other.grant_id
    said = None if own.body is None else body(tenant)
    return desk.ask(own.method, "/_adm" + own.path.replace("{id}", id), tenant.member, said)


@pytest.mark.parametrize("own", ENDPOINTS, ids=lambda own: own.name)
def test_an_answer_is_what_the_document_says(desk: Desk, own: Own) -> None:
    """Every member of it, strictly, and none besides."""
    answer = called(desk, own)
    if own.answer is None:
        assert (answer.status, answer.body) == (204, b"")
        return
    assert answer.status == own.status, answer.body
    kind: Any = list[own.answer] if own.many else own.answer  # type: ignore[name-defined]
    found = TypeAdapter(kind).validate_json(answer.body, strict=True)
    assert found


@pytest.mark.parametrize("own", ENDPOINTS, ids=lambda own: own.name)
def test_a_fault_is_what_the_document_says(desk: Desk, own: Own) -> None:
    """Of a caller who presents nothing."""
    answer = desk.ask(own.method, "/_adm" + own.path.replace("{id}", NOBODY), None, None if own.body is None else {})
    assert answer.status == 401
    assert answer.headers.get_content_type() == own.fault_type
    own.fault.model_validate_json(answer.body)

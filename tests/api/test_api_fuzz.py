"""What schemathesis makes of the document, sent to a running gateway: no server error, and no answer that the document
does not allow, whether the staff or an ordinary account calls."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from harness.people import People
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.app.logins import admin_api

from .desk import Desk, opened

EXAMPLES: Final = 6  # of each operation and caller
# Not `unsupported_method`: below the mount, what is no endpoint of ours is the routes', so that is a 404.
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]
# They would end the session that the rest is sent with.
ENDING: Final = ("endOtherSessions",)
NAMES: Final = sorted(
    operation["operationId"]
    for methods in admin_api().document()["paths"].values()  # type: ignore[attr-defined]
    for operation in methods.values()
    if operation["operationId"] not in ENDING
)


@pytest.fixture(scope="module")
def fuzzed(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A gateway of its own: what is sent there changes anything."""
    with opened(tmp_path_factory.mktemp("fuzzed"), people) as desk:
        yield desk


@pytest.fixture(scope="module")
def schema(fuzzed: Desk) -> Any:
    return schemathesis.openapi.from_url(f"{fuzzed.host.url}/_adm/openapi.json")


# the gateway is in this process, and whoever writes mails and file names draws random numbers
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("who", ["staff", "ordinary"])
@pytest.mark.parametrize("name", NAMES)
def test_no_call_breaks_anything(fuzzed: Desk, schema: Any, name: str, who: str) -> None:
    """Good and bad values, on people and tenants that are there and that are not."""
    fuzzed.host.hand.rest()
    tenant, person = fuzzed.tenant(), fuzzed.person()
    caller = fuzzed.again(fuzzed.staff) if who == "staff" else tenant.owner
    there = {"tenantId": tenant.id, "accountId": person.id, "grantId": person.grant_id, "role": "reader"}
    operation = schema.find_operation_by_id(name)
    cases = st.one_of(
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE),
    )

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=cases, real=st.booleans())
    def sent(case: Any, real: bool) -> None:
        if real:
            case.path_parameters = {key: there.get(key, value) for key, value in (case.path_parameters or {}).items()}
        if name == "rotateKeys" and isinstance(case.body, dict):
            case.body.pop("force", None)  # it would end the session that the rest is sent with
        case.call_and_validate(headers={"Authorization": f"Bearer {caller.token}"}, checks=CHECKS)
        fuzzed.host.hand.rest()

    sent()
    assert fuzzed.ask("GET", f"/accounts/{caller.id}", caller).status == 200  # who called was somebody all along

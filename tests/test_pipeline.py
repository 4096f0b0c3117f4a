"""One exchange's stages without sockets: in which order they are asked, and what is remembered of the last request."""

from collections.abc import Awaitable

import pytest
from harness.reading import read_request

from gateway.access.authenticate import Verified
from gateway.access.authorize import Permit
from gateway.access.inject import Injected
from gateway.errors import DependencyFailed, RequestRejected
from gateway.identity.model import Account, Owner, Principal
from gateway.pipeline import Admitted, Memo, Pipeline, Refused, Unverified
from gateway.routes.model import Access, AccessKind, Route
from gateway.routes.table import Table
from gateway.wire.credentials import Presented

NOW = 1000.0
ADA = Principal("ada", "ada@example.org", "internal", NOW + 60, Account("ada", "Ada", Owner("o", "ada@example.org")))


class Gate:
    """Knows what it was told. asked: the credentials that it was asked for, in order."""

    def __init__(self, known: dict[bytes, Verified | RequestRejected]) -> None:
        self.known = known
        self.asked: list[bytes] = []
        self.hits = 0

    def recall(self, presented: Presented, now: float) -> Verified | RequestRejected | None:
        self.asked.append(presented.raw)
        return self.known.get(presented.raw)

    def verify(self, presented: Presented, now: float) -> Awaitable[Verified]:
        return self._verify(presented, now)

    async def _verify(self, presented: Presented, now: float) -> Verified:
        if presented.raw == b"down":
            raise DependencyFailed("store_unavailable")
        if presented.raw == b"bug":
            raise ZeroDivisionError
        return Verified(ADA, now, now + 30)


class Injector:
    """Counts what it is asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def lines(self, verified: Verified | None, permit: Permit, now: float) -> Injected:
        self.asked += 1
        return Injected(b"x: 1\r\n", now + 30)


def pipeline(gate: Gate) -> Pipeline:
    routes = [
        Route("/public/**", frozenset(("GET",)), "u", Access(AccessKind.PUBLIC)),
        Route("/secure/**", frozenset(("GET",)), "u", Access(AccessKind.PROTECTED)),
        Route("/mfa/**", frozenset(("GET",)), "u", Access(AccessKind.PROTECTED, mfa=True)),
    ]
    builtin = Route("/_adm/own", frozenset(("GET",)), "builtin", Access(AccessKind.PUBLIC), builtin=True)
    return Pipeline(Table(routes), Table([builtin]), frozenset((b"_adm",)), gate, Injector())  # type: ignore[arg-type]


def ask(stages: Pipeline, path: str, token: bytes | None = b"t", memo: Memo | None = None, now: float = NOW) -> object:
    field = b"" if token is None else b"Authorization: Bearer " + token + b"\r\n"
    request = read_request(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n")
    return stages.decide(request, memo or Memo(), now)


@pytest.mark.parametrize(
    ("path", "token", "code"),
    [
        ("/nowhere", b"t", "no_route"),
        ("/secure/x", None, "no_credential"),
        ("/secure/%41", b"t", "ambiguous_path"),
        ("/nowhere/%41", b"t", "ambiguous_path"),
        ("/secure/x", b"revoked", "revoked_credential"),
        ("/mfa/x", b"t", "mfa_not_proven"),
        ("/_adm/other", b"t", "no_route"),
    ],
)
def test_what_is_refused(path: str, token: bytes | None, code: str) -> None:
    """By the first stage that says no."""
    gate = Gate({b"t": Verified(ADA, NOW, NOW + 30), b"revoked": RequestRejected("revoked_credential")})
    outcome = ask(pipeline(gate), path, token)
    assert isinstance(outcome, Refused)
    assert outcome.fault.code == code


@pytest.mark.parametrize("path", ["/public/x", "/_adm/own"])
def test_where_no_credential_counts_none_is_looked_at(path: str) -> None:
    """A stale token does not block a login."""
    gate = Gate({b"revoked": RequestRejected("revoked_credential")})
    assert isinstance(ask(pipeline(gate), path, b"revoked"), Admitted)
    assert gate.asked == []


def test_our_own_application_is_told_of_nobody() -> None:
    """It asks for itself."""
    outcome = ask(pipeline(Gate({})), "/_adm/own")
    assert isinstance(outcome, Admitted)
    assert outcome.injected is None


async def test_who_is_not_known_is_verified() -> None:
    """And then goes the same way."""
    stages = pipeline(Gate({}))
    outcome = ask(stages, "/secure/x")
    assert isinstance(outcome, Unverified)
    assert isinstance(await stages.settle(outcome, NOW), Admitted)
    refused = ask(stages, "/mfa/x")
    assert isinstance(refused, Unverified)
    assert isinstance(await stages.settle(refused, NOW), Refused)


async def test_what_cannot_be_found_out_is_refused() -> None:
    """S-26: a dependency's failure is an answer; a mistake of ours is not, and is never a pass."""
    stages = pipeline(Gate({}))
    down, bug = ask(stages, "/secure/x", b"down"), ask(stages, "/secure/x", b"bug")
    assert isinstance(down, Unverified)
    assert isinstance(bug, Unverified)
    outcome = await stages.settle(down, NOW)
    assert isinstance(outcome, Refused)
    assert outcome.fault.code == "store_unavailable"
    with pytest.raises(ZeroDivisionError):
        await stages.settle(bug, NOW)


@pytest.mark.parametrize(
    ("token", "later", "other_gate", "recalled"),
    [
        (b"t", 0.0, False, False),
        (b"t", 29.9, False, False),
        (b"t", 30.0, False, True),
        (b"t", -0.1, False, True),
        (b"T", 0.0, False, True),
        (b"t", 0.0, True, True),
    ],
    ids=["same", "before-end", "at-end", "clock-set-back", "other-token", "other-generation"],
)
def test_what_a_connection_presented_last_is_remembered(
    token: bytes, later: float, other_gate: bool, recalled: bool
) -> None:
    """For the very same bytes, by the same generation, while the cache would believe it."""
    known: dict[bytes, Verified | RequestRejected] = {
        b"t": Verified(ADA, NOW, NOW + 30),
        b"T": Verified(ADA, NOW, NOW + 30),
    }
    first, memo = Gate(known), Memo()
    stages = pipeline(first)
    assert isinstance(ask(stages, "/secure/x", b"t", memo), Admitted)
    second = Gate(known) if other_gate else first
    if other_gate:
        stages = pipeline(second)
    first.asked.clear()
    ask(stages, "/secure/x", token, memo, NOW + later)
    assert bool(second.asked) is recalled


def test_what_is_remembered_ends_with_a_purge() -> None:
    """A revocation ends the entry, and with it every memory of it."""
    entry = Verified(ADA, NOW, NOW + 30)
    gate, memo = Gate({b"t": entry}), Memo()
    stages = pipeline(gate)
    assert isinstance(ask(stages, "/secure/x", b"t", memo), Admitted)
    entry.until = 0.0
    gate.known[b"t"] = RequestRejected("revoked_credential")
    assert isinstance(ask(stages, "/secure/x", b"t", memo), Refused)


def test_what_is_remembered_is_judged_anew_on_another_route() -> None:
    """One route's permit is not another's."""
    gate, memo = Gate({b"t": Verified(ADA, NOW, NOW + 30)}), Memo()
    stages = pipeline(gate)
    assert isinstance(ask(stages, "/secure/x", b"t", memo), Admitted)
    assert isinstance(ask(stages, "/mfa/x", b"t", memo), Refused)
    assert isinstance(ask(stages, "/secure/x", None, memo), Refused)


@pytest.mark.parametrize(
    ("line", "host", "code"),
    [
        ("GET /secure/x", "b.test", None),
        ("GET /secure/x?other", "b.test", None),
        ("GET /public/x", "b.test", None),
        ("POST /secure/x", "b.test", "method_not_allowed"),
        ("GET /secure/x", "a.test", "mfa_not_proven"),
        ("GET /secure/X/../x", "b.test", "ambiguous_path"),
    ],
    ids=["same", "other-query", "other-path", "other-method", "other-host", "ambiguous"],
)
def test_a_remembered_route_is_that_of_the_very_same_request_line(line: str, host: str, code: str | None) -> None:
    """Target, method and host are each compared; what differs is matched anew."""
    access = Access(AccessKind.PROTECTED)
    routes = [
        Route("/secure/**", frozenset(("GET",)), "u", access),
        Route("/public/**", frozenset(("GET",)), "u", Access(AccessKind.PUBLIC)),
        Route("/secure/**", frozenset(("GET",)), "u", Access(AccessKind.PROTECTED, mfa=True), host="a.test"),
    ]
    gate, memo = Gate({b"t": Verified(ADA, NOW, NOW + 30)}), Memo()
    stages = Pipeline(Table(routes), Table([]), frozenset(), gate, Injector())  # type: ignore[arg-type]

    def told(line: str, host: str) -> str | None:
        head = f"{line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer t\r\n\r\n".encode()
        try:
            outcome = stages.decide(read_request(head), memo, NOW)
        except RequestRejected as fault:
            return fault.code
        return outcome.fault.code if isinstance(outcome, Refused) else None

    assert told("GET /secure/x", "b.test") is None
    assert told(line, host) == code
    assert told("GET /secure/x", "b.test") is None


def test_another_generation_matches_anew() -> None:
    """What was a public route before the reload may be none after it."""
    gate, memo = Gate({}), Memo()
    assert isinstance(ask(pipeline(gate), "/public/x", None, memo), Admitted)
    closed = Pipeline(Table([]), Table([]), frozenset(), gate, Injector())  # type: ignore[arg-type]
    assert isinstance(ask(closed, "/public/x", None, memo), Refused)

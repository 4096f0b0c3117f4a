"""What each header name means, in every spelling that some upstream would take for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import hops
from gateway.wire.hops import RequestNames, ResponseNames, fold, tokens, without

CONNECTION_STRING = b"x-mycelium-connection-string"


def kind(name: bytes, *allowed: bytes) -> int:
    return RequestNames(CONNECTION_STRING, allowed).classify(name)


REQUEST = {
    hops.FORWARD: "Accept Cookie User-Agent X-Any Range Content-Type Sec-WebSocket-Protocol x-myceliumx a",
    hops.RESERVED: (
        "x-mycelium-profile X-Mycelium-Profile X-MYCELIUM-EMAIL x-mycelium-anything x-mycelium- x-gateway-peer"
        " X-Gateway-X"
    ),
    hops.DROP: (
        "Keep-Alive Proxy-Connection TE Trailer Proxy-Authorization Proxy-Authenticate HTTP2-Settings"
        " X-HTTP-Method-Override X-HTTP-Method X-Method-Override Proxy"
    ),
    hops.REFUSE: "x_mycelium_profile X-Mycelium_Profile x.mycelium.profile x+mycelium~profile a_b a.b a!b x|y _ ~",
    hops.HOST: "Host host HOST",
    hops.AUTHORIZATION: "Authorization authorization",
    hops.CONNECTION_STRING: "x-mycelium-connection-string X-Mycelium-Connection-String",
    hops.TENANT: "x-mycelium-tenant-id X-Mycelium-Tenant-Id",
    hops.REQUEST_ID: "x-mycelium-request-id",
    hops.TRACEPARENT: "traceparent Traceparent TRACEPARENT",
    hops.TRACESTATE: "tracestate TraceState",
    hops.CONNECTION: "Connection connection",
    hops.UPGRADE: "Upgrade",
    hops.EXPECT: "Expect",
    hops.LENGTH: "Content-Length content-length",
    hops.ENCODING: "Transfer-Encoding",
    hops.FORWARDING: "Forwarded X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host x-forwarded-for"
    " X-Forwarded-Uri X-Forwarded-Method X-Original-URI X-Original-Method"
    " X-Real-IP X-Forwarded-Port X-Forwarded-Prefix X-Forwarded-Server X-Original-URL X-Original-Host X-Rewrite-URL"
    " True-Client-IP X-Client-IP Front-End-Https",
    hops.WEBSOCKET: "Sec-WebSocket-Key Sec-WebSocket-Version",
}


@pytest.mark.parametrize(("expected", "name"), [(k, name) for k, names in REQUEST.items() for name in names.split()])
def test_a_request_field_by_its_name(expected: int, name: str) -> None:
    """Case does not matter."""
    assert kind(name.encode()) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"user_id", hops.FORWARD),
        (b"USER_ID", hops.FORWARD),
        (b"user.id", hops.REFUSE),
        (b"x_mycelium_profile", hops.RESERVED),
        (b"x_gateway_peer", hops.RESERVED),
        (b"content_length", hops.DROP),
        (b"x_forwarded_for", hops.DROP),
        (b"x_real_ip", hops.DROP),
        (b"x_mycelium_connection_string", hops.RESERVED),
        (b"authorization_", hops.FORWARD),
    ],
)
def test_a_name_that_is_let_through_is_not_thereby_believed(name: bytes, expected: int) -> None:
    """An odd name that folds to one of ours is dropped even where the operator allows it."""
    allowed = [name.lower()] if name != b"user.id" else [b"user_id"]
    assert kind(name, *allowed) == expected


def test_another_header_may_carry_connection_strings() -> None:
    """Then that one is the credential, and the usual one a name of the namespace, which is dropped."""
    names = RequestNames(b"x-api-key")
    assert names.classify(b"X-Api-Key") == hops.CONNECTION_STRING
    assert names.classify(b"x-mycelium-connection-string") == hops.RESERVED


@given(st.text(alphabet="xX-_.+~ mycelium", min_size=1, max_size=12), st.booleans())
def test_no_spelling_of_the_namespace_is_forwarded(rest: str, upper: bool) -> None:
    """S-5: whatever stands for the hyphens."""
    for between in "-_.+~!":
        name = between.join(("x", "mycelium", rest.replace(" ", "") or "y"))
        assert kind((name.upper() if upper else name).encode()) != hops.FORWARD


NAMES = [RequestNames(CONNECTION_STRING), ResponseNames(), ResponseNames(reserved=True)]


@pytest.mark.parametrize("names", NAMES)
def test_spellings_are_remembered_up_to_a_bound(names: RequestNames | ResponseNames) -> None:
    """A client that invents names must not fill the memory, neither by their number nor by their length."""
    for number in range(5000):
        assert names.classify(b"x-%d" % number) == hops.FORWARD
        assert names.classify(b"x-%060d%05d" % (0, number)) == hops.FORWARD
        assert len(names.known) <= 2048
    assert max(map(len, names.known)) <= 64


@pytest.mark.parametrize(("length", "learned"), [(1, True), (64, True), (65, False), (8192, False)])
def test_short_spellings_are_learned(length: int, learned: bool) -> None:
    """A long one is classified each time that it comes, at the expense of who sends it."""
    for names in (RequestNames(CONNECTION_STRING), ResponseNames()):
        assert names.classify(b"q" * length) == hops.FORWARD
        assert (b"q" * length in names.known) is learned


def test_what_is_full_learns_on() -> None:
    """After a flood of invented names, a name is unknown once, and what everybody sends is not at all."""
    names = RequestNames(CONNECTION_STRING, [b"user_id"])
    for number in range(10_000):
        names.classify(b"x-%d" % number)
        assert b"DNT" in names.known
    names.classify(b"X-Our-Own")
    assert names.known[b"X-Our-Own"] == hops.FORWARD
    kept = b"Host host User-Agent Authorization Sec-Ch-Ua sec-ch-ua Dnt X-Mycelium-Connection-String user_id User_id"
    assert [name for name in kept.split() if name not in names.known] == []


def test_what_one_has_learned_another_has_not() -> None:
    """The usual spellings are shared by all, and never written to."""
    one, other = RequestNames(CONNECTION_STRING), RequestNames(CONNECTION_STRING)
    one.classify(b"x-learned")
    assert (b"x-learned" in one.known, b"x-learned" in other.known) == (True, False)
    assert b"x-learned" not in RequestNames(CONNECTION_STRING).known


def test_the_usual_spellings_mean_what_they_would_if_they_were_learned() -> None:
    """Among them no odd one that would be let through, and the credential is what the settings say."""
    for names in (RequestNames(b"x-api-key"), *NAMES):
        assert [name for name, kind in dict(names.known).items() if names.classify(name) != kind] == []
    assert RequestNames(b"x-api-key").known[b"X-API-Key"] == hops.CONNECTION_STRING
    assert RequestNames(CONNECTION_STRING).known[b"X-API-Key"] == hops.FORWARD


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"Set-Cookie", hops.FORWARD),
        (b"Content-Type", hops.FORWARD),
        (b"x_any", hops.FORWARD),
        (b"Connection", hops.CONNECTION),
        (b"Upgrade", hops.UPGRADE),
        (b"Content-Length", hops.LENGTH),
        (b"Transfer-Encoding", hops.ENCODING),
        (b"Keep-Alive", hops.DROP),
        (b"Trailer", hops.DROP),
        (b"TE", hops.DROP),
        (b"Proxy-Authenticate", hops.DROP),
        (b"x-mycelium-profile", hops.DROP),
        (b"X_Mycelium.Profile", hops.DROP),
        (b"x-gateway-x", hops.DROP),
    ],
)
def test_a_response_field_by_its_name(name: bytes, expected: int) -> None:
    """S-3: the reserved namespaces never reach a client."""
    assert ResponseNames().classify(name) == expected


def test_our_own_application_may_use_the_namespace() -> None:
    """Hop-by-hop fields end there as well."""
    names = ResponseNames(reserved=True)
    assert names.classify(b"x-mycelium-x") == hops.FORWARD
    assert names.classify(b"Keep-Alive") == hops.DROP


RELAYS = (
    b"Via Forwarded CDN-Loop Max-Forwards X-Forwarded X-Forwarded-Anything X-Original-URL X-Original-Forwarded-For"
    b" X-Originating-IP X-Real-IP X-Client-IP X-Remote-IP X-Remote-Addr X-Cluster-Client-IP CF-RAY CF-Connecting-IP"
    b" Fastly-Client-IP X-Envoy-External-Address X-Amz-Cf-Id X-Amzn-Trace-Id X-Azure-FDID Fly-Region True-Client-IP via"
    b" VIA x_forwarded_for X.Real.IP Client-IP WL-Proxy-Client-IP Proxy-Client-IP"
)
OWN = (
    b"Host User-Agent Accept Accept-Encoding Accept-Language Cookie Origin Referer DNT Sec-Fetch-Site Sec-CH-UA"
    b" Viewport-Width Content-Type Content-Length Connection Cache-Control Pragma Priority X-Requested-With"
    b" X-CSRFToken X-Request-ID X-API-Key X-Setup-Token Traceparent x-gateway-peer x-gateway-direct x-gateway-host"
    b" x-gateway-scheme x-gateway-request-id x-mycelium-connection-string x-mycelium-tenant-id Authorization Range"
)


@pytest.mark.parametrize("name", RELAYS.split())
def test_a_relays_mark_is_known_by_its_name(name: bytes) -> None:
    """In any spelling."""
    assert hops.is_relays(name)


@pytest.mark.parametrize("name", OWN.split())
def test_what_clients_and_the_edge_send_is_no_mark(name: bytes) -> None:
    """Else nobody would be at the machine itself."""
    assert not hops.is_relays(name)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", set()),
        (b"close", {b"close"}),
        (b"Close, KEEP-ALIVE", {b"close", b"keep-alive"}),
        (b" a ,,\tb\t, ", {b"a", b"b"}),
        (b"a b", {b"a b"}),
    ],
)
def test_a_list_field_has_members(value: bytes, expected: set[bytes]) -> None:
    """RFC 9110 section 5.6.1: empty ones do not count."""
    assert tokens(value) == expected


def test_fields_are_taken_out_by_name() -> None:
    """Every copy, in any case; the others keep their order."""
    fields = [b"A", b": ", b"1", b"\r\n", b"b", b": ", b"2", b"\r\n", b"a", b": ", b"3", b"\r\n"]
    assert without(fields, frozenset((b"a",))) == fields[4:8]


@pytest.mark.parametrize(("name", "folded"), [(b"X_Y.Z", b"x-y-z"), (b"a1", b"a1"), (b"\xff", b"-")])
def test_folding_is_what_the_most_forgiving_upstream_does(name: bytes, folded: bytes) -> None:
    """CGI and WSGI map case and every other character."""
    assert fold(name) == folded

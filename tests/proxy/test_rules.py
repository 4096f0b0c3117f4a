"""Header rules of a route: what they change, and that they change nothing that is the gateway's. Values only."""

from collections.abc import Mapping

import pytest
from harness.reading import read_request, read_response
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.access.authorize import Permit
from gateway.app.headers import answer_rules, request_rules
from gateway.proxy.finish import finish, informational, switching
from gateway.proxy.prepare import Aim, prepare
from gateway.routes.model import Access, AccessKind, Route
from gateway.settings.headers import ListenSecurityHeaders, RequestRules
from gateway.settings.route import Route as RouteSettings
from gateway.wire.hops import NAMESPACES, fold
from gateway.wire.rules import Rules

ID = b"11111111-2222-4333-8444-555555555555"
OURS = {
    b"x-mycelium-profile": b"ours",
    b"x-mycelium-email": b"ada@example.org",
    b"x-mycelium-tenant-id": b"t",
    b"x-mycelium-security-group": b"protected",
    b"x-mycelium-service-name": b"u",
    b"x-mycelium-assertion": b"signed",
}
FORWARDED = {b"x-forwarded-for": b"9.9.9.9", b"forwarded": b"for=9.9.9.9", b"x-forwarded-proto": b"https"}
TRACE = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


def lines(fields: Mapping[bytes, bytes]) -> bytes:
    return b"".join(b"%b: %b\r\n" % field for field in fields.items())


def sent(*client: bytes, said: Mapping[str, object], odd: tuple[str, ...] = ()) -> list[tuple[bytes, bytes]]:
    """The fields that the upstream gets."""
    rules = request_rules(RequestRules.model_validate(said), odd)
    route = Route("/**", frozenset(("GET",)), "u", Access(AccessKind.PUBLIC), request_rules=rules)
    head = b"\r\n".join((b"GET /x HTTP/1.1", b"Host: gateway.test", *client, b"", b""))
    request = read_request(head, *(name.encode() for name in odd))
    raw = prepare(
        request, Permit(None, route, (), (), 0.0), lines(OURS), Aim(b"up:1"), lines(FORWARDED), ID, lines(TRACE)
    )
    assert raw.endswith(b"\r\n\r\n")
    assert raw.count(b"\r\n\r\n") == 1
    _, *found = raw[:-4].split(b"\r\n")
    return [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in found)]


def values(fields: list[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value for key, value in fields if key == name]


@pytest.mark.parametrize(
    ("said", "client", "name", "got"),
    [
        ({"set": {"x-a": "ours"}}, (b"X-A: theirs", b"x-a: too"), b"x-a", [b"ours"]),
        ({"set": {"X-A": "ours"}}, (), b"x-a", [b"ours"]),
        ({"add": {"x-a": "ours"}}, (b"X-A: theirs",), b"x-a", [b"theirs", b"ours"]),
        ({"add": {"x-a": "ours"}}, (), b"x-a", [b"ours"]),
        ({"remove": ("X-A",)}, (b"x-a: theirs", b"X-a: too"), b"x-a", []),
        ({"remove": ("x-a",)}, (b"x-ab: theirs",), b"x-ab", [b"theirs"]),
        ({"set": {"x-a": ""}}, (b"X-A: theirs",), b"x-a", [b""]),
        ({"set": {"x-a": "caf\u00e9"}}, (), b"x-a", [b"caf\xe9"]),
        ({"set": {"x-a": "ours"}}, (b"Connection: x-a", b"X-A: theirs"), b"x-a", [b"ours"]),
    ],
)
def test_what_a_rule_does(said: dict[str, object], client: tuple[bytes, ...], name: bytes, got: list[bytes]) -> None:
    """In the place of the client's, beside it, or out; what `Connection` lists takes nothing of ours away (S-7)."""
    assert values(sent(*client, said=said), name) == got


@pytest.mark.parametrize(
    "said", [{"set": {"x-api-key": "ours"}}, {"remove": ("x-api-key",)}, {"set": {"X_api.Key": "a"}}]
)
def test_a_spelling_that_an_upstream_may_take_for_it_goes_too(said: dict[str, object]) -> None:
    """S-5: where `listen.allow_headers` lets one through, CGI reads both names as one."""
    got = sent(b"x_api_key: theirs", b"X-Api-Key: theirs", said=said, odd=("x_api_key", "user_id"))
    assert b"theirs" not in dict(got).values()


def test_another_odd_name_is_left_alone() -> None:
    """The rule is about one name."""
    assert values(sent(b"user_id: 7", said={"remove": ("x-a",)}, odd=("user_id",)), b"user_id") == [b"7"]


def test_without_rules_there_is_nothing_to_apply() -> None:
    """None is what the measured path asks for."""
    assert request_rules(RequestRules(), ("user_id",)) is None
    assert answer_rules(said_of(), ListenSecurityHeaders()) is None


NAME = st.one_of(
    st.text("abcxyz-_.~ABC", min_size=1, max_size=12),
    st.sampled_from([name.decode() for name in (*OURS, *FORWARDED, *TRACE)]),
    st.sampled_from(
        ["host", "authorization", "connection", "X_Mycelium_Profile", "x.mycelium.email", "x-gateway-peer"]
    ),
    st.sampled_from(["cookie", "user-agent", "x-mycelium", "xmycelium-profile", "X-Real-Ip", "content-length", "te"]),
)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12) | st.sampled_from(
    ["a\r\nx-mycelium-profile: forged", "a\nhost: forged", "caf\u00e9", " a", "\u20ac"]
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "set": st.dictionaries(NAME, VALUE, max_size=4),
        "add": st.dictionaries(NAME, VALUE, max_size=4),
        "remove": st.lists(NAME, max_size=4).map(tuple),
    },
)
FORGED = b"forged"
CLIENT = st.lists(
    st.sampled_from(
        [
            *(
                name.title() + b": " + FORGED for name in (*OURS, *FORWARDED, *TRACE) if b"tenant" not in name
            ),  # twice is a 400
            b"Connection: x-mycelium-profile, x-forwarded-for, x-a",
            b"X-A: theirs",
            b"Cookie: a=b",
            b"User-Agent: c",
            b"x-gateway-peer: " + FORGED,
        ]
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(said=RULES, client=CLIENT)
def test_whatever_the_rules_the_upstream_gets_what_the_gateway_says_once(
    said: dict[str, object], client: list[bytes]
) -> None:
    """Every rule that can be configured, every header that a client can send."""
    try:
        RequestRules.model_validate(said)
    except ValidationError:
        assume(False)
    got = sent(*client, said=said)
    assert FORGED not in dict(got).values()
    for name, value in {**OURS, **FORWARDED, **TRACE, b"host": b"gateway.test", b"x-mycelium-request-id": ID}.items():
        assert values(got, name) == [value]
    reserved = {name for name, _ in got if fold(name).startswith(NAMESPACES)}
    assert reserved == {*OURS, b"x-mycelium-request-id"}


@given(name=NAME, client=CLIENT, kind=st.sampled_from(["set", "add", "remove"]))
def test_a_rule_that_could_touch_what_the_gateway_says_cannot_be_configured(
    name: str, client: list[bytes], kind: str
) -> None:
    """The other side: one rule alone is refused at load, or is about a name that is the client's."""
    said: dict[str, object] = {kind: (name,) if kind == "remove" else {name: "rule"}}
    folded = fold(name.encode())
    ours = folded in {*OURS, *FORWARDED, *TRACE, b"host"} or folded.startswith(NAMESPACES)
    try:
        RequestRules.model_validate(said)
    except ValidationError:
        return
    assert not ours
    assert values(sent(*client, said=said), b"x-mycelium-profile") == [b"ours"]


# answers


def said_of(**keys: object) -> RouteSettings:
    return RouteSettings.model_validate({"path": "/**", "upstream": "u", "access": "public", **keys})


def answered(*upstream: bytes, hsts: str = "off", own: bytes = b"", **keys: object) -> list[tuple[bytes, bytes]]:
    """The fields that the client gets."""
    rules = answer_rules(said_of(**keys), ListenSecurityHeaders.model_validate({"hsts": hsts}))
    response = read_response(b"\r\n".join((b"HTTP/1.1 200 OK", *upstream, b"Content-Length: 0", b"", b"")))
    request = read_request(b"GET /x HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    head, _, _ = finish(response, request, True, ID, own, rules)
    _, *found = head[:-4].split(b"\r\n")
    return [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in found)]


@pytest.mark.parametrize(
    ("rules", "upstream", "name", "got"),
    [
        ({"set": {"server": "ours"}}, (b"Server: x", b"server: y"), b"server", [b"ours"]),
        ({"add": {"set-cookie": "a=b"}}, (b"Set-Cookie: c=d",), b"set-cookie", [b"c=d", b"a=b"]),
        ({"remove": ("X-Powered-By",)}, (b"x-powered-by: PHP",), b"x-powered-by", []),
        ({"set": {"cache-control": "no-store"}}, (), b"cache-control", [b"no-store"]),
    ],
)
def test_what_a_rule_does_to_an_answer(
    rules: dict[str, object], upstream: tuple[bytes, ...], name: bytes, got: list[bytes]
) -> None:
    """In the place of the upstream's, beside it, or out."""
    assert values(answered(*upstream, headers={"response": rules}), name) == got


def test_the_gateways_own_lines_come_after_the_rules() -> None:
    """No rule takes a line of them away."""
    got = answered(b"Vary: accept", own=b"vary: origin\r\n", headers={"response": {"remove": ("vary",)}})
    assert values(got, b"vary") == [b"origin"]


@pytest.mark.parametrize(
    ("upstream", "keys", "name", "got"),
    [
        ((), {}, b"x-frame-options", []),
        ((), {"security_headers": {}}, b"x-frame-options", [b"DENY"]),
        ((), {"security_headers": {}}, b"x-content-type-options", [b"nosniff"]),
        ((), {"security_headers": {}}, b"referrer-policy", [b"strict-origin-when-cross-origin"]),
        ((), {"security_headers": {}}, b"content-security-policy", []),
        ((), {"security_headers": {"frame_options": "off"}}, b"x-frame-options", []),
        ((b"X-Frame-Options: SAMEORIGIN",), {"security_headers": {}}, b"x-frame-options", [b"SAMEORIGIN"]),
        (
            (b"X-Frame-Options: ALLOWALL",),
            {"security_headers": {}, "headers": {"response": {"remove": ("x-frame-options",)}}},
            b"x-frame-options",
            [b"DENY"],
        ),
        (
            (),
            {"security_headers": {}, "headers": {"response": {"set": {"X-Frame-Options": "SAMEORIGIN"}}}},
            b"x-frame-options",
            [b"SAMEORIGIN"],
        ),
        (
            (),
            {"security_headers": {"content_security_policy": "default-src 'self'"}},
            b"content-security-policy",
            [b"default-src 'self'"],
        ),
    ],
)
def test_security_headers_are_put_in_where_there_are_none(
    upstream: tuple[bytes, ...], keys: dict[str, object], name: bytes, got: list[bytes]
) -> None:
    """Only on a route that asks for them; what the upstream says of its own pages is its own business."""
    assert values(answered(*upstream, **keys), name) == got


def test_what_the_upstream_says_to_other_origins_is_replaced() -> None:
    """Two Access-Control-Allow-Origin lines are none to a browser."""
    said = (b"Access-Control-Allow-Origin: *", b"ACCESS-CONTROL-ALLOW-CREDENTIALS: true", b"Vary: accept-encoding")
    own = b"access-control-allow-origin: https://a.example\r\nvary: origin\r\n"
    got = answered(*said, own=own, cors={"origins": ("https://a.example",)})
    assert values(got, b"access-control-allow-origin") == [b"https://a.example"]
    assert values(got, b"access-control-allow-credentials") == []
    assert values(got, b"vary") == [b"accept-encoding", b"origin"]


@pytest.mark.parametrize(("hsts", "got"), [("off", [b"max-age=1"]), ("1d", [b"max-age=86400"])])
def test_the_listener_says_for_how_long_tls_holds(hsts: str, got: list[bytes]) -> None:
    """It is about the name, not about one upstream of many."""
    own = b"" if hsts == "off" else b"strict-transport-security: max-age=86400\r\n"
    found = answered(b"Strict-Transport-Security: max-age=1", hsts=hsts, own=own)
    assert values(found, b"strict-transport-security") == got


def test_a_1xx_loses_what_is_to_be_gone_and_gets_nothing() -> None:
    """It is none of the answer that the rules are about; what must not be told is not told early either."""
    rules = Rules(frozenset((b"server",)), b"x-a: b\r\n", ((b"x-c", b"x-c: d\r\n"),))
    response = read_response(b"HTTP/1.1 103 Early Hints\r\nServer: x\r\nLink: </a>\r\n\r\n")
    assert informational(response, rules) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def test_a_101_is_an_answer() -> None:
    """With the rules of the route, before what makes it a WebSocket."""
    rules = Rules(frozenset((b"server",)), b"x-a: b\r\n")
    response = read_response(b"HTTP/1.1 200 OK\r\nServer: x\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n")
    assert switching(response, ID, b"", rules) == (
        b"HTTP/1.1 101 Switching Protocols\r\nx-a: b\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"x-mycelium-request-id: " + ID + b"\r\n\r\n"
    )

"""Header rules, CORS and security headers: what may be said, and where each fault is told."""

from pathlib import Path

import pytest

from gateway.settings import header_names
from gateway.settings.faults import render
from gateway.settings.secrets import Secret
from gateway.wire import hops

from .conftest import Faults, Load
from .test_settings_load import route

TLS = "tls: { cert: a.pem, key: a.key }"
KEY = {"KEY": "s3cret-value"}


def request(rules: str) -> str:
    return route(f"headers: {{ request: {rules} }}")


def response(rules: str) -> str:
    return route(f"headers: {{ response: {rules} }}")


def cors(said: str) -> str:
    return route(f"cors: {{ {said} }}")


ORIGIN = "origins: [https://app.example.org]"

# text, code, a part of the message
FAULTS = [
    *((request(f"{{ {kind}: {{ '{name}': x }} }}"), "wrong_value", "the gateway says this itself")
      for kind in ("set", "add")
      for name in ("x-mycelium-profile", "X-Mycelium-Email", "x_mycelium_profile", "X-MYCELIUM_x", "x.mycelium.profile",
                   "x+mycelium~profile", "x-gateway-peer", "X_Gateway-Peer")),
    (request("{ remove: [X_Mycelium-Profile] }"), "wrong_value", "the gateway says this itself"),
    (response("{ set: { x-mycelium-request-id: x } }"), "wrong_value", "the gateway says this itself"),
    (response("{ remove: [x-mycelium-request-id] }"), "wrong_value", "the gateway says this itself"),
    (request("{ set: { Host: x } }"), "wrong_value", "write forward: { host:"),
    *((request(f"{{ set: {{ {name}: x }} }}"), "wrong_value", "is the gateway's to say")
      for name in ("Connection", "content-length", "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Expect",
                   "Keep-Alive", "Proxy-Connection", "proxy-authorization", "http2-settings", "Proxy")),
    *((response(f"{{ add: {{ {name}: x }} }}"), "wrong_value", "is the gateway's to say")
      for name in ("connection", "Content-Length", "transfer_encoding", "keep-alive", "proxy-authenticate", "trailer")),
    *((request(f"{{ remove: [{name}] }}"), "wrong_value", "the gateway says that itself")
      for name in ("X-Forwarded-For", "x_forwarded_proto", "Forwarded", "X-Real-IP", "X-Original-URI")),
    (request("{ set: { X-HTTP-Method-Override: x } }"), "wrong_value", "another method"),
    (request("{ set: { traceparent: x } }"), "wrong_value", "traces"),
    (request("{ set: { sec-websocket-key: x } }"), "wrong_value", "handshake"),
    (request("{ add: { authorization: x } }"), "wrong_value", "forward: { authorization"),
    (request("{ remove: [Authorization] }"), "wrong_value", "forward: { authorization"),
    (request("{ set: { authorization: Bearer abc } }"), "wrong_value", "a credential is never in this file"),
    (route("forward: { authorization: true }, headers: { request: { set: { authorization: { env: KEY } } } }"),
     "wrong_value", "one of the two"),
    ("connection_strings: { header: x-cs }\n" + request("{ set: { X_CS: a } }"), "wrong_value", "takes it off"),
    *((request(f"{{ set: {{ '{name}': x }} }}"), "wrong_value", "is not a header name")
      for name in ("", "a b", "a:b", "a\tb", "ä", "a(b", "x" * 65)),
    *((request(f'{{ set: {{ x-a: "{value}" }} }}'), "wrong_value", "visible characters of Latin-1")
      for value in (r"a\r\nb", r"a\nx-mycelium-profile: b", r"\0", r"a\x7f", " a", "a ", r"a\t", r"a\x85", r"\xA0a",
                    "€")),
    (request('{ set: { x-a: "%s" } }' % ("x" * 4097)), "wrong_value", "4096 characters"),
    (request("{ set: { x-a: 1 } }"), "wrong_type", "must be text"),
    (request("{ add: { x-a: { env: KEY } } }"), "wrong_type", "must be text"),
    (response("{ set: { x-a: { env: KEY } } }"), "wrong_type", "must be text"),
    (request("{ set: { x-a: { env: NONE } } }"), "secret_missing", "'NONE' is not set"),
    (request("{ set: { x-a: b }, add: { x-a: c } }"), "duplicate_name", "has two rules, first at"),
    (request("{ set: { x-a: b }, remove: [X-A] }"), "duplicate_name", "has two rules, first at"),
    (request("{ add: { x-a: b }, remove: [x_a] }"), "duplicate_name", "has two rules, first at"),
    (request("{ set: { x-a: b, X-A: c } }"), "duplicate_name", "has two rules, first at"),
    (request("{ remove: [x-a, x-a] }"), "duplicate_name", "has two rules, first at"),
    (response("{ set: { access-control-allow-origin: '*' } }"), "wrong_value", "write cors: instead"),
    (route(f"cors: {{ {ORIGIN} }}, headers: {{ response: {{ remove: [access-control-allow-origin] }} }}"),
     "wrong_value", "takes the upstream's away"),
    (request("{ put: { x-a: b } }"), "unknown_key", "'put'"),
    (cors("headers: [x-a]"), "missing_key", "'origins'"),
    (cors("origins: []"), "wrong_value", "at least one"),
    (cors("origins: ['*'], credentials: true"), "wrong_value", "list the origins instead"),
    (cors("origins: ['*', 'https://a.example']"), "wrong_value", "everybody already"),
    (cors("origins: ['null']"), "wrong_value", "it names nobody"),
    *((cors(f"origins: ['{origin}']"), "wrong_value", "is not an origin")
      for origin in ("app.example.org", "https://a.example/", "https://a.example/x", "https://u@a.example",
                     "//a.example", "https://", "https://a.example?x", "https://a b")),
    *((cors(f"origins: ['{origin}']"), "wrong_value", "before two more")
      for origin in ("https://*", "https://*.org", "https://a.*.example.org", "https://*a.example.org",
                     "https://*.*.example.org", "https://app*", "https://*.1.2")),
    *((cors(f"origins: ['{origin}']"), "wrong_value", "the default one is left out")
      for origin in ("https://a.example:443", "http://a.example:80", "https://a.example:0", "https://a.example:65536",
                     "https://a.example:08443")),
    (cors("origins: ['https://bücher.example']"), "wrong_value", "is not a host"),
    (cors(f"{ORIGIN}, headers: ['*']"), "wrong_value", "list the names"),
    (cors(f"{ORIGIN}, expose: ['*']"), "wrong_value", "list the names"),
    (cors(f"{ORIGIN}, headers: ['a b']"), "wrong_value", "is not a header name"),
    (cors(f"{ORIGIN}, max_age: 25h"), "wrong_value", "from 0s to 24h"),
    (cors(f"{ORIGIN}, methods: [get]"), "wrong_value", "'get'"),
    (route(f"methods: [GET], cors: {{ {ORIGIN}, methods: [PUT] }}"), "wrong_value", "does not answer PUT"),
    (route("websocket: { origins: ['*'] }"), "wrong_value", "leave the key out"),
    (route("websocket: { origins: [] }"), "wrong_value", "at least one"),
    ("login: { cors: { origins: ['null'] } }", "wrong_value", "it names nobody"),
    (f"login: {{ cors: {{ {ORIGIN}, methods: [GET] }} }}", "unknown_key", "'methods'"),
    ("listen: { security_headers: { hsts: 365d } }", "wrong_value", "only a listener with tls"),
    (f"listen: {{ {TLS}, security_headers: {{ hsts: 59s }} }}", "wrong_value", "from 1m to 3650d"),
    (f"listen: {{ {TLS}, security_headers: {{ hsts: 1d }} }}\n"
     + response("{ set: { strict-transport-security: x } }"), "wrong_value", "hsts says it"),
    (route("security_headers: { frame_options: deny }"), "wrong_value", "did you mean 'DENY'"),
    (route("security_headers: { referrer_policy: none }"), "wrong_value", "'none'"),
    (route('security_headers: { content_security_policy: "a\\nb" }'), "wrong_value", "visible characters"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "part"), FAULTS, ids=range(len(FAULTS)))
def test_each_fault_has_its_code_and_place(faults: Faults, text: str, code: str, part: str) -> None:
    """One fault, on the line of the rule, that says what to write instead."""
    (fault,) = faults(text, KEY)
    assert (fault.code, part in fault.message) == (code, True), render(fault)
    assert fault.line == len(text.splitlines())


RIGHT = [
    request("{ set: { x-api-key: { env: KEY } } }"),
    request("{ set: { authorization: { env: KEY } } }"),
    request("{ set: { x-empty: '', x-latin: 'caf\u00e9', x-tab: \"a\tb\", user_id: a }, remove: [cookie, origin] }"),
    request('{ set: { x-a: "%s" } }' % ("x" * 4096)),
    response("{ set: { server: x }, add: { set-cookie: 'a=b' }, remove: [x-powered-by, access-control-max-age] }"),
    cors("origins: ['*']"),
    cors("origins: ['https://*.example.org', 'http://localhost:3000', 'https://[::1]:8443', 'capacitor://localhost']"),
    cors(f"{ORIGIN}, credentials: true, max_age: 24h, methods: [GET, HEAD]"),
    route("websocket: { origins: ['https://app.example.org'] }"),
    f"listen: {{ {TLS}, security_headers: {{ hsts: 1m }} }}",
    "listen: { security_headers: { hsts: off } }",
    route("security_headers: {}"),
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT, ids=range(len(RIGHT)))
def test_the_right_side_of_each_rule(loaded: Load, text: str) -> None:
    """No fault."""
    loaded(text, KEY)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("HTTPS://App.Example.ORG", "https://app.example.org"),
        ("https://*.Example.org:8443", "https://*.example.org:8443"),
        ("http://[0:0::1]", "http://[::1]"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
    ],
)
def test_an_origin_is_read_as_browsers_write_it(loaded: Load, written: str, read: str) -> None:
    """In lower case, addresses in their shortest form."""
    said = loaded(cors(f"origins: ['{written}']")).settings.routes[0].cors
    assert said is not None
    assert said.origins == (read,)


def test_a_secret_is_read_from_its_file(loaded: Load, tmp_path: Path) -> None:
    """And is in no text of the settings."""
    (tmp_path / "key").write_text("s3cret-value\n")
    got = loaded(request("{ set: { x-api-key: { file: key } } }")).settings.routes[0].headers.request.set["x-api-key"]
    assert isinstance(got, Secret)
    assert (got.get_secret_value(), "s3cret" in repr(got)) == ("s3cret-value", False)


@pytest.mark.parametrize("value", ["s3cret\nx-mycelium-profile: me", "s3cret\x00", " s3cret", "s3cret€"])
def test_a_secret_that_no_header_can_hold_is_a_fault_that_does_not_tell_it(faults: Faults, value: str) -> None:
    """A line break in it would begin a header of its own."""
    (fault,) = faults(request("{ set: { x-api-key: { env: KEY } } }"), {"KEY": value})
    assert "visible characters" in fault.message
    assert "s3cret" not in render(fault)


@pytest.mark.parametrize("rule", ['x-api-key: "s3cret\\n"', "authorization: Bearer s3cret", "'Authorization': s3cret"])
def test_a_key_that_stands_in_the_file_is_not_shown_with_its_fault(faults: Faults, rule: str) -> None:
    """The source line is masked where it holds one."""
    (fault,) = faults(request(f"{{ set: {{ {rule} }} }}"))
    assert "s3cret" not in render(fault)
    assert "****" in render(fault)


def test_whether_the_clients_authorization_goes_on_is_no_secret(faults: Faults) -> None:
    """It is shown with a fault beside it."""
    (fault,) = faults(route("forward: { authorization: true, host: keep }"))
    assert "authorization: true" in render(fault)


def _names(*tables: object) -> list[str]:
    found: set[bytes] = set()
    for table in tables:
        found |= set(table)  # type: ignore[call-overload]
    return sorted(name.decode() for name in found)


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in _names(hops.SPECIAL, hops.HOP_BY_HOP, hops.METADATA, hops.ORIGINALS, hops.REWRITES, hops.NAMESPACES)
        if name != "authorization"
    ],
)
@pytest.mark.parametrize("spelt", [str, str.upper, lambda name: name.replace("-", "_")], ids=["as is", "upper", "_"])
def test_no_name_that_the_data_plane_keeps_for_itself_can_have_a_rule(name: str, spelt: object) -> None:
    """What the readers of requests do not forward, in every spelling: a new row there must be one here."""
    with pytest.raises(ValueError, match=":"):
        header_names.set_in_request(spelt(name))  # type: ignore[operator]


@pytest.mark.parametrize(
    "name", [*_names(hops.HOP_BY_HOP, hops.NAMESPACES), "connection", "upgrade", "content-length", "transfer-encoding"]
)
def test_no_name_of_an_answer_that_the_data_plane_keeps_can_have_a_rule(name: str) -> None:
    """What the readers of answers do not let through."""
    with pytest.raises(ValueError, match=":"):
        header_names.changed_in_answer(name)

"""Which origins are listed, what a preflight asks, and what an answer says. Values only."""

import pytest
from harness.reading import read_request

from gateway.wire.cors import VARY, Cors, CrossOrigin, Origins, origin_of, read_preflight
from gateway.wire.message import Request

APP = b"https://app.example.org"


def asked(*lines: bytes, method: bytes = b"OPTIONS") -> Request:
    return read_request(b"\r\n".join((method + b" /a HTTP/1.1", b"Host: gateway.test", *lines, b"", b"")))


def cors(
    origins: tuple[str, ...] = ("https://app.example.org",),
    methods: tuple[str, ...] = ("GET", "HEAD", "POST"),
    headers: tuple[str, ...] = ("authorization", "content-type"),
    expose: tuple[str, ...] = (),
    credentials: bool = False,
) -> Cors:
    return Cors(Origins(origins), methods, headers, expose, credentials, 600)


@pytest.mark.parametrize(
    ("listed", "origin", "held"),
    [
        ("https://app.example.org", "https://app.example.org", True),
        ("https://app.example.org", "http://app.example.org", False),
        ("https://app.example.org", "https://app.example.org:8443", False),
        ("https://app.example.org", "https://app.example.org.evil.example", False),
        ("https://app.example.org", "https://evilapp.example.org", False),
        ("https://app.example.org", "https://app-example.org", False),
        ("https://app.example.org", "https://APP.example.org", False),  # no browser writes it so
        ("https://app.example.org", "https://app.example.org/", False),
        ("https://app.example.org", "", False),
        ("https://app.example.org", "null", False),
        ("https://*.example.org", "https://a.example.org", True),
        ("https://*.example.org", "https://a_b-1.example.org", True),
        ("https://*.example.org", "https://example.org", False),
        ("https://*.example.org", "https://.example.org", False),
        ("https://*.example.org", "https://a.b.example.org", False),
        ("https://*.example.org", "https://aXexample.org", False),
        ("https://*.example.org", "https://a.example.org:8443", False),
        ("https://*.example.org", "https://evil.example/.example.org", False),
        ("https://*.example.org", "https://a.example.org.evil.example", False),
        ("https://*.example.org", "http://a.example.org", False),
        ("https://*.example.org", "https://*.example.org", False),
        ("https://*.example.org:8443", "https://a.example.org:8443", True),
        ("*", "https://anybody.example", True),
        ("*", "null", False),
    ],
)
def test_which_origins_are_listed(listed: str, origin: str, held: bool) -> None:
    """Byte for byte, but for one label where there is a `*`."""
    assert Origins([listed]).holds(origin.encode()) is held


def test_an_origin_that_is_not_there_is_in_no_list() -> None:
    """Not even in that of everybody."""
    assert not Origins(["*"]).holds(None)


@pytest.mark.parametrize(
    ("lines", "method", "preflight"),
    [
        ((b"Origin: " + APP, b"Access-Control-Request-Method: GET"), b"OPTIONS", True),
        ((b"Origin: " + APP, b"Access-Control-Request-Method: GET"), b"GET", False),
        ((b"Origin: " + APP,), b"OPTIONS", False),
        ((b"Access-Control-Request-Method: GET",), b"OPTIONS", False),
        ((), b"OPTIONS", False),
    ],
)
def test_what_a_preflight_is(lines: tuple[bytes, ...], method: bytes, preflight: bool) -> None:
    """OPTIONS with both headers, and nothing else."""
    assert (read_preflight(asked(*lines, method=method)) is not None) is preflight


def test_a_preflight_is_read() -> None:
    """Names of headers in lower case, from every line; empty members are none."""
    found = read_preflight(
        asked(
            b"origin:  " + APP + b" ",
            b"access-control-request-method: PUT\t",
            b"access-control-request-headers: X-A,,authorization ,",
            b"access-control-request-headers: x-b",
        )
    )
    assert found is not None
    assert (found.origin, found.method, found.headers) == (APP, b"PUT", {b"x-a", b"authorization", b"x-b"})


def test_two_origins_are_none() -> None:
    """Which of them the browser meant is a guess."""
    assert origin_of(asked(b"Origin: " + APP, b"Origin: " + APP)) is None


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        ((APP, b"GET", b""), ""),
        ((APP, b"HEAD", b""), ""),
        ((APP, b"POST", b"authorization,content-type"), ""),
        ((APP, b"POST", b"AUTHORIZATION"), ""),
        ((b"https://evil.example", b"GET", b""), "origin"),
        ((b"null", b"GET", b""), "origin"),
        ((APP, b"PUT", b""), "method"),
        ((APP, b"get", b""), "method"),
        ((APP, b"GET, POST", b""), "method"),
        ((APP, b"GET", b"x-other"), "headers"),
        ((APP, b"GET", b"authorization,x-other"), "headers"),
        ((APP, b"GET", b"*"), "headers"),
    ],
)
def test_what_a_preflight_is_told(lines: tuple[bytes, bytes, bytes], part: str) -> None:
    """Which of the three is not listed, in words of ours."""
    origin, method, headers = lines
    preflight = read_preflight(
        asked(
            b"Origin: " + origin,
            b"Access-Control-Request-Method: " + method,
            b"Access-Control-Request-Headers: " + headers,
        )
    )
    assert preflight is not None
    said = cors().refusal(preflight)
    assert (part in said, bool(said)) == (True, bool(part))
    assert "evil" not in said
    assert "x-other" not in said


def test_a_permission_whole() -> None:
    """The origin, the methods, the headers, and for how long."""
    preflight = read_preflight(asked(b"Origin: " + APP, b"Access-Control-Request-Method: GET"))
    assert preflight is not None
    assert cors(credentials=True).permission(preflight) == (
        b"access-control-allow-origin: https://app.example.org\r\n"
        b"access-control-allow-credentials: true\r\n"
        b"access-control-allow-methods: GET, HEAD, POST\r\n"
        b"access-control-allow-headers: authorization, content-type\r\n"
        b"access-control-max-age: 600\r\n"
    )


@pytest.mark.parametrize("origin", [b"", b"Origin: https://evil.example", b"Origin: null"])
def test_other_answers_say_that_they_hang_on_the_origin(origin: bytes) -> None:
    """Also one to a request that has none: a cache would give it to a page that has one."""
    assert cors().lines(asked(origin) if origin else asked()) == VARY


def test_an_answer_whole() -> None:
    """The origin as it is listed, and what the page may read beside the body."""
    assert cors(expose=("x-a", "x-b"), credentials=True).lines(asked(b"Origin: " + APP)) == (
        b"access-control-allow-origin: https://app.example.org\r\n"
        b"access-control-allow-credentials: true\r\n"
        b"vary: origin\r\n"
        b"access-control-expose-headers: x-a, x-b\r\n"
    )


def test_an_answer_for_everybody() -> None:
    """Names nobody."""
    assert (
        cors(origins=("*",))
        .lines(asked(b"Origin: https://any.example"))
        .startswith(b"access-control-allow-origin: *\r\n")
    )


UPGRADE = (
    b"Connection: upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
)


@pytest.mark.parametrize(
    ("lines", "out"),
    [
        ((*UPGRADE, b"Origin: " + APP), False),
        (UPGRADE, False),
        ((*UPGRADE, b"Origin: https://evil.example"), True),
        ((*UPGRADE, b"Origin: null"), True),
        ((*UPGRADE, b"Origin: " + APP, b"Origin: " + APP), True),
        ((b"Origin: https://evil.example",), False),
    ],
)
def test_whose_pages_open_websockets(lines: tuple[bytes, ...], out: bool) -> None:
    """S-24: those of the list, and what is no page; other requests are none of this rule's business."""
    rule = CrossOrigin(None, Origins(["https://app.example.org"]))
    assert rule.shuts_out(asked(*lines, method=b"GET")) is out
    assert not CrossOrigin(None, None).shuts_out(asked(*lines, method=b"GET"))

"""S-20, S-22, S-23: bytes that are no text in headers, and connections that are to become something else."""

from collections.abc import Iterator

from ..model import Case, Ground, Outcome, refused
from .smuggling import smuggled

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")  # RFC 9110 5.6.2
_NAME = b"X-Odd"
WEBSOCKET = (
    b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version: 13",
)  # fmt: skip
H2C = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")


def cases(ground: Ground) -> Iterator[Case]:
    yield from _values(ground)
    yield from _names(ground)
    yield from _upgrades(ground)
    yield from _h2c(ground)


def _values(ground: Ground) -> Iterator[Case]:
    for byte in range(256):
        mark = ground.mark()
        value = b"a%bb" % bytes([byte])
        sent = [ground.request(ground.public(mark), _NAME + b": " + value)]
        yield Case("S-20", f"{value!r} as a value", mark, sent, _as_sent(value))
    for value in (
        b"\x85admin\xa0",
        b"\xa0admin",
        b"\xed\xb2\x80",
        b"\xff\xfe",
        b"a\r\nX-Second: b"[:2] + b"\rX-Second: b",
    ):
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), _NAME + b": " + value)]
        yield Case("S-20", f"{value!r} as a value", mark, sent, _as_sent(value))


def _as_sent(value: bytes):
    """As it was, less white space around it, or not at all; never as a second line. LF may end it (RFC 9112 2.2)."""
    kept = value.partition(b"\n")[0].strip(b" \t")

    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if found := [got for got in record.all(_NAME) if got != kept]:
                return f"it arrived as {found[0]!r}"
            if record.all(b"x-second"):
                return "it arrived as two lines"
            if any(byte in got for got in record.all(_NAME) for byte in b"\0\r\n"):
                return f"{value!r} arrived"
        return None

    return judge


def _names(ground: Ground) -> Iterator[Case]:
    for byte in sorted(set(range(256)) - _TOKEN - set(b":\r\n")):
        mark = ground.mark()
        name = b"X-O%bd" % bytes([byte])
        sent = [ground.request(ground.public(mark), name + b": a")]
        yield Case("S-20", f"{name!r} as a name", mark, sent, _no_odd_name)


def _no_odd_name(outcome: Outcome) -> str | None:
    for record in outcome.records:
        for name, _ in record.fields:
            if not name or not set(name) <= _TOKEN:
                return f"{name!r} arrived as a name"
    return None


def _upgrades(ground: Ground) -> Iterator[Case]:
    mark = ground.mark()
    sent = [ground.request(ground.protected(mark) + b"/switch-101", *WEBSOCKET)]
    yield Case("S-22", "a WebSocket on a protected path, without a credential", mark, sent, refused)
    for status in (b"200", b"426", b"404", b"500", b"204"):
        mark = ground.mark()
        target = ground.public(mark) + b"/status-" + status
        segments = [ground.request(target, *WEBSOCKET), smuggled(ground, mark)]
        name = f"a WebSocket that is answered {status.decode()}, and what is sent then"
        yield Case("S-22", name, mark, segments, _no_tunnel, expect=None)
    for what, fields in {
        "version 9999": (*WEBSOCKET[:3], b"Sec-WebSocket-Version: 9999"),
        "no version": WEBSOCKET[:3],
        "no key": (*WEBSOCKET[:2], WEBSOCKET[3]),
        "two protocols": (WEBSOCKET[0], b"Upgrade: websocket, h2c", *WEBSOCKET[2:]),
        "Upgrade not listed in Connection": (b"Connection: keep-alive", *WEBSOCKET[1:]),
    }.items():
        mark = ground.mark()
        target = ground.public(mark) + b"/status-426"
        segments = [ground.request(target, *fields), smuggled(ground, mark)]
        yield Case("S-22", f"a WebSocket with {what}, and what is sent then", mark, segments, _no_tunnel, expect=None)
    for what, fields in {"a length": b"Content-Length: {}", "chunks": b"Transfer-Encoding: chunked"}.items():
        mark = ground.mark()
        inner = smuggled(ground, mark)
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner) if what == "chunks" else inner
        filled = fields.replace(b"{}", b"%d" % len(inner))
        sent = [ground.request(ground.public(mark) + b"/status-426", *WEBSOCKET, filled, body=body)]
        yield Case("S-22", f"a WebSocket with a body of {what}", mark, sent, _no_tunnel, expect=None)


def _no_tunnel(outcome: Outcome) -> str | None:
    return "a tunnel stood" if any(record.tunnel for record in outcome.records) else None


def _h2c(ground: Ground) -> Iterator[Case]:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for what, fields in {
        "as it should be": H2C,
        "not listed in Connection": (H2C[1], H2C[2]),
        "in capitals": (b"Connection: upgrade", b"Upgrade: H2C", H2C[2]),
        "beside a WebSocket": (b"Connection: upgrade", b"Upgrade: h2c, websocket", H2C[2]),
        "on a second line": (b"Connection: upgrade", b"Upgrade: websocket", b"Upgrade: h2c", H2C[2]),
        "by another name": (b"Connection: upgrade", b"Upgrade: h2", H2C[2]),
    }.items():
        mark = ground.mark()
        segments = [ground.request(ground.public(mark) + b"/switch-101", *fields), preface]
        yield Case("S-23", f"h2c, {what}", mark, segments, _no_h2c, expect=None)
    mark = ground.mark()
    prior = preface + b"\0\0\0\4\0\0\0\0\0"
    yield Case("S-23", "h2c, by prior knowledge", mark, [prior], refused, expect=None)


def _no_h2c(outcome: Outcome) -> str | None:
    for record in outcome.records:
        if any(b"h2" in value.lower() for value in record.all(b"upgrade")) or record.tunnel:
            return f"{record.all(b'upgrade')!r} was sent on as an upgrade"
    return None

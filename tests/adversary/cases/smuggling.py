"""S-18, S-19: one request is one request. What is smuggled asks for a protected path, which nobody may get at here."""

from collections.abc import Iterator

from ..model import Case, Ground, Outcome, passable

CHUNKED = b"Transfer-Encoding: chunked"
ODD = (
    b"\x00", b"\x01", b"\x07", b"\x08", b"\t", b"\x0b", b"\x0c", b"\x0e", b"\x1f", b" ", b"\x7f", b"\x80",
    b"\x85", b"\xa0", b"\xad", b"\xff", b"\"", b"'", b",", b";", b"\\", b"/", b"-", b"_", b"\n", b"\r",
    b"\r\n ", b"\r\n\t", b"\n ", b"\r\r\n", b":",
)  # fmt: skip
ENCODINGS = (
    b"xchunked", b"chunkedx", b"chunked x", b"x chunked", b"cow", b"identity", b"chunked, identity",
    b"identity, chunked", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"chunked;q=1",
    b"chunked;q=0", b"\"chunked\"", b"'chunked'", b"CHUNKED", b"Chunked", b"chunKed", b",chunked", b"chunked,",
    b" , chunked", b"chun\x6bed\x00", b"c\xc4\xa7unked", b"chun ked", b"chu\tnked", b"", b"nothing",
    b"deflate", b"%63hunked", b"=?utf-8?q?chunked?=", b"chunked\xc2\xa0", b"trailers, chunked", b"*",
    b"chunked\x0b, x",
)  # fmt: skip
LENGTHS = (
    b"+%d", b"-%d", b"0%d", b"0x%x", b"%d,%d", b"%d, 0", b"0, %d", b"%d;", b"%d 0", b"0 %d", b"%d.0", b"%de0",
    b"\"%d\"", b"%d\x0b", b"%d\x00", b"\xa0%d", b"%d\x00\x30", b"184467440737095516%d",
    b"99999999999999999999999%d", b"", b" ", b"x", b"%d_0", b"%d\xd9\xa3", b"%dL", b"(%d)", b"%d%%",
    b"%d\r\n 0",
)  # fmt: skip
SIZES = (
    b"0x5", b"+5", b"-5", b" 5", b"5 ", b"5\t", b"\t5", b"05", b"000000000000000000005", b"5g", b"5_", b"5,",
    b"5.0", b"\"5\"", b"10000000000000005", b"ffffffffffffffff", b"fffffffffffffffb", b"", b"5;", b"5;a",
    b"5;a=b", b"5;a=\"b\"", b"5;a=\"\r", b"5;\ra", b"5;\na", b"5;a\nb", b"5;a\x00", b"5\x0b", b"5\x00",
    b"5\xa0", b"5 ;a", b"5;a=\"\\\"", b"5;;", b"5\r", b"g", b"\xd9\xa5", b"5;" + b"a" * 20_000,
)  # fmt: skip
HOPS = {
    b"TE": b"trailers, deflate;q=0.5",
    b"Upgrade": b"x",
    b"HTTP2-Settings": b"AAMAAABkAARAAAAAAAIAAAAA",
    b"Keep-Alive": b"timeout=99",
    b"Proxy-Connection": b"keep-alive",
}


def cases(ground: Ground) -> Iterator[Case]:
    yield from _encodings(ground)
    yield from _lengths(ground)
    yield from _chunks(ground)
    yield from _heads(ground)
    yield from _bodies(ground)
    yield from _hops(ground)


def smuggled(ground: Ground, mark: bytes) -> bytes:
    return ground.request(ground.protected(mark) + b"/smuggled")


def _twice(ground: Ground, what: str, fields: tuple[bytes, ...], body: bytes, at: int | None = None) -> Iterator[Case]:
    """Whole, and in two segments: at the end of the head, or so many bytes before its end."""
    for whole in (True, False):
        mark = ground.mark()
        text = body.replace(b"{smuggled}", smuggled(ground, mark))
        filled = tuple(field.replace(b"{length}", b"%d" % len(text)) for field in fields)
        head = ground.request(ground.public(mark), *filled, method=b"POST")
        segments = [head + text] if whole else [head, text] if at is None else [head[:-at], head[-at:] + text]
        name = f"{what}, {'whole' if whole else 'in two segments'}"
        yield Case("S-18", name, mark, segments, passable, expect=None)


def _encodings(ground: Ground) -> Iterator[Case]:
    lines: dict[bytes, None] = {}
    for odd in ODD:
        for line in (
            odd + CHUNKED, b"Transfer-Encoding" + odd + b": chunked", b"Transfer-Encoding:" + odd + b"chunked",
            CHUNKED + odd, b"X-Before: a" + odd + CHUNKED, b"Transfer" + odd + b"Encoding: chunked",
        ):  # fmt: skip
            lines[line] = None
    for value in ENCODINGS:
        lines[b"Transfer-Encoding: " + value] = None
        lines[CHUNKED + b"\r\nTransfer-Encoding: " + value] = None
    for line in lines:
        # The one who believes the length gets a body; the one who believes the chunks gets a second request of it.
        name = f"{line!r} and a length"
        yield from _twice(ground, name, (line, b"Content-Length: {length}"), b"0\r\n\r\n{smuggled}")
        # And the other way round.
        yield from _twice(ground, name + " that is short", (b"Content-Length: 0", line), b"{smuggled}", 7)


def _lengths(ground: Ground) -> Iterator[Case]:
    probe = len(smuggled(ground, b"adv000000q"))
    for form in LENGTHS:
        value = form
        while b"%d" in value or b"%x" in value:
            value = value.replace(b"%d", b"%d" % probe, 1).replace(b"%x", b"%x" % probe, 1)
        value = value.replace(b"%%", b"%")
        yield from _twice(ground, f"a length of {value!r}", (b"Content-Length: " + value,), b"{smuggled}")
        both = (b"Content-Length: 0", b"Content-Length: " + value)
        yield from _twice(ground, f"a length of 0 and one of {value!r}", both, b"{smuggled}")
        both = (b"Content-Length: " + value, b"Content-Length: 0")
        yield from _twice(ground, f"a length of {value!r} and one of 0", both, b"{smuggled}")
    for odd in ODD:
        for line in (odd + b"Content-Length: {length}", b"Content-Length" + odd + b": {length}",
                     b"Content" + odd + b"Length: {length}"):  # fmt: skip
            yield from _twice(ground, f"{line!r}", (line,), b"{smuggled}", 5)


def _chunks(ground: Ground) -> Iterator[Case]:
    for size in SIZES:
        body = size + b"\r\naaaaa\r\n0\r\n\r\n{smuggled}"
        yield from _twice(ground, f"a chunk of {size[:30]!r}", (CHUNKED,), body)
    for what, body in {
        "ends with LF": b"5\naaaaa\n0\n\n{smuggled}",
        "ends with CR": b"5\raaaaa\r0\r\r{smuggled}",
        "has no end": b"5\r\naaaaa0\r\n\r\n{smuggled}",
        "ends with two other bytes": b"5\r\naaaaaxx0\r\n\r\n{smuggled}",
        "is longer than it says": b"4\r\naaaaa\r\n0\r\n\r\n{smuggled}",
        "is shorter than it says": b"6\r\naaaaa\r\n0\r\n\r\n{smuggled}",
        "is the last, by LF": b"0\n\n{smuggled}",
        "is the last, by CRLF LF": b"0\r\n\n{smuggled}",
        "is the last, by LF CRLF": b"0\n\r\n{smuggled}",
        "is the last, with an extension": b"0;a\r\n\r\n{smuggled}",
        "is the last, of many noughts": b"0000000000000000000000\r\n\r\n{smuggled}",
        "is the last, of minus nought": b"-0\r\n\r\n{smuggled}",
        "is the last, with a trailer": b"0\r\nX-Trailer: a\r\n\r\n{smuggled}",
        "is the last, with a length as trailer": b"0\r\nContent-Length: 5\r\n\r\n{smuggled}",
        "is the last, with chunks as trailer": b"0\r\nTransfer-Encoding: chunked\r\n\r\n{smuggled}",
        "is the last, with a host as trailer": b"0\r\nHost: evil.test\r\n\r\n{smuggled}",
        "is the last, with a folded trailer": b"0\r\nX: a\r\n b\r\n\r\n{smuggled}",
        "is the last, with a trailer of no name": b"0\r\n: a\r\n\r\n{smuggled}",
        "is the last, with a trailer that is a request": b"0\r\n{smuggled}",
        "is the last, with a trailer ended by LF": b"0\r\nX: a\n\n{smuggled}",
        "is not there": b"{smuggled}",
    }.items():
        yield from _twice(ground, f"a chunk that {what}", (CHUNKED,), body)


def _heads(ground: Ground) -> Iterator[Case]:
    """Ends of lines and of heads."""
    for what, change in {
        "LF alone": (b"\r\n", b"\n"),
        "an LF that ends the head": (b"\r\n\r\n", b"\r\n\n"),
        "CR alone": (b"\r\n", b"\r"),
        "CR CR LF": (b"\r\n", b"\r\r\n"),
        "a line of a space": (b"\r\n\r\n", b"\r\n \r\n"),
        "a NUL line": (b"\r\n\r\n", b"\r\n\0\r\n"),
        "a line without a colon": (b"\r\nHost", b"\r\nabc\r\nHost"),
        "a line without a name": (b"\r\nHost", b"\r\n: a\r\nHost"),
        "a space before the first field": (b"\r\nHost", b"\r\n X: a\r\nHost"),
        "a target with a space": (b" HTTP/1.1\r\n", b" x HTTP/1.1\r\n"),
        "a request line of two words": (b" HTTP/1.1\r\n", b"\r\n"),
        "a tab in the request line": (b" HTTP/1.1\r\n", b"\tHTTP/1.1\r\n"),
        "two spaces in the request line": (b" HTTP/1.1\r\n", b"  HTTP/1.1\r\n"),
        "a version cut short": (b" HTTP/1.1\r\n", b" HTTP/1\r\n"),
        "a request in the target": (b" HTTP/1.1\r\n", b"\rGET / HTTP/1.1\r\n"),
    }.items():
        mark = ground.mark()
        head = ground.request(ground.public(mark), b"Content-Length: 0", method=b"POST").replace(*change)
        yield Case("S-18", what, mark, [head + smuggled(ground, mark)], passable, expect=None)


def _bodies(ground: Ground) -> Iterator[Case]:
    """Requests that nobody gives a body, with one; bodies cut off; several requests at once."""
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"FOO"):
        for fields, body in (((b"Content-Length: {}",), b"{}"), ((CHUNKED,), b"%x\r\n{}\r\n0\r\n\r\n")):
            mark = ground.mark()
            inner = smuggled(ground, mark)
            filled = tuple(field.replace(b"{}", b"%d" % len(inner)) for field in fields)
            text = body.replace(b"%x", b"%x" % len(inner)).replace(b"{}", inner)
            sent = [ground.request(ground.public(mark), *filled, method=method, body=text)]
            name = f"{method.decode()} with a body, {filled[0].decode()}"
            yield Case("S-18", name, mark, sent, passable, expect=None, head=method == b"HEAD")
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        mark = ground.mark()
        fields = (CHUNKED, b"Connection: keep-alive")
        body = b"0\r\n\r\n" + smuggled(ground, mark)
        sent = [ground.request(ground.public(mark), *fields, method=b"POST", version=version, body=body)]
        yield Case("S-18", f"chunks in {version.decode()}", mark, sent, passable, expect=None)
    mark = ground.mark()
    one = ground.request(ground.public(mark))
    yield Case("S-18", "twenty requests at once", mark, [one * 20], _count(20), expect=20)
    mark = ground.mark()
    one = ground.request(ground.public(mark), b"Content-Length: 3", method=b"POST", body=b"abc")
    yield Case("S-18", "ten requests with bodies at once", mark, [one * 10], _count(10), expect=10)
    mark = ground.mark()
    one = ground.request(ground.public(mark), CHUNKED, method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n")
    yield Case("S-18", "ten requests with chunks at once", mark, [one * 10], _count(10), expect=10)
    for what, fields in {"a length": b"Content-Length: 5000", "chunks": CHUNKED}.items():
        mark = ground.mark()
        body = b"ff\r\n" + smuggled(ground, mark) if fields is CHUNKED else smuggled(ground, mark)
        sent = [ground.request(ground.public(mark), fields, method=b"POST", body=body)]
        yield Case("S-18", f"a body of {what} that breaks off", mark, sent, _never_whole, expect=None)


def _count(number: int):
    def judge(outcome: Outcome) -> str | None:
        arrived, answered = len(outcome.arrived), len(outcome.answers)
        return None if arrived == answered == number else f"{arrived} arrived, {answered} were answered"

    return judge


def _never_whole(outcome: Outcome) -> str | None:
    return "what broke off arrived as if it were whole" if outcome.arrived else None


def _hops(ground: Ground) -> Iterator[Case]:
    for name, value in HOPS.items():
        for fields in ((), (b"Connection: " + name,)):
            mark = ground.mark()
            sent = [ground.request(ground.public(mark), *fields, name + b": " + value)]
            label = name.decode() + (", listed in Connection" if fields else "")
            yield Case("S-19", label, mark, sent, _dropped(name, value), expect=1)
    spellings = (b"tRANSFER-eNCODING:  chUNKed", b"Transfer-Encoding:\tchunked", b"Transfer-Encoding: chunked \t")
    for line in spellings:
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), line, method=b"POST", body=b"3\r\nabc\r\n0\r\n\r\n")]
        yield Case("S-19", f"{line!r} arrives in one spelling", mark, sent, _respelt)
    for value in (b"100-continue", b"100-CONTINUE", b"200-ok", b"100-continue, 100-continue", b""):
        mark = ground.mark()
        fields = (b"Expect: " + value, b"Content-Length: 3")
        sent = [ground.request(ground.public(mark), *fields, method=b"POST"), b"abc"]
        yield Case("S-19", f"Expect: {value.decode()}", mark, sent, passable)


def _dropped(name: bytes, value: bytes):
    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if value in record.all(name):
                return f"{name.decode()} was sent on as it came"
        return None

    return judge


def _respelt(outcome: Outcome) -> str | None:
    for record in outcome.arrived:
        if record.all(b"transfer-encoding") not in ([], [b"chunked"]) or record.body != 3:
            return f"{record.all(b'transfer-encoding')!r} arrived"
    return None

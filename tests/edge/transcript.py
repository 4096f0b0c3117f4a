"""What both ends of the edge have sent and must see: requests with numbers, answers that name theirs.

Nothing here calls the gateway. A number goes along as `x-n`, in the request and in its answer, and the bodies hold it.
"""

from dataclasses import dataclass, field, replace

from edge.memory import PROFILE
from edge.transports import Wire

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"PUT"))
MALFORMED = {  # what is no request, and what it is refused with
    b"GET /public/x HTTP/1.1\r\n\r\n": 400,
    b"GET /public/x HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n": 400,
    b"POST /public/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    b"GET /public/../x HTTP/1.1\r\nHost: h\r\n\r\n": 400,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03": 400,
    b"GET /auth/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n": 400,
}
OURS = frozenset((408, 502, 503, 504))  # that any request may get which went on, or was to


@dataclass
class Answer:
    """What an upstream sends. body: as the client must see it. whole: it is a complete answer that may be passed on."""

    raw: bytes
    status: int
    body: bytes
    whole: bool = True
    ends: bool = False  # the connection has to end after it
    until_close: bool = False  # which is all that tells where its end is
    begun: bool = False  # a byte of it was sent


@dataclass
class Sent:
    """One request. who: whose key it bears; None for none. forwarded: how often it has begun to go out."""

    number: int
    method: bytes
    route: str
    who: str | None
    raw: bytes
    body: bytes = b""
    keep: bool = True
    refused: int = 0  # what it is answered with, where it is no request
    forwarded: int = 0
    answers: list[Answer] = field(default_factory=list)

    @property
    def may(self) -> bool:
        """Whether a gateway that knows everybody would pass it on."""
        return not self.refused and (self.route == "public" or self.who in ("ada", "bob"))


def request(
    number: int,
    method: bytes,
    route: str,
    who: str | None,
    size: int = 0,
    chunk: int = 0,
    more: bytes = b"",
    minor: int = 1,
) -> Sent:
    """size: of its body; chunk: bytes in each chunk, 0 where it is counted. more: whole field lines."""
    lines = b"Host: gateway.test\r\nx-n: %d\r\n" % number + more
    if who is not None:
        lines += b"Authorization: Bearer myc_%b\r\n" % who.encode()
    body = (b"%d." % number * (size // 2 + 1))[:size]
    if chunk:
        lines += b"Transfer-Encoding: chunked\r\n"
        framed = b"".join(
            b"%x\r\n%b\r\n" % (len(part), part) for at in range(0, size, chunk) if (part := body[at : at + chunk])
        )
        framed += b"0\r\n\r\n"
    else:
        framed = body
        lines += b"Content-Length: %d\r\n" % size if size or method in (b"POST", b"PUT") else b""
    raw = b"%b /%b/%d HTTP/1.%d\r\n%b\r\n" % (method, route.encode(), number, minor, lines) + framed
    keep = (b"close" not in more) if minor else (b"keep-alive" in more)
    return Sent(number, method, route, who, raw, body, keep)


def answer(sent: Sent, kind: str, size: int) -> Answer:
    """An upstream's answer of some kind."""
    body = (b"<%d>" % sent.number * (size // 3 + 1))[:size]
    named = b"x-n: %d\r\n" % sent.number
    counted = b"content-length: %d\r\n" % size
    bodiless = sent.method == b"HEAD"
    seen = b"" if bodiless else body
    ok = b"HTTP/1.1 200 OK\r\n" + named
    match kind:
        case "counted":
            return Answer(ok + counted + b"\r\n" + seen, 200, seen)
        case "chunked":
            framed = b"".join(
                b"%x\r\n%b\r\n" % (len(part), part) for at in range(0, size, 999) if (part := body[at : at + 999])
            )
            return Answer(
                ok + b"transfer-encoding: chunked\r\n\r\n" + (framed + b"0\r\n\r\n" if seen or not size else b""),
                200,
                seen,
            )
        case "until close":
            return Answer(ok + b"\r\n" + seen, 200, seen, ends=not bodiless, until_close=not bodiless)
        case "closing":
            return Answer(ok + b"connection: close\r\n" + counted + b"\r\n" + seen, 200, seen, ends=True)
        case "early hints":
            return Answer(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + ok + counted + b"\r\n" + seen, 200, seen)
        case "no content":
            return Answer(b"HTTP/1.1 204 No Content\r\n%b\r\n" % named, 204, b"")
        case "busy":
            return Answer(b"HTTP/1.1 503 Busy\r\n%b%b\r\n" % (named, counted) + seen, 503, seen)
        case "surplus":
            raw = ok + counted + b"\r\n" + seen + b"HTTP/1.1 200 OK\r\nx-n: 0\r\ncontent-length: 1\r\n\r\n!"
            return Answer(raw, 200, seen, ends=True)
        case "short":
            return Answer(ok + b"content-length: %d\r\n\r\n" % (size + 1) + seen, 200, seen, bodiless, not bodiless)
        case _:
            return Answer(
                b"HTTP/1.1 200 OK\r\n" + named + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 0, b"", False, True
            )


class Line:
    """An upstream's end of one connection, which reads strictly. owed: the request that has no whole answer yet."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.owed: Sent | None = None
        self.complete = False  # the request has come to its end
        self.pending = b""  # of an answer, not sent yet
        self.ending = False  # no further request may come
        self.lost_at = 0  # bytes that had been sent to it when it went, which may still arrive
        self.said = 0  # answers that were begun
        self._at = 0
        self._body = b""
        self._left: int | None = None

    def read(self, known: dict[int, Sent], revoked: set[str]) -> None:
        """What has come since: a request may only begin when the last one was answered whole, and for nobody whose
        credential is revoked by now."""
        while self._step(known, revoked):
            pass

    @property
    def unread(self) -> bytes:
        return bytes(self.wire.taken[self._at :])

    def _step(self, known: dict[int, Sent], revoked: set[str]) -> bool:
        data = self.unread
        if self.owed is None or self.complete:
            if not data:
                return False
            assert self.owed is None, "it was sent on a connection whose last answer is not over"
            assert not self.ending or self._at < self.lost_at, "it was sent on a connection that was over"
            head, mark, _ = data.partition(b"\r\n\r\n")
            if not mark:
                return False
            self._at += len(head) + 4
            self._begin(head, known)
            assert self.owed is not None
            assert self.owed.route == "public" or self.owed.who not in revoked, "it was passed on after the revocation"
            return True
        if self._left is None:
            return self._chunk(data)
        part = data[: self._left]
        self._at += len(part)
        self._left -= len(part)
        self._took(part)
        self.complete = not self._left
        return bool(part)

    def _begin(self, head: bytes, known: dict[int, Sent]) -> None:
        first, *lines = head.split(b"\r\n")
        fields = [(name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines)]
        values = dict(fields)
        assert [name for name, _ in fields].count(b"x-n") == 1
        sent = known[int(values[b"x-n"])]
        assert first == b"%b /%b/%d HTTP/1.1" % (sent.method, sent.route.encode(), sent.number)
        assert sent.may, "it was passed on for nobody"
        profile = [value for name, value in fields if name + b": " == PROFILE]
        assert profile == ([] if sent.route == "public" else [f"{sent.who}@example.org".encode()]), "for somebody else"
        assert b"authorization" not in values
        assert sent.forwarded == 0 or sent.method in IDEMPOTENT, "it was sent twice"
        assert not any(answer.begun and answer.status != 503 for answer in sent.answers), "it was answered before"
        sent.forwarded += 1
        self.owed, self._body = sent, b""
        chunked = b"transfer-encoding" in values
        assert not (chunked and b"content-length" in values)
        self._left = None if chunked else int(values.get(b"content-length", b"0"))
        self.complete = self._left == 0
        assert chunked or self._left == len(sent.body)

    def _chunk(self, data: bytes) -> bool:
        size, mark, rest = data.partition(b"\r\n")
        if not mark or len(rest) < int(size, 16) + 2:
            return False
        part = rest[: int(size, 16)]
        assert rest[len(part) : len(part) + 2] == b"\r\n"
        self._at += len(size) + 4 + len(part)
        self._took(part)
        self.complete = not part
        return True

    def _took(self, part: bytes) -> None:
        assert self.owed is not None
        self._body += part
        assert self.owed.body.startswith(self._body), "another body"

    def say(self, reply: Answer) -> None:
        assert self.owed is not None
        self.owed.answers.append(reply)
        self.pending = reply.raw
        self.said += 1
        self.ending = self.ending or reply.ends or not self.complete

    def ended(self, clean: bool) -> None:
        """The connection is over. Where that is what ends the answer, nobody can tell a part of it from the whole."""
        if not self.ending:
            self.ending, self.lost_at = True, len(self.wire.taken) + len(self.wire.out)
        if clean and self.pending and self.owed is not None and self.owed.answers[-1].until_close:
            said = self.owed.answers[-1]
            _, mark, body = said.raw.removesuffix(self.pending).partition(b"\r\n\r\n")
            if mark:
                self.owed.answers[-1] = replace(said, body=body)

    def sent(self, size: int) -> bytes:
        """The next bytes of the answer."""
        if self.owed is not None:
            self.owed.answers[-1].begun = True
        part, self.pending = self.pending[:size], self.pending[size:]
        if not self.pending and self.complete:
            if self.owed is not None:
                self.ending = self.owed.answers[-1].ends  # not for having begun before the request had come to its end
            self.owed = None
        return part


def read_answers(data: bytes, asked: list[Sent], ended: bool) -> list[tuple[Sent, int, bool]]:
    """Status and completeness of what a client got, request by request: each is answered by its own answer, in order.

    ended: whether no more will come.
    """
    found: list[tuple[Sent, int, bool]] = []
    for sent in asked:
        if not data:
            break
        status, data, whole = _one(data, sent, ended)
        found.append((sent, status, whole))
        if not whole:
            break
    else:
        assert not data, f"an answer that nobody asked for: {data[:200]!r}"
    return found


def _one(data: bytes, sent: Sent, ended: bool) -> tuple[int, bytes, bool]:
    while True:
        head, mark, rest = data.partition(b"\r\n\r\n")
        if not mark:
            return 0, b"", False
        first, *lines = head.split(b"\r\n")
        version, _, said = first.partition(b" ")
        assert version == b"HTTP/1.1", data[:100]
        status = int(said[:3])
        fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
        if status >= 200:
            break
        assert status in (100, 103)
        data = rest
    if b"x-n" not in fields:
        _check_ours(status, fields, sent)
    else:
        assert int(fields[b"x-n"]) == sent.number, f"the answer of {fields[b'x-n']!r} for {sent.number}"
        assert sent.may
    body, rest, whole = _body(status, fields, rest, sent, ended)
    if b"x-n" in fields:
        wanted = [one for one in sent.answers if one.status == status]
        assert any(one.body.startswith(body) for one in wanted), (
            f"another body: {status} {fields} {body[:99]!r} of {sent}"
        )
        assert not whole or any(one.body == body and one.whole for one in wanted), "a part was taken for the whole"
    return status, rest, whole


def _check_ours(status: int, fields: dict[bytes, bytes], sent: Sent) -> None:
    assert fields[b"content-type"].startswith(b"application/problem+json")
    if sent.refused:
        assert status in (sent.refused, 408)
    elif not sent.may:
        assert status in (400, 401, 503, 408), status
    else:
        assert status in (*OURS, 401, 400), status


def _body(status: int, fields: dict[bytes, bytes], rest: bytes, sent: Sent, ended: bool) -> tuple[bytes, bytes, bool]:
    """The body, what comes after it, and whether it is whole."""
    unread = status == 408 and rest[:1] == b"{"  # in its method, perhaps
    if (sent.method == b"HEAD" and not unread) or status in (204, 304):
        return b"", rest, True
    if b"content-length" in fields:
        size = int(fields[b"content-length"])
        return rest[:size], rest[size:], len(rest) >= size
    if b"transfer-encoding" not in fields:
        return rest, b"", ended
    body = b""
    while True:
        size_, mark, after = rest.partition(b"\r\n")
        size = int(size_, 16) if mark else 0
        if not mark or len(after) < size + 2:
            return body + after[:size], b"", False
        assert after[size : size + 2] == b"\r\n"
        body, rest = body + after[:size], after[size + 2 :]
        if not size:
            return body, rest, True

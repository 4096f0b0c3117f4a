"""Requests that are made up, by chance that is the same each time: targets, header fields and bodies that readers of
HTTP have stumbled over, most of them no more than odd.
"""

import random
import re
from dataclasses import dataclass
from typing import Final

Field = tuple[bytes, bytes]
PLACES: Final = ("public", "auth", "secure", "odd", "strip", "nowhere")
_PIECES: Final = (
    b"a", b"B", b"7", b"-", b"_", b"~", b"!", b"$&", b"'", b"(x)", b"*", b"+", b",", b"=", b":", b"@", b"|",
    b"[", b"]", b"%20", b"%e2%82%ac", b"%FF", b"%0a", b"%09", b"...", b".a", b"a.", b"%26", b"%40",
)  # fmt: skip
_ODD: Final = (
    b"%2f", b"%2F", b"%5c", b"%25", b";", b";v=1", b"%41", b"%7e", b"..", b".", b"%2e", b"%2e%2e", b"%252f",
    b"\\", b"#", b"%", b"%zz", b"%00", b"//", b"..;", b"..%20", b"%c0%ae", b"\"", b"<", b"{", b"^",
    b"/public/", b"/secure/", b"/../", b"/%20..", b"..%C2%A0/", b"/..%85/",
)  # fmt: skip
_QUERY: Final = (
    b"x=1", b"&", b"?", b"/../", b"%2f", b"%zz", b"{}", b"|", b"\\", b";", b"'", b"<", b"%00", b"=", b"..",
    b"//",
)  # fmt: skip
_BAD_QUERY: Final = (b"#", b"\x7f", b"\xe9")
_NAMES: Final = (
    b"X-A", b"x-a", b"X-B", b"Accept", b"cookie", b"User-Agent", b"X-Long-Name-Of-Somebody", b"If-Match",
    b"X--", b"0",
)  # fmt: skip
_VALUES: Final = (
    b"a", b"", b"a, b", b"\"quoted\"", b"a\tb", b"\xe9", b"\xff\xfe", b"\x85admin\xa0", b"%0d%0a", b"a  b",
    b"a:b", b"=?", b"'", b"chunked", b"0", b"{}", b"a;b=c", b"http://x/",
)  # fmt: skip
# What may stand in a request, and never goes on (docs/headers.md, and RFC 9110 section 7.6.1).
_DROPPED: Final = (
    b"X-Mycelium-Profile", b"x-mycelium-email", b"X-MYCELIUM-Anything", b"X-Gateway-Peer", b"X-Forwarded-For",
    b"X-Forwarded-Proto", b"X-Real-IP", b"Forwarded", b"X-Original-URL", b"X-Original-Method",
    b"X-Rewrite-URL", b"X-HTTP-Method-Override", b"Keep-Alive", b"Proxy-Connection", b"TE", b"Trailer",
    b"HTTP2-Settings", b"Proxy-Authorization", b"True-Client-IP", b"Proxy",
)  # fmt: skip
_REFUSED: Final = (b"x_mycelium_profile", b"X_A", b"x.a", b"Content_Length", b"x'a", b"x~a")
_PLAIN_METHODS: Final = (b"GET", b"GET", b"GET", b"POST", b"PUT", b"DELETE", b"HEAD")


@dataclass(frozen=True, slots=True)
class Made:
    """number: in a field of its own. place: the first segment that was meant. kept: the fields that are to go on.

    doubtful: whether something about it ought to be refused wherever it goes. body: what its framing says.
    """

    number: int
    method: bytes
    place: str
    target: bytes
    credential: bool
    kept: list[Field]
    doubtful: bool
    body: bytes
    raw: bytes


class Maker:
    """chance: seeded. credential: a field line that is good."""

    def __init__(self, seed: int, credential: bytes) -> None:
        self._chance = random.Random(seed)
        self._credential = credential

    def make(self, number: int) -> Made:
        chance = self._chance
        method = chance.choice(_PLAIN_METHODS)
        place = chance.choice(PLACES)
        target = self._target(place)
        credential = chance.random() < 0.5
        kept, lines, doubtful = self._fields(number)
        body, framing, framed = self._body(method)
        if credential:
            lines.insert(chance.randrange(len(lines) + 1), self._credential)
        host = b"gateway.test" + chance.choice((b"", b"", b":80"))
        form = b"http://" + host + target if chance.random() < 0.05 else target
        head = [method + b" " + form + b" HTTP/1.1", b"Host: " + host, *lines, *framing]
        raw = b"\r\n".join((*head, b"", framed))
        return Made(number, method, place, target, credential, kept, doubtful, body, raw)

    def _target(self, place: str) -> bytes:
        chance = self._chance
        segments = [place.encode()]
        for _ in range(chance.randint(1, 3)):
            pieces = [chance.choice(_PIECES) for _ in range(chance.randint(1, 3))]
            if chance.random() < 0.05:
                pieces.insert(chance.randrange(len(pieces) + 1), chance.choice(_ODD))
            segments.append(b"".join(pieces))
        path = b"/" + b"/".join(segments) + chance.choice((b"", b"", b"/"))
        if chance.random() < 0.4:
            path += b"?" + b"".join(chance.choice(_QUERY) for _ in range(chance.randint(0, 4)))
            if chance.random() < 0.03:
                path += chance.choice(_BAD_QUERY)
        return path

    def _fields(self, number: int) -> tuple[list[Field], list[bytes], bool]:
        """Those that go on, the lines as they are sent, and whether one of them has to be refused."""
        chance = self._chance
        kept: list[Field] = [(b"X-Number", b"%d" % number)]
        lines = [b"X-Number: %d" % number]
        for _ in range(chance.randint(0, 4)):
            name, value = chance.choice(_NAMES), chance.choice(_VALUES)
            kept.append((name, value))
            lines.append(name + b":" + chance.choice((b" ", b" ", b"", b"  ", b"\t")) + value)
        if chance.random() < 0.3:
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(_DROPPED) + b": forged")
        if listed := chance.random() < 0.1:
            name = chance.choice(_NAMES)
            kept = [field for field in kept if field[0].lower() != name.lower()]
            lines.append(b"Connection: keep-alive, " + name + b", x-mycelium-profile, x-forwarded-for")
        if doubtful := (not listed and chance.random() < 0.02):
            lines.append(chance.choice(_REFUSED) + b": a")
        return kept, lines, doubtful

    def _body(self, method: bytes) -> tuple[bytes, list[bytes], bytes]:
        """What it is, the fields that frame it, and its bytes on the wire."""
        chance = self._chance
        if method not in (b"POST", b"PUT") or chance.random() < 0.2:
            return b"", [], b""
        body = chance.choice(
            (b"x", b"\r\n", b"GET /secure/smuggled HTTP/1.1\r\nHost: gateway.test\r\n\r\n", b"0\r\n\r\n")
        )
        body *= chance.randint(0, 3)
        if chance.random() < 0.5:
            return body, [b"Content-Length: %d" % len(body)], body
        cut = chance.randint(0, len(body))
        extension = chance.choice((b"", b"", b";a", b';a="b"'))
        parts = [part for part in (body[:cut], body[cut:]) if part]
        framed = b"".join(b"%x%b\r\n%b\r\n" % (len(part), extension, part) for part in parts)
        return body, [b"Transfer-Encoding: chunked"], framed + b"0\r\n\r\n"


_CODED = rb"%(?:[89a-fA-F][0-9a-fA-F]|0[1-9a-fA-F]|20|26|40)"
_SEGMENT = rb"(?:[A-Za-z0-9._~!$&'()*+,=:@|\[\]-]|%b)+" % _CODED
_PATH = re.compile(rb"(?:/%b)+/?" % _SEGMENT).fullmatch
_BLANK = rb"(?:%0[0-9a-f]|%20|%c2%a0|%85)*"
_DOTS = re.compile(rb"/%b\.{1,2}%b(?:/|\Z)|/\.{1,2}(?:%%0|%%20)|%%c0%%a" % (_BLANK, _BLANK), re.IGNORECASE).search
_RELAXED = re.compile(rb"%(?:2f|5c|25|41|7e)|;", re.IGNORECASE)


def plain(target: bytes, relaxed: bool = False) -> bool:
    """Whether no two servers read it in two ways, by a reading of our own. relaxed: but for what `odd` lets through."""
    path, _, query = target.partition(b"?")
    if relaxed:
        path = _RELAXED.sub(b"x", path)
    return bool(re.fullmatch(rb"[!-\"$-~]*", query) and _PATH(path) and not _DOTS(path))

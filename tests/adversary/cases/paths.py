"""S-12 to S-17: what is judged is what arrives, whatever the path, host or method looks like."""

import random
from collections.abc import Callable, Iterator

from ..model import Case, Ground, Outcome, passable, refused
from ..readings import is_under, path_of, reading_under, rfc_reading

DOTS = (
    b"..", b"%2e%2e", b".%2e", b"%2E.", b"..;", b"..;x=1", b"..%3b", b"..%3Bx", b"%252e%252e", b".%252e",
    b"..%00", b"..%09", b"..%20", b".%00.", b"%c0%ae%c0%ae", b"%e0%80%ae%e0%80%ae", b"%u002e%u002e", b"..#",
    b"..%23", b"..?", b"..%3f", b"..\\", b"..%5c", b"..%2f", b"..%252f", b"..%255c", b"..%c0%af", b"%2e%2e%2f",
    b"%2e%2e%5c", b"..//", b".//..", b"./..", b"x/../..", b";/..", b"%2e;/%2e%2e",
)  # fmt: skip
BEFORE = (
    b"/", b"/.", b"/;", b"/.;x", b"/%2e", b"/%2f", b"/%5c", b"/\\", b"/x/..", b"/x/%2e%2e", b"/x/..;", b"/%09",
    b"/%00", b"//x", b"/%20", b"\\", b"/./.", b"/%ef%bc%8f",
)  # fmt: skip
AFTER = (
    b"/", b"//", b"/.", b"/./", b"/%2e", b";", b";x=1", b";/", b"%2f", b"%5c", b"\\", b"%00", b"%20", b"%09",
    b"?", b"??", b"%3f", b".", b"/..;/", b"%23", b"%0a", b"%0d%0a",
)  # fmt: skip
PIECES = (
    b"..", b".", b"%2e", b"%2E%2e", b"%2f", b"%5c", b"\\", b";", b";x", b"%00", b"%252e", b"//", b"/", b"/",
    b"/", b"#", b"?", b"%", b"%zz", b"~", b"%7e", b"*", b"@", b":", b"a", b"B", b"%41", b"|", b"[", b"\"",
    b"<", b"^", b"{", b"%c0%ae", b"%ff", b"%e2%80%a5", b"&", b"=", b"+", b"%20", b"!",
)  # fmt: skip
GENERATED = 300
SEED = 20260613


def cases(ground: Ground) -> Iterator[Case]:
    yield from _ambiguous(ground)
    yield from _generated(ground)
    yield from _protected(ground)
    yield from _queries(ground)
    yield from _hosts(ground)
    yield from _methods(ground)


def _case(ground: Ground, rule: str, target: bytes, mark: bytes, judge: Callable[[Outcome], str | None]) -> Case:
    return Case(rule, target.replace(mark, b"x").decode("latin-1"), mark, [ground.request(target)], judge)


def _unambiguous(ground: Ground) -> Callable[[Outcome], str | None]:
    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if reading := reading_under(record.target, ground.options.protected):
                return f"{record.target!r} arrived, which some servers read as {reading!r}"
        return None

    return judge


def _ambiguous(ground: Ground) -> Iterator[Case]:
    """From a public path, in ways that only some servers follow."""
    public, protected = ground.options.public, ground.options.protected
    for dots in DOTS:
        for slash in (b"/", b""):
            if slash or dots.endswith((b"/", b"%2f", b"%5c", b"\\", b"%252f", b"%255c", b"%c0%af")):
                mark = ground.mark()
                target = public + b"/" + dots + (protected if slash else protected[1:]) + b"/" + mark
                yield _case(ground, "S-12", target, mark, _unambiguous(ground))


def _generated(ground: Ground) -> Iterator[Case]:
    """Made of pieces that readers of paths trip over: what arrives is below the public path, as it was judged."""
    chance = random.Random(SEED)
    for _ in range(GENERATED):
        mark = ground.mark()
        pieces = b"".join(chance.choice(PIECES) for _ in range(chance.randint(1, 6)))
        ends = (mark, ground.options.protected[1:] + b"/" + mark, b"x?" + mark)
        target = ground.options.public + chance.choice((b"/", b"")) + pieces + b"/" + chance.choice(ends)
        yield _case(ground, "S-13", target, mark, _public(ground))


def _public(ground: Ground) -> Callable[[Outcome], str | None]:
    """The rule of the public path let it through: that is where it has to be, too."""

    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if not is_under(path_of(record.target), ground.options.public):
                return f"{record.target!r} arrived, which is not public"
            if any(byte in record.target for byte in (b"\r", b"\n", b"\0", b" ")):
                return f"{record.target!r} arrived"
        return None

    return judge


def _protected(ground: Ground) -> Iterator[Case]:
    """Spellings of a protected path, without a credential: nothing of it may arrive, as nobody made it public."""
    public, protected = ground.options.public, ground.options.protected
    spellings = [before + protected.lstrip(b"/") for before in BEFORE]
    spellings += [before + protected for before in BEFORE]
    spellings += [protected + after for after in AFTER]
    first = protected[1:2]
    for encoded in (b"%%%02x" % first[0], b"%%25%02x" % first[0], first.swapcase()):
        spellings.append(b"/" + encoded + protected[2:])
    for neighbour in (public + b"-", public + b"x", public + b".", public.upper(), public + b"%2f", public[:-1]):
        spellings.append(neighbour + protected)
    for spelling in dict.fromkeys(spellings):
        mark = ground.mark()
        yield _case(ground, "S-14", spelling.rstrip(b"/") + b"/" + mark, mark, refused)
        if spelling.startswith(protected):
            yield _case(ground, "S-14", spelling + mark, mark, refused)


def _queries(ground: Ground) -> Iterator[Case]:
    public, protected = ground.options.public, ground.options.protected
    for mark_at in (b"?", b"?x=", b"#", b"?#", b"#?", b"%3f", b"%23", b";x=", b"/x?y=", b"?" + public + b"?"):
        mark = ground.mark()
        yield _case(ground, "S-15", protected + b"/" + mark + mark_at + public + b"/x", mark, refused)
        mark = ground.mark()
        target = protected + mark_at + b"/.." + public + b"/" + mark
        # Where the query is none, the dots lead to the public path: then only another reading may not lead elsewhere.
        judge = refused if is_under(rfc_reading(target), protected) else _unambiguous(ground)
        yield _case(ground, "S-15", target, mark, judge)


def _one_host(outcome: Outcome) -> str | None:
    for record in outcome.records:
        hosts = record.all(b"host")
        if len(hosts) != 1:
            return f"{len(hosts)} Host headers arrived"
        if any(byte in hosts[0] for byte in b" ,/@\\\t\0?#") or not hosts[0]:
            return f"Host: {hosts[0]!r} arrived"
    return None


def _hosts(ground: Ground) -> Iterator[Case]:
    name = ground.options.name
    for value in (
        b"", b"a b", name + b", evil.test", name + b"@evil.test", b"evil.test/..", name + b"/x", name + b":80:80",
        name + b":x", name + b"#", name + b"?", b"[::1", name + b"\\evil.test", name + b"\tevil.test", b"\xff.test",
    ):  # fmt: skip
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), b"Host: " + value, host=False)]
        yield Case("S-16", f"Host: {value!r}", mark, sent, _one_host)
    for what, fields in {
        "no Host": (),
        "two of them": (b"Host: " + name, b"Host: evil.test"),
        "two alike": (b"Host: " + name, b"Host: " + name),
        "one folded": (b"Host:\r\n " + name,),
        "a space before the colon": (b"Host : evil.test", b"Host: " + name),
    }.items():
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), *fields, host=False)]
        yield Case("S-16", what, mark, sent, _one_host)
    for authority in (b"evil.test", b"evil.test@" + name, name + b"@evil.test", name + b":80\\@evil.test"):
        mark = ground.mark()
        sent = [ground.request(b"http://" + authority + ground.public(mark))]
        yield Case("S-16", f"absolute form, of {authority.decode()}", mark, sent, _authority(authority))
    for scheme in (b"http", b"HTTPS", b"ftp", b"file", b"gopher"):
        mark = ground.mark()
        sent = [ground.request(scheme + b"://" + name + ground.protected(mark))]
        yield Case("S-16", f"absolute form, {scheme.decode()}, of a protected path", mark, sent, refused)


def _authority(authority: bytes) -> Callable[[Outcome], str | None]:
    """RFC 9112 section 3.2.2: the authority takes the place of `Host`, without what names a user."""

    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if record.all(b"host") != [authority.rpartition(b"@")[2]] or b"@" in record.target:
                return f"{record.target!r} with {record.all(b'host')!r} arrived"
        return None

    return judge


def _methods(ground: Ground) -> Iterator[Case]:
    for method in (
        b"HEAD", b"OPTIONS", b"FOO", b"get", b"PROPFIND", b"TRACE", b"TRACK", b"CONNECT", b"PRI", b"M-SEARCH", b"LOCK",
        b"QUERY", b"SOURCE",
    ):  # fmt: skip
        mark = ground.mark()
        sent = [ground.request(ground.protected(mark), method=method)]
        yield Case("S-17", f"{method.decode()} of a protected path", mark, sent, refused, head=method == b"HEAD")
    for method in (b"TRACE", b"CONNECT", b"G\x01T", b"G@T", b"GE\tT", b"G\xcb\x99T", b"GET\x0b", b'"GET"', b"G(T"):
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), method=method)]
        yield Case("S-17", f"{method!r} of a public path", mark, sent, refused)
    for target in (b"evil.test:80", b"evil.test:80/", b"*"):
        mark = ground.mark()
        fields = (b"X-Mark: " + mark,)
        sent = [ground.request(target, *fields, method=b"CONNECT")]
        yield Case("S-17", f"CONNECT {target.decode()}", mark, sent, refused)
    for version in (
        b"HTTP/0.9",
        b"HTTP/1.2",
        b"HTTP/2.0",
        b"HTTP/3",
        b"HTTP/1.1x",
        b"RTSP/1.0",
        b"ICE/1.0",
        b"http/1.1",
    ):
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), version=version)]
        yield Case("S-17", f"version {version.decode()}", mark, sent, passable)

"""S-1 to S-8: nobody but the gateway says who the caller is, or where a request comes from."""

from collections.abc import Iterator

from ..model import Case, Ground, Outcome, fold

FORGED = b"forged-by-the-client"
SEPARATORS = b"_.+~!#$%&'*^`|"
AFTER = (b" ", b"\t", b"\x0b", b"\x00", b"\xa0")
EVIL = b"6.6.6.6"
METADATA = (
    b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-For: 6.6.6.6, 127.0.0.1", b"X-Forwarded-Proto: 6.6.6.6",
    b"X-Forwarded-Host: 6.6.6.6", b"X-Forwarded-Port: 6.6.6.6", b"X-Forwarded-Prefix: /6.6.6.6",
    b"X-Forwarded-Uri: /6.6.6.6", b"X-Forwarded-Method: 6.6.6.6", b"X-Forwarded-Server: 6.6.6.6",
    b"Forwarded: for=6.6.6.6;host=6.6.6.6", b"X-Real-IP: 6.6.6.6", b"X-Original-URL: /6.6.6.6",
    b"X-Original-URI: /6.6.6.6", b"X-Original-Method: 6.6.6.6", b"X-Rewrite-URL: /6.6.6.6",
    b"True-Client-IP: 6.6.6.6", b"X-Client-IP: 6.6.6.6", b"X-Cluster-Client-IP: 6.6.6.6",
    b"X-HTTP-Method-Override: 6.6.6.6", b"Proxy: http://6.6.6.6",
)  # fmt: skip


def cases(ground: Ground) -> Iterator[Case]:
    yield from _forged(ground)
    yield from _connection(ground)
    yield from _metadata(ground)


def _forged(ground: Ground) -> Iterator[Case]:
    for name in ground.options.identities:
        label = name.decode()
        spellings: list[tuple[str, str, list[bytes]]] = [("S-1", label, [name + b": " + FORGED])]
        copies = {
            "twice": [name + b": " + FORGED] * 2,
            "twice, in two cases": [name.upper() + b": " + FORGED, name.title() + b": " + FORGED],
            "padded": [name + b":  \t " + FORGED + b" \t"],
            "without a space": [name + b":" + FORGED],
            "empty, then not": [name + b":", name + b": " + FORGED],
            "in a list": [name + b": a, " + FORGED],
            "folded into the line before": [b"X-Before: a\r\n " + name + b": " + FORGED],
            "behind a folded line": [b"X-Before: a\r\n\tb\r\n" + name + b": " + FORGED],
            "its value on a folded line": [name + b":\r\n " + FORGED],
            "as the first line, folded": [b" " + name + b": " + FORGED],
        }
        spellings += [("S-2", f"{label} {what}", fields) for what, fields in copies.items()]
        for separator in SEPARATORS:
            other = name.replace(b"-", bytes([separator]))
            spellings.append(("S-5", other.decode(), [other + b": " + FORGED]))
        first, _, rest = name.rpartition(b"-")
        mixed = first + b"_" + rest
        spellings += [("S-5", mixed.decode(), [mixed.title() + b": " + FORGED])]
        for after in AFTER:
            spellings.append(("S-5", f"{label} and {after!r}", [name + after + b": " + FORGED]))
        for rule, what, fields in spellings:
            yield from _everywhere(ground, rule, what, fields)
        yield from _trailers(ground, name)


def _everywhere(ground: Ground, rule: str, what: str, fields: list[bytes]) -> Iterator[Case]:
    for place in ("public", "protected"):
        mark = ground.mark()
        for kind, target, caller, known in ground.places(mark):
            if kind == place:
                sent = [ground.request(target, b"X-First: a", *caller, *fields)]
                if what.endswith("as the first line, folded"):
                    sent = [ground.request(target, *fields, *caller, host=False)]
                yield Case(rule, f"{what}, on a {kind} path", mark, sent, _not_forged(ground, known), known)


def _trailers(ground: Ground, name: bytes) -> Iterator[Case]:
    mark = ground.mark()
    fields = (b"Transfer-Encoding: chunked", b"Trailer: " + name)
    body = b"1\r\na\r\n0\r\n" + name + b": " + FORGED + b"\r\n\r\n"
    sent = [ground.request(ground.public(mark), *fields, method=b"POST", body=body)]
    yield Case("S-1", f"{name.decode()} behind a body", mark, sent, _not_forged(ground, False))


def _not_forged(ground: Ground, known: bool):
    names = ground.options.identities

    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            for name in names:
                if any(FORGED in value for value in record.folded(name)):
                    spelt = next(
                        (key for key, value in record.fields if fold(key) == fold(name) and FORGED in value), name
                    )
                    return f"the client's {spelt!r} arrived"
            if known and (len(said := record.all(names[0])) != 1 or not said[0]):
                return f"{names[0].decode()} of the caller arrived {len(said)} times"
        return None

    return judge


def _connection(ground: Ground) -> Iterator[Case]:
    identity = ground.options.identities[0]
    ours = sorted(ground.added - {b"connection", b"content-length", b"transfer-encoding", b"keep-alive"})
    tricks = {
        "the identity": [b"Connection: " + identity],
        "the identity, in capitals": [b"Connection: close, " + identity.upper()],
        "the identity, on a second line": [b"Connection: keep-alive", b"connection: " + identity],
        "all that is added": [b"Connection: " + b", ".join(ours)],
        "the identity, padded": [b"Connection: \t,, " + identity + b"\t ,"],
        "the identity, in Proxy-Connection": [b"Proxy-Connection: " + identity],
        "the identity, in Keep-Alive": [b"Connection: keep-alive", b"Keep-Alive: " + identity],
        "the host": [b"Connection: host"],
        "the length": [b"Connection: content-length", b"Content-Length: 0"],
    }
    for what, fields in tricks.items():
        mark = ground.mark()
        for kind, target, caller, known in ground.places(mark):
            if known:
                sent = [ground.request(target, *caller, *fields)]
                yield Case("S-7", f"{what}, on a {kind} path", mark, sent, _kept(frozenset(ours)), known)
    if ground.options.credential is None:
        yield Case("S-7", "what is added stays", b"", [], _kept(frozenset()), inapplicable="no --credential")
    mark = ground.mark()
    sent = [ground.request(ground.public(mark), b"Connection: X-Hop", b"X-Hop: a")]
    yield Case("S-7", "what is listed is not sent on (RFC 9110 section 7.6.1)", mark, sent, _no_hop)


def _kept(names: frozenset[bytes]):
    def judge(outcome: Outcome) -> str | None:
        for record in outcome.records:
            if gone := sorted(name for name in names | {b"host"} if not record.all(name)):
                return f"{gone[0].decode()} was taken away"
        return None

    return judge


def _no_hop(outcome: Outcome) -> str | None:
    return "X-Hop arrived" if any(record.all(b"x-hop") for record in outcome.records) else None


def _metadata(ground: Ground) -> Iterator[Case]:
    for field in METADATA:
        mark = ground.mark()
        sent = [ground.request(ground.public(mark), field)]
        yield Case("S-8", field.decode(), mark, sent, _not_believed)


def _not_believed(outcome: Outcome) -> str | None:
    """A chain may hold what was claimed as long as the gateway's own word comes last."""
    for record in outcome.records:
        for name, value in record.fields:
            chain = fold(name) in (b"x-forwarded-for", b"forwarded")
            last = b", ".join(record.all(name)).rpartition(b",")[2] if chain else value
            if EVIL in last:
                return f"{name.decode('latin-1')}: {value.decode('latin-1')} arrived"
            if chain and value.strip() == b"6.6.6.6, 127.0.0.1" and len(record.all(name)) == 1:
                return f"{name.decode('latin-1')} arrived as it was claimed"
    return None

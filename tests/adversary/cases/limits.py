"""S-55: what a client may cost before it is told to go."""

from collections.abc import Iterator

from ..model import Case, Ground, Outcome, refused

_MEGABYTE = 1 << 20


def cases(ground: Ground) -> Iterator[Case]:
    patience = ground.options.patience
    for what, sent in {
        "a head": b"X-Slow: ",
        "a request line": b"",
    }.items():
        mark = ground.mark()
        begin = ground.request(ground.public(mark))[:-2] + sent if sent else b"GET " + ground.public(mark)
        name = f"{what} of a byte now and then ends within {patience:g} s"
        yield Case("S-55", name, mark, [begin], _ended, slow=True)
    for what, fields in {
        "a field of 2 MiB": (b"X-Big: " + b"a" * (2 * _MEGABYTE),),
        "2,000 fields of 1 KiB": tuple(b"X-Big-%d: " % number + b"a" * 1000 for number in range(2000)),
        "20,000 small fields": tuple(b"X-%d: a" % number for number in range(20_000)),
        "a field name of 2 MiB": (b"a" * (2 * _MEGABYTE) + b": a",),
    }.items():
        mark = ground.mark()
        yield Case("S-55", what, mark, [ground.request(ground.public(mark), *fields)], refused)
    mark = ground.mark()
    sent_whole = [ground.request(ground.public(mark) + b"?" + b"a" * (2 * _MEGABYTE))]
    yield Case("S-55", "a target of 2 MiB", mark, sent_whole, refused)
    mark = ground.mark()
    chunks = b"1;" + b"a" * (2 * _MEGABYTE) + b"\r\na\r\n0\r\n\r\n"
    sent_whole = [ground.request(ground.public(mark), b"Transfer-Encoding: chunked", method=b"POST", body=chunks)]
    yield Case("S-55", "a chunk extension of 2 MiB", mark, sent_whole, _not_whole)
    mark = ground.mark()
    trailers = b"0\r\n" + b"X-Big: " + b"a" * (2 * _MEGABYTE) + b"\r\n\r\n"
    sent_whole = [ground.request(ground.public(mark), b"Transfer-Encoding: chunked", method=b"POST", body=trailers)]
    yield Case("S-55", "a trailer of 2 MiB", mark, sent_whole, _not_whole)


def _ended(outcome: Outcome) -> str | None:
    if outcome.records:
        return "what was never whole arrived"
    return None if outcome.closed else f"it was still waited for after {outcome.seconds:.0f} s"


def _not_whole(outcome: Outcome) -> str | None:
    return "it was read to its end, and arrived" if outcome.arrived else None

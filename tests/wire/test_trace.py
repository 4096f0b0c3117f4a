"""Trace Context: which headers continue a trace, which begin another, and what goes on. Values only."""

import pytest
from harness.reading import read_request

from gateway.wire.trace import Trace, Traces

TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
OURS, SPAN = b"1" * 32, b"2" * 16
IDS = OURS + SPAN
VALID = b"00-" + TRACE + b"-" + PARENT + b"-01"


def begun(*lines: bytes, trusted: bool = False, traces: Traces | None = None, ids: bytes = IDS) -> Trace:
    request = read_request(b"\r\n".join((b"GET / HTTP/1.1", b"Host: a", *lines, b"", b"")))
    return (traces or Traces()).begin(request, trusted, ids)


def parent(value: bytes) -> bytes:
    return b"traceparent: " + value


@pytest.mark.parametrize(
    "value",
    [
        VALID,
        b" \t" + VALID + b" \t",
        b"00-" + TRACE + b"-" + PARENT + b"-00",
        b"00-" + TRACE + b"-" + PARENT + b"-ff",
        b"01-" + TRACE + b"-" + PARENT + b"-01",
        b"01-" + TRACE + b"-" + PARENT + b"-01-",
        b"cc-" + TRACE + b"-" + PARENT + b"-01-what-the-future-will-be-like",
        b"fe-" + TRACE + b"-" + PARENT + b"-01-.",
    ],
)
def test_a_valid_header_continues_the_trace(value: bytes) -> None:
    """Of a later version the first fields count, and what goes on is of version 00, under a span of our own."""
    trace = begun(parent(value))
    assert (trace.trace_id, trace.parent_id, trace.span_id) == (TRACE, PARENT, SPAN)
    assert trace.fields().startswith(b"traceparent: 00-" + TRACE + b"-" + SPAN + b"-")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALID[:-1],
        VALID + b"0",
        VALID + b"-",
        VALID + b"-01",
        VALID + b"," + VALID,
        VALID.upper(),
        b"ff-" + TRACE + b"-" + PARENT + b"-01",
        b"ff-" + TRACE + b"-" + PARENT + b"-01-x",
        b"0f" + VALID[2:] + b"x",
        b"01" + VALID[2:] + b"x-",
        b"FE" + VALID[2:],
        b"0" + VALID,
        b"00-" + b"0" * 32 + b"-" + PARENT + b"-01",
        b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
        b"00-" + TRACE[:-1] + b"g-" + PARENT + b"-01",
        b"00-" + TRACE[:-1] + b"A-" + PARENT + b"-01",
        b"00-" + TRACE + b"-" + PARENT[:-1] + b"A-01",
        b"00-" + TRACE + b"-" + PARENT + b"-0A",
        b"00-" + TRACE + b"-" + PARENT + b"-.0",
        b"00_" + TRACE + b"_" + PARENT + b"_01",
        b"000" + TRACE[:-1] + b"--" + PARENT + b"-01",
        b"00-" + TRACE + b"a" + PARENT[1:] + b"--01",
        b"00-" + TRACE + b" " + PARENT + b"-01",
        b"\xff" * 55,
    ],
)
def test_anything_else_begins_another(value: bytes) -> None:
    """And is refused in no case; nothing of it goes on."""
    trace = begun(parent(value), b"tracestate: a=1")
    assert (trace.trace_id, trace.parent_id, trace.state) == (OURS, b"", b"")
    assert trace.fields() == b"traceparent: 00-" + OURS + b"-" + SPAN + b"-03\r\n"


def test_two_headers_are_none() -> None:
    """Also when they say the same: one of them is somebody else's."""
    assert begun(parent(VALID), parent(VALID)).trace_id == OURS
    assert begun(parent(VALID), b"TraceParent: " + VALID.replace(b"0af", b"0ae")).trace_id == OURS
    assert begun(parent(VALID), parent(b"")).trace_id == OURS


def test_a_request_without_one_begins_a_trace() -> None:
    """Marked as random, and as sampled; `tracestate` alone says nothing."""
    trace = begun(b"tracestate: a=1")
    assert trace.fields() == b"traceparent: 00-" + OURS + b"-" + SPAN + b"-03\r\n"


@pytest.mark.parametrize(
    ("flags", "gone_on"),
    [(b"00", b"00"), (b"01", b"01"), (b"02", b"02"), (b"03", b"03"), (b"fc", b"00"), (b"fd", b"01"), (b"ff", b"03")],
)
def test_flags_that_are_known_go_on(flags: bytes, gone_on: bytes) -> None:
    """Of a trusted proxy, `sampled` too; what a later version may mean by the others is not ours to repeat."""
    trace = begun(parent(VALID[:-2] + flags), trusted=True)
    assert trace.fields() == b"traceparent: 00-" + TRACE + b"-" + SPAN + b"-" + gone_on + b"\r\n"
    assert trace.sampled is (gone_on in (b"01", b"03"))


@pytest.mark.parametrize("said", [b"00", b"01"])
@pytest.mark.parametrize(("sample", "sampled"), [(0.0, False), (1.0, True)])
def test_a_stranger_does_not_decide_what_is_recorded(said: bytes, sample: float, sampled: bool) -> None:
    """Neither way: else one client could have everything recorded."""
    trace = begun(parent(VALID[:-2] + said), traces=Traces(sample=sample))
    assert (trace.sampled, trace.flags) == (sampled, b"01" if sampled else b"00")


@pytest.mark.parametrize(
    ("random", "sampled"),
    [(b"0" * 14, False), (b"7" + b"f" * 13, False), (b"8" + b"0" * 13, True), (b"f" * 14, True)],
)
def test_the_share_that_is_recorded_goes_by_random_bits(random: bytes, sampled: bool) -> None:
    """A half of all 56-bit numbers, to the bit: of a trace that begins here those of its id, of a stranger's ours."""
    half = Traces(sample=0.5)
    assert begun(traces=half, ids=b"9" * 18 + random + SPAN).sampled is sampled
    chosen = parent(b"00-" + TRACE[:18] + b"f" * 14 + b"-" + PARENT + b"-01")
    assert begun(chosen, traces=half, ids=OURS + b"99" + random).sampled is sampled


def test_only_a_trusted_proxys_trace_goes_on_where_nobody_else_is_believed() -> None:
    """`accept: trusted`."""
    careful = Traces(anybody=False)
    assert begun(parent(VALID), traces=careful).trace_id == OURS
    assert begun(parent(VALID), traces=careful, trusted=True).trace_id == TRACE


LONG = b"x=" + b"v" * 126  # 128 bytes
LONGER = b"y=" + b"v" * 127
FULL = b"f=" + b"v" * 256
FOUR = b",".join(name + LONG[1:] for name in (b"a", b"b", b"c", b"d"))  # 515 bytes


@pytest.mark.parametrize(
    ("lines", "state"),
    [
        ((b"a=1",), b"a=1"),
        ((b"a=1,b=2",), b"a=1,b=2"),
        ((b"a=1", b"b=2"), b"a=1,b=2"),
        ((b" a=1 ,\t b=2 ",), b"a=1,b=2"),
        ((b"a=1,,b=2,",), b"a=1,b=2"),
        ((b"",), b""),
        ((b",",), b""),
        ((b"1t@s=x y",), b"1t@s=x y"),
        ((b"a_-*/=!~",), b"a_-*/=!~"),
        ((b"a=1,a=2",), b""),
        ((b"a=1", b"a=2"), b""),
        ((b"A=1",), b""),
        ((b"a=1,b",), b""),
        ((b"a=",), b""),
        ((b"=1",), b""),
        ((b"a =1",), b""),
        ((b"a=1=2",), b""),
        ((b"a=\xe9",), b""),
        ((b"a=1\t2",), b""),
        ((b"k" * 256 + b"=1",), b"k" * 256 + b"=1"),
        ((b"k" * 257 + b"=1",), b""),
        ((b"k=" + b"v" * 256,), b"k=" + b"v" * 256),
        ((b"k=" + b"v" * 257,), b""),
        ((b",".join(b"k%d=1" % at for at in range(32)),), b",".join(b"k%d=1" % at for at in range(32))),
        ((b",".join(b"k%d=1" % at for at in range(33)),), b""),
        ((b"a=1" + b"," * 128,), b"a=1"),
        ((b"a=1" + b"," * 129,), b""),  # more are not looked at
        ((b"a=" + b" " * 7000 + b"\xe9",), b""),
        # 512 bytes go on; of more, the long members go first, then the last ones
        ((LONGER + b",b=" + FULL[2:] + b",c=" + b"v" * 121,), LONGER + b",b=" + FULL[2:] + b",c=" + b"v" * 121),
        ((LONGER + b",b=" + FULL[2:] + b",c=" + b"v" * 122,), b"c=" + b"v" * 122),
        ((FOUR,), FOUR[:-129]),
    ],
)  # fmt: skip
def test_tracestate(lines: tuple[bytes, ...], state: bytes) -> None:
    """Its lines joined, as far as they can be read and are not too much."""
    trace = begun(parent(VALID), *(b"tracestate: " + line for line in lines))
    assert trace.trace_id == TRACE  # whatever that is like
    assert trace.state == state
    assert trace.fields().count(b"\r\n") == 1 + bool(state)


def test_neither_field_is_among_those_that_go_on_as_they_came() -> None:
    """In no spelling."""
    request = read_request(
        b"GET / HTTP/1.1\r\nHost: a\r\nTRACEPARENT: x\r\nTracestate: a=1\r\nTraceState: b=2\r\nA: 1\r\n\r\n"
    )
    assert request.fields == [b"A", b": ", b"1", b"\r\n"]
    assert (request.traceparent, request.tracestate) == (b"x", b"a=1,b=2")

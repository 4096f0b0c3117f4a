"""W3C Trace Context (https://www.w3.org/TR/trace-context-2/): whose trace a request belongs to, and what goes on.

A request is never refused for it: what cannot be read begins a new trace. Spans are none of this module's business.
"""

import re
from typing import Final

from gateway.wire.message import Request

_HEX: Final = b"0123456789abcdef"  # section 3.2.2: lower case alone
_PARENT: Final = 55  # bytes of version 00; a later one may have more behind them (section 3.2.2)
_NO_TRACE: Final = b"0" * 32
_NO_SPAN: Final = b"0" * 16
# Section 3.3.1.3, with the keys of both levels
_MEMBER = re.compile(rb"([a-z0-9][a-z0-9_*/@-]{0,255})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{1,256}\Z").match
_MEMBERS: Final = 32
_PARTS: Final = 4 * _MEMBERS  # empty ones do not count as members, but are not read without end either
_STATE: Final = 512  # bytes; section 3.3.1.5: at least that many go on
_LONG: Final = 128  # bytes; section 3.3.1.5: members over this are the first to go
# 1: sampled. 2: the trace id is random (level 2).
_FLAGS: Final = (b"00", b"01", b"02", b"03")
_RANDOM: Final = b"02"
_RANDOM_SAMPLED: Final = b"03"
_NEVER: Final = b"g"  # after every digit
IDS: Final = 48  # digits: of a trace id, then of a span id


class Trace:
    """Of one exchange. A plain slotted class, made once per request on the measured path; written to by nobody.

    trace_id, span_id: lower-case hexadecimal digits, 32 and 16. span_id: ours, which is the parent towards whom the
    request goes on to. parent_id: the caller's span, b"" where the trace begins here. flags: the two digits that
    go on. state: the value of `tracestate`, b"" for none. sampled: whether the exchange is to be recorded.
    """

    __slots__ = ("flags", "parent_id", "sampled", "span_id", "state", "trace_id")

    def __init__(
        self, trace_id: bytes, span_id: bytes, parent_id: bytes, sampled: bool, flags: bytes, state: bytes
    ) -> None:
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.sampled = sampled
        self.flags = flags
        self.state = state

    def fields(self) -> bytes:
        """The whole lines that go on: `traceparent`, once, and what is left of `tracestate`."""
        line = b"traceparent: 00-%b-%b-%b\r\n" % (self.trace_id, self.span_id, self.flags)
        return line + b"tracestate: " + self.state + b"\r\n" if self.state else line


class Traces:
    """Whose word counts about a trace, and which are recorded: what one load of the configuration says."""

    __slots__ = ("_anybody", "_least")

    def __init__(self, anybody: bool = True, sample: float = 1.0) -> None:
        """anybody: whether a trace goes on that a client began who is no trusted proxy. sample: the share of traces
        that are recorded, 0 to 1, of those that no trusted proxy has decided about.
        """
        self._anybody = anybody
        # of 56 random bits (level 2, section 3.2.2.5), those from here on; compared as digits
        least = round((1.0 - sample) * 2**56)
        self._least = b"%014x" % least if least < 2**56 else _NEVER

    def begin(self, request: Request, trusted: bool, ids: bytes) -> Trace:
        """The trace of a request that has just been read. trusted: it came from a trusted proxy. ids: IDS random
        hexadecimal digits.

        A stranger may choose the trace, but neither asks for records nor finds a trace id that is always recorded:
        chance decides, by our own span id.
        """
        if request.traceparent is not None and (trusted or self._anybody):
            parent = request.traceparent.strip(b" \t")
            if _readable(parent):
                return self._continued(request, trusted, parent[3:35], parent[36:52], parent[53:55], ids[32:])
        trace_id = ids[:32]
        if trace_id[18:] >= self._least:
            return Trace(trace_id, ids[32:], b"", True, _RANDOM_SAMPLED, b"")
        return Trace(trace_id, ids[32:], b"", False, _RANDOM, b"")

    def _continued(
        self, request: Request, trusted: bool, trace_id: bytes, parent_id: bytes, said: bytes, span_id: bytes
    ) -> Trace:
        """said: the caller's flags, of which those that the specification does not know end here."""
        flags = int(said, 16)
        sampled = flags & 1 != 0 if trusted else span_id[2:] >= self._least
        state = _state(request.tracestate) if request.tracestate is not None else b""
        return Trace(trace_id, span_id, parent_id, sampled, _FLAGS[(flags & 2) + sampled], state)


def _readable(parent: bytes) -> bool:
    """Whether it has the fields of version 00 where they are in every version (sections 3.2.2 and 4.2)."""
    size = len(parent)
    if size < _PARENT or parent[:_PARENT].translate(None, _HEX) != b"---":
        return False
    if parent[2] != 0x2D or parent[35] != 0x2D or parent[52] != 0x2D:
        return False
    version = parent[:2]
    if version == b"ff" or (size > _PARENT and (version == b"00" or parent[_PARENT] != 0x2D)):
        return False
    return parent[3:35] != _NO_TRACE and parent[36:52] != _NO_SPAN


def _state(value: bytes) -> bytes:
    """What goes on of the lines of `tracestate`, joined: all of it or, if it cannot be read, nothing; of a long one
    the long members and then the last ones are left out."""
    kept: list[bytes] = []
    keys: set[bytes] = set()
    for part in value.split(b",", _PARTS):
        member = part.strip(b" \t")
        if not member:
            continue
        match = _MEMBER(member)
        if match is None or match[1] in keys:
            return b""
        keys.add(match[1])
        kept.append(member)
    return b"" if len(kept) > _MEMBERS else _within(kept)


def _within(members: list[bytes]) -> bytes:
    state = b",".join(members)
    if len(state) > _STATE:
        members = [member for member in members if len(member) <= _LONG]
        while (state := b",".join(members)) and len(state) > _STATE:
            members.pop()
    return state

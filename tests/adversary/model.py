"""What a case is, what came of it, and what every case is held to whatever it is about."""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .readings import is_under, rfc_reading

Field = tuple[bytes, bytes]
_NOT_ALNUM = re.compile(rb"[^a-z0-9]")
_TRIMMED = bytes(range(0x21)) + b"\x7f\x85\xa0"  # white space and controls, as some server or library counts them
# Framing that no two servers read alike: exactly one of these fields, and of `Transfer-Encoding` exactly this value.
_FRAMING: Final = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True)
class Options:
    """What is known of a gateway under test. identities: the headers that only it may set, the first with the caller.

    public, protected: path prefixes without a slash at the end. credential: a whole header line that is good for
    protected. key: PEM of a private key whose tokens are accepted, with these claims and JOSE header fields.
    """

    host: str
    port: int
    log: Path
    public: bytes
    protected: bytes
    identities: tuple[bytes, ...]
    credential: bytes | None = None
    name: bytes = b"gateway.test"
    key: bytes | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    jose: dict[str, Any] = field(default_factory=dict)
    patience: float = 65.0  # seconds that a head may take before the gateway has to give up
    wait: float = 0.5  # seconds of silence after which a connection is taken to have nothing more to say
    at_once: int = 32


@dataclass(frozen=True)
class Record:
    """A request as the upstream got it."""

    number: int
    connection: int
    method: bytes
    target: bytes
    fields: tuple[Field, ...]
    trailers: tuple[bytes, ...]
    complete: bool
    malformed: bool
    tunnel: bool
    at: float
    body: int = 0

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def folded(self, name: bytes) -> list[bytes]:
        """Values of every field that some server takes for this one."""
        trailing = [(key, value) for key, _, value in (line.partition(b":") for line in self.trailers)]
        return [value for key, value in (*self.fields, *trailing) if fold(key) == fold(name)]


@dataclass(frozen=True)
class Answer:
    """record: of the upstream's answer that it is, None if the gateway said it itself."""

    status: int
    record: int | None


@dataclass
class Outcome:
    """ended: when the client closed, by the monotonic clock. closed: whether the gateway had, before that."""

    answers: list[Answer]
    closed: bool
    seconds: float
    ended: float
    tunnelled: bytes = b""
    records: list[Record] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)  # what the upstream could not even read

    @property
    def arrived(self) -> list[Record]:
        return [record for record in self.records if record.complete]


Judge = Callable[[Outcome], str | None]


@dataclass(frozen=True)
class Case:
    """segments: sent one after the other. mark: in the target of each of its requests.

    judge: says what is wrong, None if nothing is. authorized: whether a protected path may arrive. expect: answers
    after which nothing more is waited for; None for as many as come. slow: seconds between the last segments, for ever.
    inapplicable: why it says nothing here.
    """

    rule: str
    name: str
    mark: bytes
    segments: Sequence[bytes]
    judge: Judge
    authorized: bool = False
    expect: int | None = 1
    head: bool = False
    slow: bool = False
    inapplicable: str = ""


@dataclass(frozen=True)
class Result:
    """verdict: passed, failed or n/a."""

    rule: str
    name: str
    verdict: str
    reason: str = ""


def fold(name: bytes) -> bytes:
    """The name as the most forgiving server reads it: CGI folds case and whatever is no letter or digit."""
    return _NOT_ALNUM.sub(b"-", name.lower().strip(_TRIMMED))


class Ground:
    """What the generators of cases build with. added: names of the fields that the gateway itself was seen to add."""

    def __init__(self, options: Options, added: frozenset[bytes] = frozenset()) -> None:
        self.options = options
        self.added = added
        self._marks = itertools.count(1)

    def mark(self) -> bytes:
        return b"adv%06dq" % next(self._marks)

    def public(self, mark: bytes) -> bytes:
        return self.options.public + b"/" + mark

    def protected(self, mark: bytes) -> bytes:
        return self.options.protected + b"/" + mark

    def request(
        self,
        target: bytes,
        *fields: bytes,
        method: bytes = b"GET",
        version: bytes = b"HTTP/1.1",
        body: bytes = b"",
        host: bool = True,
    ) -> bytes:
        """The bytes of a request. body: as it is; its framing is among the fields."""
        lines = [method + b" " + target + b" " + version]
        if host:
            lines.append(b"Host: " + self.options.name)
        return b"\r\n".join((*lines, *fields, b"", body))

    def places(self, mark: bytes) -> Iterable[tuple[str, bytes, tuple[bytes, ...], bool]]:
        """Kinds of routes: what they are called, a target, the fields of a caller, and whether one is known there."""
        yield "public", self.public(mark), (), False
        if self.options.credential is not None:
            yield "protected", self.protected(mark), (self.options.credential,), True


def held(case: Case, outcome: Outcome, options: Options) -> str | None:
    """What holds for every case: nothing unasked for arrives, one request is one request, and gets its own answer."""
    if outcome.raw:
        return f"the upstream got what is no request: {outcome.raw[0][:80]!r}"
    sent = b"".join(case.segments)
    for record in outcome.records:
        if record.method + b" " not in sent:
            return f"a request of the method {record.method!r} arrived, which nobody sent"
        if not case.authorized and is_under(rfc_reading(record.target), options.protected):
            return f"{record.method!r} {record.target!r} arrived without a credential"
        if record.malformed:
            return f"a malformed request arrived: {record.method!r} {record.target!r}"
        framing = [value for name, value in record.fields if name.strip().lower() in _FRAMING]
        chunked = record.all(b"transfer-encoding")
        if len(framing) > 1 or [value for value in chunked if value.lower() != b"chunked"]:
            return f"ambiguous framing arrived: {framing!r}"
        spelt = [name for name, _ in record.fields if name.lower().replace(b"_", b"-") in _FRAMING and b"_" in name]
        if spelt:  # CGI and WSGI make CONTENT_LENGTH of it
            return f"ambiguous framing arrived: {spelt[0]!r}"
    known = {record.number for record in outcome.records}
    answered = [answer.record for answer in outcome.answers if answer.record is not None]
    if strange := [number for number in answered if number not in known]:
        return f"it got the answer to another request (record {strange[0]})"
    if len(answered) > len(set(answered)):
        return "one answer came twice"
    # What arrived after the client had gone, nobody was there to be answered.
    due = {record.number for record in outcome.arrived if record.at < outcome.ended}
    if missing := due - set(answered):
        return f"{len(due)} requests arrived, {len(answered)} were answered (record {min(missing)} was not)"
    return None


def refused(outcome: Outcome) -> str | None:
    """Nothing of it reaches the upstream."""
    if outcome.records:
        return f"{outcome.records[0].method!r} {outcome.records[0].target!r} arrived"
    return None


def passable(_: Outcome) -> str | None:
    """Whatever `held` says."""
    return None

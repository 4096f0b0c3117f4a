"""The hash chain of the audit trail, in values: what a row's tag and link are made of, and what breaks a chain.

Every hash is an HMAC under a key of the master key, so whoever can write the database and has no master key can make
none. A row's *tag* is of its content, made with the row, in the transaction of what it tells. Its *link* is of the link
before, its number, its id and its tag, made when it is sealed (`store.audit_seal`). An *anchor* is a place in the
chain that is written down beside it: `start`, the last row that retention removed, and `head`, the last row that was
sealed.
"""

import hmac
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol, Self

from sqlalchemy import Row


class Macs(Protocol):
    """`store.seal.Sealer`."""

    @property
    def active(self) -> int: ...

    def mac(self, purpose: str, value: bytes, version: int = ...) -> bytes:
        """version: of the data key; the first by default."""


GENESIS: Final = bytes(32)  # the link before the first row

AnchorName = Literal["start", "head"]
What = Literal["changed", "missing", "moved", "forged", "truncated", "unsealed", "other_head"]

SAYS: Final[dict[What, str]] = {
    "changed": "the row's content is not what was written",
    "missing": "the row was removed",
    "moved": "the row was written by the gateway, but not at this place",
    "forged": "the row was not written by this gateway, or with another master key",
    "truncated": "rows at the end were removed, or the record of where it ends was",
    "unsealed": "rows wait that cannot be sealed",
    "other_head": "the trail does not have this head: it was cut back and went on, or is another one",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What one row says. at: seconds since the epoch. detail: a JSON object, as it was written."""

    uid: str
    at: float
    kind: str
    outcome: str
    reason: str
    actor: str
    credential: str
    account_id: str | None
    subject: str
    dialect: str
    ip: str
    agent: str
    request_id: str
    detail: str

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        return cls(
            row.uid, _number(row.at), row.kind, row.outcome, row.reason, row.actor, row.credential, row.account_id,
            row.subject, row.dialect, row.ip, row.agent, row.request_id, row.detail,
        )  # fmt: skip

    def canonical(self) -> bytes:
        """One JSON array, in ASCII, without blanks. Floats in the shortest form that is read back as the same."""
        content = (
            self.uid, self.at, self.kind, self.outcome, self.reason, self.actor, self.credential, self.account_id,
            self.subject, self.dialect, self.ip, self.agent, self.request_id, self.detail,
        )  # fmt: skip
        return json.dumps(content, separators=(",", ":"), default=repr).encode()


def _number(value: object) -> float:
    """SQLite keeps whatever somebody writes there; it is no number of ours then, and no reason to stop either."""
    return float(value) if isinstance(value, int | float) else math.nan


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


@dataclass(frozen=True, slots=True)
class Link:
    """A row in the chain, or waiting for it (seq None), or set aside as not ours (seq below 0)."""

    id: int
    seq: int | None
    entry: Entry
    tag: bytes
    mac: bytes

    @classmethod
    def of(cls, row: Row[Any]) -> Self:
        """A row of the table; mac is empty before it is sealed."""
        return cls(row.id, row.seq, Entry.of(row), _bytes(row.tag), _bytes(row.mac))


@dataclass(frozen=True, slots=True)
class Anchor:
    """seq, mac: of the row it stands for; 0 and GENESIS before the first. at: seconds since the epoch; of start: the
    latest time in what is gone, which no row to come can have. version: of the data key that it is tagged with."""

    name: AnchorName
    seq: int
    mac: bytes
    at: float
    version: int = 1

    @classmethod
    def of(cls, name: AnchorName, row: Row[Any]) -> Self:
        """A row of the table."""
        return cls(name, row.seq, _bytes(row.mac), row.at, row.version)

    def __str__(self) -> str:
        """As people write it down, and `verify --head` reads it."""
        return f"{self.seq}:{self.mac.hex()}"


@dataclass(frozen=True, slots=True)
class Broken:
    """seq: of the first row that is not as it must be; below 1, its id of one that was set aside."""

    seq: int
    what: What


class Chain:
    """Rows are tagged and linked under the first data key for ever, as each link rests on the one before. Anchors are
    tagged under the active one: whoever knows an old master key can make rows, but no trail that ends at our head."""

    def __init__(self, macs: Macs) -> None:
        self._mac = macs.mac
        self._macs = macs

    def tag(self, entry: Entry) -> bytes:
        return self._mac("audit row", entry.canonical())

    def is_ours(self, entry: Entry, tag: bytes) -> bool:
        return hmac.compare_digest(self.tag(entry), tag)

    def link(self, before: bytes, seq: int, row: int, tag: bytes) -> bytes:
        """row: the row's id, by which lists are ordered; where it is another, the row has moved."""
        return self._mac("audit chain", before + seq.to_bytes(8) + row.to_bytes(8, signed=True) + tag)

    def is_anchor(self, anchor: Anchor, tag: object) -> bool:
        """Raises KeyUnknown (`store.seal`) for a version that this process has not read yet."""
        if not isinstance(anchor.version, int) or anchor.version < self._macs.active:
            return False
        return hmac.compare_digest(self.anchor_tag(anchor), _bytes(tag))

    def renewed(self, anchor: Anchor) -> Anchor:
        """To be tagged under the active key; by a process that has not read yet which one it is, under the last one."""
        return replace(anchor, version=max(anchor.version, self._macs.active))

    def anchor_tag(self, anchor: Anchor) -> bytes:
        content = (anchor.name, anchor.seq, anchor.mac.hex(), anchor.at, anchor.version)
        said = json.dumps(content, separators=(",", ":"), default=repr)
        return self._mac("audit anchor", said.encode(), anchor.version)


class Walk:
    """Goes along the chain from an anchor. seq, mac: of the last row that was right."""

    def __init__(self, chain: Chain, start: Anchor) -> None:
        self._chain = chain
        self.seq = start.seq
        self.mac = start.mac

    def step(self, link: Link) -> Broken | None:
        """The next row, in the order of numbers; what is wrong with it."""
        wanted = self.seq + 1
        if link.seq != wanted:
            return Broken(wanted, "missing")
        ours = self._chain.is_ours(link.entry, link.tag)
        linked = hmac.compare_digest(self._chain.link(self.mac, wanted, link.id, link.tag), link.mac)
        if not ours:
            return Broken(wanted, "changed" if linked else "forged")
        if not linked:
            return Broken(wanted, "moved")
        self.seq, self.mac = wanted, link.mac
        return None

    def steps(self, links: Sequence[Link]) -> Broken | None:
        """Several, up to the first that is wrong."""
        return next(filter(None, map(self.step, links)), None)

    def end(self, head: Anchor) -> Broken | None:
        """After the last row."""
        if self.seq < head.seq:
            return Broken(self.seq + 1, "truncated")
        if self.seq > head.seq or not hmac.compare_digest(self.mac, head.mac):
            return Broken(self.seq, "truncated")
        return None

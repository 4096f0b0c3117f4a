"""No sequence of bytes, ends, failures and delays on either side makes the edge mix up, forget or leak anything.

The machine plays all clients and all upstreams of a whole edge in memory (see `memory`): requests good and bad, split
anywhere and pipelined, answers good and bad, split anywhere and broken off, either side gone at any moment, slow, or
not reading. Every request that an upstream gets is held against the one that was sent, every byte that a client gets
against the answers to its own requests, in their order; in the end everything has to be as it was in the beginning.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from edge.memory import Rig
from edge.transcript import MALFORMED, Line, Sent, answer, read_answers, request
from edge.transports import Wire
from gateway.edge import client, upstream
from gateway.edge.sockets import LARGE, READ

T = TypeVar("T")

MANY = os.environ.get("EDGE_EXAMPLES")  # `make fuzz` sets it: so many, and others each time
STEPS = 60
TURNS = st.sampled_from((0, 0, 1, 2, 5))
PICK = st.integers(0, 99)
SIZES = st.sampled_from((0, 1, 10, 700, 5000, 5000))
PARTS = st.sampled_from((1, 3, 40, 1000, 100_000, 100_000, 100_000))
ROUTES = st.sampled_from(("public", "auth", "auth", "crowd", "crowd", "crowd", "seat"))
WHO = st.sampled_from(("ada", "ada", "ada", "bob", "bob", "bob", "nobody", None))
REQUESTS = (b"GET ", b"HEAD ", b"POST ", b"PUT ")
METHODS = st.sampled_from((b"GET", b"GET", b"HEAD", b"POST", b"PUT"))
MORE = st.sampled_from((b"",) * 20 + (b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"X_Bad: 1\r\n"))
DIALED = st.sampled_from(("made",) * 9 + ("refused", "made and lost"))
CHUNKS = st.sampled_from((0, 0, 333))
AGAIN = st.sampled_from((True, True, False))
GOOD = ("counted", "counted", "chunked", "early hints", "no content")
KINDS = st.sampled_from((*GOOD, *GOOD, "busy", "until close", "closing", "busy", "surplus", "short", "garbage"))
CLIENTS = 8


@dataclass
class Mine:
    """A client. asked: in the order of sending. outgoing: bytes that have not arrived yet. open_: it may ask more.

    excused: something has happened to it after which the gateway may close the connection.
    """

    wire: Wire
    asked: list[Sent] = field(default_factory=list)
    outgoing: bytes = b""
    open_: bool = True
    excused: bool = False
    left: bool = False
    waited: int = 0
    seen: int = -1


class Machine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.rig = Rig()
        self.known: dict[int, Sent] = {}
        self.mine: list[Mine] = []
        self.lines: list[Line] = []
        self.revoked: set[str] = set()
        for name in ("ada", "bob"):
            self.rig.admit(name)
        self.join()

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            try:
                self._finish()
            finally:
                self.rig.close()

    @rule(data=st.data())
    def happens(self, data: st.DataObject) -> None:
        likely = [name for name, (weight, when, _) in EVENTS.items() if when(self) for _ in range(weight)]
        name = data.draw(st.sampled_from(likely))
        getattr(self, name)(**{key: data.draw(values, f"{name}.{key}") for key, values in EVENTS[name][2].items()})

    # clients

    def join(self) -> None:
        self.mine.append(Mine(self.rig.connect()))

    def ask(
        self, pick: int, method: bytes, route: str, who: str | None, size: int, chunk: int, more: bytes, minor: int,
        at_once: bool, turns: int,
    ) -> None:  # fmt: skip
        if not self._asking():
            self.join()
        mine = self._picked(self._asking(), pick)
        size = size if method in (b"POST", b"PUT") else 0
        sent = request(len(self.known) + 1, method, route, who, size, chunk if size and minor else 0, more, minor)
        if more.startswith(b"X_Bad"):
            sent.refused = 400
        self._sends(mine, sent)
        if at_once:
            self._deliver(mine, len(mine.outgoing))
        self.rig.loop.turns(turns)
        mine.excused = mine.excused or (size > 0 and bool(mine.outgoing))  # refused before its end, it ends all

    def ask_badly(self, pick: int, which: bytes) -> None:
        sent = Sent(len(self.known) + 1, b"GET", "public", None, which, refused=MALFORMED[which])
        self._sends(self._picked(self._asking(), pick), sent)

    def _sends(self, mine: Mine, sent: Sent) -> None:
        self.known[sent.number] = sent
        mine.asked.append(sent)
        mine.outgoing += sent.raw
        mine.open_ = sent.keep and not sent.refused
        mine.excused = mine.excused or not mine.open_

    def arrives(self, pick: int, size: int) -> None:
        self._deliver(self._picked(self._arriving(), pick), size)

    def _deliver(self, mine: Mine, size: int) -> None:
        if mine.wire.reading and mine.outgoing:
            part, mine.outgoing = mine.outgoing[:size], mine.outgoing[size:]
            self.rig.loop.do(lambda: mine.wire.feed(part))

    def half_close(self, pick: int) -> None:
        """Perhaps in the midst of something."""
        mine = self._picked(self._reading(), pick)
        mine.outgoing, mine.open_, mine.excused = b"", False, True
        self.rig.loop.do(mine.wire.eof)

    def leave(self, pick: int, how: Exception | None) -> None:
        mine = self._picked(self._here(), pick)
        mine.left = True
        self.rig.loop.do(lambda: mine.wire.fall(how))

    def take(self, pick: int, size: int) -> None:
        """What was written to it, from now on no faster than this; or all, with the largest."""
        wire = self._picked(self._here(), pick).wire
        self.rig.loop.do(lambda: wire.take_all() if size > 10_000 else (setattr(wire, "takes", False), wire.take(size)))

    # in between

    def looked_up(self, well: bool, turns: int) -> None:
        self.rig.loop.do(lambda: self.rig.store.answer(well))
        self.rig.loop.turns(turns)

    def connected(self, how: str, turns: int) -> None:
        wire = self.rig.dialed(ConnectionRefusedError(111, "refused") if how == "refused" else None)
        if wire is not None:
            self.lines.append(Line(wire))
            if how == "made and lost":
                self.rig.loop.do(wire.eof)
        self.rig.loop.turns(turns)

    def turns(self, count: int) -> None:
        self.rig.loop.turns(count)

    def wait(self, seconds: int) -> None:
        for mine in self.mine:
            mine.waited += seconds
        self._excuse(mine for mine in self.mine if mine.waited > 2)
        self.rig.sweep(seconds)

    def revoke(self, who: str, again: bool) -> None:
        self._excuse(mine for mine in self.mine if any(sent.who == who for sent in mine.asked))
        for line in self.lines:
            self.rig.loop.do(line.wire.take_all)
        self._look()
        self.rig.revoke(who)
        if again:
            self.rig.admit(who)
        (self.revoked.discard if again else self.revoked.add)(who)

    # upstreams

    def answers(self, pick: int, kind: str, size: int, part: int) -> None:
        line = self._picked(self._owing(), pick)
        self.rig.loop.do(line.wire.take_all)  # what has been sent it reads, before it is done with the request
        line.read(self.known, self.revoked)
        assert line.owed is not None
        if line.said and line.complete:
            return  # it answered before the request had come to its end, and waits for the end of the connection
        if kind not in (*GOOD, "busy") or not line.complete:
            self._excuse_for(line)
        line.say(answer(line.owed, kind, size))
        self._speak(line, part)

    def speaks(self, pick: int, part: int) -> None:
        self._speak(self._picked(self._speaking(), pick), part)

    def _speak(self, line: Line, size: int) -> None:
        if line.pending and line.wire.reading:
            part = line.sent(size)
            self.rig.loop.do(lambda: line.wire.feed(part))

    def is_lost(self, pick: int, clean: bool) -> None:
        self._lose(self._picked(self._standing(), pick), clean)

    def ends(self, pick: int) -> None:
        line = self._picked([line for line in self._standing() if line.ending and not line.pending], pick)
        self._lose(line, line.wire.reading)

    def _lose(self, line: Line, clean: bool) -> None:
        self._excuse_for(line)
        clean = clean and line.wire.reading
        line.ended(clean)
        self.rig.loop.do(line.wire.eof if clean else lambda: line.wire.fall(ConnectionResetError()))

    def reads(self, pick: int, size: int) -> None:
        """As `take`, of an upstream."""
        wire = self._picked(self._standing(), pick).wire
        self.rig.loop.do(lambda: wire.take_all() if size > 10_000 else (setattr(wire, "takes", False), wire.take(size)))

    def speaks_unasked(self, pick: int) -> None:
        line = self._picked(self._silent(), pick)
        line.ending = True
        self.rig.loop.do(lambda: line.wire.feed(b"HTTP/1.1 408 Request Timeout\r\nx-n: 0\r\n\r\n"))

    # what holds after each of them

    @invariant()
    def every_message_is_somebodys(self) -> None:
        if not hasattr(self, "rig"):
            return
        self._look()
        assert not self.rig.surprises()
        late = [data for line in self.lines for data in line.wire.late if data.startswith(REQUESTS)]
        assert not late, "a request was sent on a connection that had ended"
        for mine in self.mine:
            if mine.seen != len(mine.wire.taken):
                mine.seen = len(mine.wire.taken)
                read_answers(bytes(mine.wire.taken), mine.asked, False)

    @invariant()
    def only_finished_connections_are_kept(self) -> None:
        if not hasattr(self, "rig"):
            return
        owing = {id(line.wire) for line in self.lines if line.owed is not None or line.pending}
        for group in self.rig.upstreams:
            for endpoint in group.endpoints:
                assert endpoint.health.outstanding >= 0
                assert endpoint.health.open >= len(endpoint.idle)
                for connection in endpoint.idle:
                    assert connection.holder is None
                    assert id(connection.transport) not in owing
        assert len(self._crowd()) + self.rig.ledger.dialing <= Rig.CONNECTIONS + sum(
            wire.closing for wire in self._crowd()
        )
        assert sum(self.rig.room.under_way.values()) <= Rig.SEATS

    def _crowd(self) -> list[Wire]:
        crowded = self.rig.upstreams[1].endpoints
        lines = self.rig.lines
        return [wire for wire, used in lines if used.home in crowded and not wire.lost and used.counted]

    def _look(self) -> None:
        for line in self.lines:
            line.read(self.known, self.revoked)

    # the end

    def _finish(self) -> None:
        """Everybody does their best; then everybody leaves."""
        before, same = -1, 0
        while same < 5:
            self._settle()
            moved = sum(len(wire.taken) for wire in (*self.rig.clients, *(line.wire for line in self.lines)))
            moved -= sum(len(mine.outgoing) for mine in self.mine)
            before, same = moved, same + 1 if moved == before else 0
            assert not (same > 2 and self.rig.overlooked), "somebody waits, and there is room"
        self._excuse(mine for mine in self.mine if mine.outgoing)  # the gateway reads no more of it
        self.every_message_is_somebodys()
        for mine in self._here():
            if not mine.wire.closing and not mine.excused:
                found = read_answers(bytes(mine.wire.taken), mine.asked, False)
                assert [whole for _, _, whole in found] == [True] * len(mine.asked), "a request was forgotten"
        closed = [mine for mine in self.mine if not mine.excused and not mine.left and mine.wire.closing]
        assert not closed, f"closed for no reason: {closed}"
        for mine in self._here():
            self.rig.loop.do(lambda wire=mine.wire: wire.fall(ConnectionResetError()))
        self.rig.loop.turns(20)
        self.rig.store.cold = False
        while self.rig.store.waiting:
            self.rig.loop.do(self.rig.store.answer)
        self.rig.loop.turns(20)
        self.every_message_is_somebodys()
        assert self.rig.leftovers() == {}
        self.rig.sweep(100)
        assert all(wire.lost for wire, _ in self.rig.lines), "kept for ever"
        over = self.rig.watcher.over
        assert len({id(exchange) for exchange in over}) == len(over), "told twice"

    def _settle(self) -> None:
        rig = self.rig
        for mine in self._here():
            rig.loop.do(mine.wire.take_all)
            self._deliver(mine, len(mine.outgoing))
        while rig.store.waiting:
            rig.loop.do(rig.store.answer)
        while rig.dials:
            self.connected("made", 0)
        for line in self._standing():
            rig.loop.do(line.wire.take_all)
            line.read(self.known, self.revoked)
            if line.pending:
                self._speak(line, len(line.pending))
            elif line.ending:
                self._lose(line, line.wire.reading)
            elif line.owed is not None and line.complete:
                line.say(answer(line.owed, "counted", 10))
        rig.loop.turns(3)

    # who is there

    def _here(self) -> list[Mine]:
        return [mine for mine in self.mine if not mine.wire.lost and not mine.left]

    def _asking(self) -> list[Mine]:
        return [mine for mine in self._here() if mine.open_ and not mine.wire.closing]

    def _reading(self) -> list[Mine]:
        return [mine for mine in self._here() if mine.wire.reading]

    def _arriving(self) -> list[Mine]:
        return [mine for mine in self._reading() if mine.outgoing]

    def _standing(self) -> list[Line]:
        return [line for line in self.lines if not line.wire.closing]

    def _owing(self) -> list[Line]:
        return [line for line in self._standing() if line.owed is not None and not line.pending and not line.ending]

    def _speaking(self) -> list[Line]:
        return [line for line in self._standing() if line.pending and line.wire.reading]

    def _silent(self) -> list[Line]:
        """Whose request crosses the bytes cannot be told from the outside, so no request may be on its way."""
        free = [line for line in self._standing() if line.owed is None and not line.ending and not line.wire.out]
        return [line for line in free if line.wire.reading]

    def _excuse(self, those: Iterable[Mine]) -> None:
        for mine in those:
            mine.excused = True

    def _excuse_for(self, line: Line) -> None:
        self._excuse(mine for mine in self.mine if line.owed in mine.asked)

    @staticmethod
    def _picked(found: list[T], pick: int) -> T:
        return found[-1 - pick % len(found)]


# name: how likely it is beside the others, when it may happen, and with what. That the machine has one rule only is on
# purpose: Hypothesis leaves out a random half of the rules of each example, after which few requests get anywhere.
Event = tuple[int, Callable[[Machine], object], dict[str, st.SearchStrategy[object]]]
EVENTS: dict[str, Event] = {
    "join": (2, lambda m: len(m._here()) < CLIENTS, {}),
    "ask": (8, lambda m: m._here(), {
        "pick": PICK, "method": METHODS, "route": ROUTES, "who": WHO, "size": SIZES, "chunk": CHUNKS, "more": MORE,
        "minor": st.sampled_from((1,) * 15 + (0,)), "at_once": st.sampled_from((True, True, False)), "turns": TURNS,
    }),
    "ask_badly": (1, lambda m: m._asking(), {"pick": PICK, "which": st.sampled_from(sorted(MALFORMED))}),
    "arrives": (4, lambda m: m._arriving(), {"pick": PICK, "size": PARTS}),
    "half_close": (1, lambda m: m._reading(), {"pick": PICK}),
    "leave": (1, lambda m: m._here(), {"pick": PICK, "how": st.sampled_from((None, ConnectionResetError()))}),
    "take": (2, lambda m: m._here(), {"pick": PICK, "size": st.sampled_from((0, 1, 1500, 1500, 100_000, 100_000))}),
    "looked_up": (6, lambda m: m.rig.store.waiting, {"well": st.sampled_from((True,) * 9 + (False,)), "turns": TURNS}),
    "connected": (5, lambda m: m.rig.dials, {"how": DIALED, "turns": TURNS}),
    "turns": (2, lambda m: True, {"count": st.integers(1, 4)}),
    "wait": (1, lambda m: True, {"seconds": st.sampled_from((1, 1, 1, 1, 4, 11, 31, 61, 76))}),
    "revoke": (1, lambda m: len(m.known) > 3, {"who": st.sampled_from(("ada", "bob")), "again": AGAIN}),
    "answers": (8, lambda m: m._owing(), {"pick": PICK, "kind": KINDS, "size": SIZES, "part": PARTS}),
    "speaks": (6, lambda m: m._speaking(), {"pick": PICK, "part": PARTS}),
    "is_lost": (2, lambda m: m._standing(), {"pick": PICK, "clean": st.booleans()}),
    "ends": (2, lambda m: any(line.ending and not line.pending for line in m._standing()), {"pick": PICK}),
    "reads": (1, lambda m: m._standing(), {"pick": PICK, "size": st.sampled_from((0, 1500, 100_000, 100_000))}),
    "speaks_unasked": (1, lambda m: m._silent(), {"pick": PICK}),
}  # fmt: skip


READS = [(LARGE, READ), (40, READ), (600, 5000)] if client.__file__.endswith(".py") else [(LARGE, READ)]
RUN: dict[str, Any] = {"phases": (Phase.generate,), "database": None, "suppress_health_check": list(HealthCheck)}
RUN |= {"stateful_step_count": STEPS, "derandomize": MANY is None, "max_examples": int(MANY or 25)}


@pytest.mark.timeout(0 if MANY else 120)
@pytest.mark.parametrize(("large", "full"), READS)
def test_no_sequence_of_events_mixes_up_anything(monkeypatch: pytest.MonkeyPatch, large: int, full: int) -> None:
    """The same examples in each run; others in `make fuzz`. Also where most reads are large, or full."""
    if large != LARGE:
        for module in (client, upstream):
            monkeypatch.setattr(module, "LARGE", large)
            monkeypatch.setattr(module, "READ", full)
    run_state_machine_as_test(Machine, settings=settings(**RUN))

"""A client that leaves at any await of the slow path leaves nothing behind, and takes nothing from the others.

Each stage below is played turn by turn of the loop, once for every turn at which the client can leave: while its
credential is looked up, while it waits for room, for a connection, for its own retry, for the upstream to read, and in
the midst of its answer. Then another client has to get what it asks for.
"""

from collections.abc import Callable, Iterator

import pytest

from edge.memory import Rig
from edge.transcript import Line, Sent, answer, read_answers, request
from edge.transports import Wire

TURNS = 5  # of the loop that are looked at after each thing that happens; none of them takes more to come to rest

Stage = Callable[["Play"], None]


class Play:
    """One client that will leave, on a rig with others. known: all that was sent."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.known: dict[int, Sent] = {}
        self.lines: list[Line] = []
        for name in ("ada", "bob"):
            self.rig.admit(name)
        self.client = self.rig.connect()

    def send(self, client: Wire, sent: Sent, size: int | None = None) -> Sent:
        self.known[sent.number] = sent
        self.rig.loop.do(lambda: client.feed(sent.raw[:size]))
        return sent

    def ask(self, number: int, method: bytes, route: str, who: str | None, **more: int) -> Sent:
        return self.send(self.client, request(number, method, route, who, **more))

    def more(self, data: bytes) -> None:
        """The next part of a body, if its client is still there."""
        if self.client.reading:
            self.rig.loop.do(lambda: self.client.feed(data))

    def other(self, number: int, route: str = "crowd") -> Wire:
        """Somebody else, whose request goes all the way to an upstream that does not answer yet."""
        wire = self.rig.connect()
        self.send(wire, request(number, b"GET", route, "bob"))
        self.rest()
        return wire

    def rest(self) -> None:
        """Until nothing moves any more, but for answers."""
        for _ in range(4):
            self.look_up()
            self.dial()
            self.rig.loop.turns(TURNS)
            self.look()

    def look_up(self) -> None:
        while self.rig.store.waiting:
            self.rig.loop.do(self.rig.store.answer)

    def dial(self) -> None:
        while self.rig.dials:
            wire = self.rig.dialed()
            if wire is not None:
                self.lines.append(Line(wire))

    def look(self) -> None:
        for line in self.lines:
            line.read(self.known, set())

    def owing(self, number: int) -> Line:
        self.look()
        standing = [line for line in self.lines if line.owed is not None and not line.wire.closing]
        (line,) = [line for line in standing if line.owed is not None and line.owed.number == number]
        return line

    def say(self, number: int, kind: str, size: int, part: int = 100_000) -> None:
        line = self.owing(number)
        assert line.owed is not None
        line.say(answer(line.owed, kind, size))
        data = line.sent(part)
        self.rig.loop.do(lambda: line.wire.feed(data))

    def lose(self, number: int) -> None:
        line = self.owing(number)
        line.ending = True
        self.rig.loop.do(line.wire.eof)

    def answer_all(self) -> None:
        for line in self.lines:
            if (
                line.owed is not None
                and line.complete
                and not line.pending
                and not line.wire.closing
                and not line.ending
            ):
                self.say(line.owed.number, "counted", 5)


def cold(play: Play) -> Iterator[object]:
    """Look-up, connect, answer."""
    yield play.ask(1, b"GET", "auth", "ada")
    yield play.look_up()
    yield play.dial()
    yield play.say(1, "chunked", 4000, 100)


def shared(play: Play) -> Iterator[object]:
    """Two wait for the same look-up, and the first of them leaves: it goes on for the other."""
    yield play.ask(1, b"GET", "auth", "bob")
    yield play.send(play.rig.connect(), request(2, b"GET", "auth", "bob"))
    yield play.look_up()
    yield play.dial()


def waiting_for_room(play: Play) -> Iterator[object]:
    """Both connections are taken; one becomes free, and is a connection for whoever waits first."""
    play.other(11), play.other(12)
    yield play.ask(1, b"GET", "crowd", "bob")
    yield play.say(11, "counted", 5)
    yield play.say(1, "counted", 5) if play.known[1].forwarded else None


def waiting_for_a_closed_one(play: Play) -> Iterator[object]:
    """The one that becomes free is closed: its room is for a new one."""
    play.other(11), play.other(12)
    yield play.ask(1, b"GET", "crowd", "bob")
    yield play.lose(11)
    yield play.dial()
    yield play.dial()


def waiting_behind_another(play: Play) -> Iterator[object]:
    """It is second in the queue, and the first one in it gets what is free."""
    play.other(11), play.other(12)
    third = play.rig.connect()
    play.send(third, request(13, b"GET", "crowd", "bob"))
    play.rig.loop.turns(TURNS)
    yield play.ask(1, b"GET", "crowd", "bob")
    yield play.say(11, "counted", 5)
    yield play.say(12, "counted", 5)


def called_before_another(play: Play) -> Iterator[object]:
    """It is called to what has become free, and leaves: the one behind it has to be called instead."""
    play.other(11), play.other(12)
    yield play.ask(1, b"GET", "crowd", "bob")
    yield play.send(play.rig.connect(), request(13, b"GET", "crowd", "bob"))
    yield play.say(11, "counted", 5)


def retried(play: Play) -> Iterator[object]:
    """Its connection is closed before a byte of an answer: it goes out once more, on a connection of its own."""
    yield play.ask(1, b"GET", "crowd", "ada")
    yield play.look_up()
    yield play.dial()
    yield play.lose(1) if play.known[1].forwarded else None
    yield play.dial()


def refused_elsewhere(play: Play) -> Iterator[object]:
    """One endpoint refuses, another is tried."""
    yield play.ask(1, b"POST", "crowd", "ada")
    yield play.look_up()
    yield play.rig.dialed(ConnectionRefusedError(111, "refused")) if play.rig.dials else None
    yield play.dial()


def made_and_lost(play: Play) -> Iterator[object]:
    """The connection ends between its making and its use."""
    yield play.ask(1, b"GET", "auth", "ada")
    yield play.look_up()
    wire = play.rig.dialed() if play.rig.dials else None
    if wire is not None:
        play.lines.append(Line(wire))
        play.rig.loop.do(wire.eof)
    yield wire
    yield play.dial()


def in_the_body(play: Play) -> Iterator[object]:
    """The body comes in parts, before the look-up, before the connect, and while the upstream does not read."""
    sent = request(1, b"POST", "seat", "ada", 9000, 500)
    at = sent.raw.index(b"\r\n\r\n") + 4
    yield play.send(play.client, sent, at)
    for end in (at + 100, at + 3000):
        yield play.more(sent.raw[at:end])
        at = end
        yield play.look_up()
        yield play.dial()
    for line in play.lines:
        line.wire.takes = False
    yield play.more(sent.raw[at:])
    yield [play.rig.loop.do(line.wire.take_all) for line in play.lines]


def slow(play: Play) -> Iterator[object]:
    """The client does not take its answer, then does."""
    yield play.ask(1, b"GET", "seat", "ada")
    yield play.look_up()
    yield play.dial()
    play.client.takes = False
    yield play.say(1, "until close", 9000, 8000)
    yield play.rig.loop.do(play.client.take_all)


STAGES = (
    cold, shared, waiting_for_room, waiting_for_a_closed_one, waiting_behind_another, called_before_another, retried,
    refused_elsewhere, made_and_lost, in_the_body, slow,
)  # fmt: skip
HOW: dict[str, Callable[[Play], None]] = {
    "reset": lambda play: play.client.fall(ConnectionResetError()),
    "revoked": lambda play: (play.rig.revoke("ada"), play.rig.admit("ada"), play.client.fall(None))[0],
}


def plays(stage: Callable[[Play], Iterator[object]], leave: Callable[[Play], None], at: int) -> bool:
    """Leaves at that turn; whether there is such a turn. With the last turn of each stage it leaves in the same one as
    the next stage begins, just before it: what it was waiting for comes for nobody."""
    play = Play()
    turn, left, stages = 0, False, stage(play)
    try:
        for _ in stages:
            for place in range(TURNS):
                if turn == at:
                    play.rig.loop.do(lambda: leave(play))
                    left = True
                    if place == TURNS - 1:
                        next(stages, None)
                    break
                turn += 1
                play.rig.loop.turns(0)
                play.look()
            if left:
                break
        afterwards(play)
    finally:
        play.rig.close()
    return left


def afterwards(play: Play) -> None:
    """The others are served, somebody new is, and then nothing is left."""
    rig = play.rig
    rig.loop.do(lambda: play.client.fall(None))
    play.rest()
    assert not rig.overlooked, "somebody waits, and there is room"
    new = rig.connect()
    asked = play.send(new, request(99, b"GET", "crowd", "bob"))
    for _ in range(12):
        for line in play.lines:
            rig.loop.do(line.wire.take_all)
        play.rest()
        play.answer_all()
    assert [(status, whole) for _, status, whole in read_answers(bytes(new.taken), [asked], False)] == [(200, True)]
    for wire in rig.clients:
        rig.loop.do(lambda wire=wire: wire.fall(None))
    rig.loop.turns(10)
    assert rig.leftovers() == {}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("stage", STAGES)
def test_a_client_may_leave_at_any_await(stage: Callable[[Play], Iterator[object]], how: str) -> None:
    """At each turn of the loop from its request to its answer."""
    at = 0
    while plays(stage, HOW[how], at):
        at += 1
    assert at >= 2 * TURNS

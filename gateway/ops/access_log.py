"""The access log: one JSON line per exchange, formatted by hand, written in blocks by a thread.

A line never holds a query, a header value or a credential. A sink that blocks costs lines, which are counted; it never
costs the event loop a moment.
"""

import asyncio
import errno
import json.encoder
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from gateway.ops.recent import Recent
from gateway.ops.sink import BLOCK, LOOK_SECONDS, Sink, open_sink

FLUSH_SECONDS = 0.5  # the thread is woken for a block of lines, and at least this often
BOUND = 4 * 1024 * 1024  # bytes waiting for the sink: about a second of lines at 8,000 requests a second
CLOSE_SECONDS = 5.0  # how long a blocked sink may delay the exit
TELL_SECONDS = 5.0  # after which a sink that is too slow is told of, though lines wait for it still

REMEMBERED = 4096  # texts whose quoted form is kept: methods, hosts, clients, accounts, names of the configuration
SHORT = 260  # bytes that a text to be remembered may have: a name of DNS with a port

_STAGES: Final = '"routing":%.6f,"authentication":%.6f,"first_byte":%.6f'
_SECONDS: Final = "%.6f"
_MILLISECONDS: Final = [f"{number:03}" for number in range(1000)]
_CUT: Final = "..."
# characters, and escapes to their end (RFC 8259 section 7)
_WHOLE: Final = re.compile(r"(?:[^\\]|\\u[0-9a-f]{4}|\\[^u])*")

_quote = json.encoder.encode_basestring_ascii  # a third of the time that JSONEncoder.encode takes

Form = Callable[[str], str]


class Losses:
    """Lines lost: more than may wait for the sink (refused), whose sink failed, or left when nobody waits any more.

    Each is counted by one thread.
    """

    __slots__ = ("failed", "left", "refused")

    def __init__(self) -> None:
        self.refused = 0
        self.failed = 0
        self.left = 0

    @property
    def lines(self) -> int:
        return self.refused + self.failed + self.left


class AccessLog:
    """Lines go from the event loop through a deque to one thread: append and popleft are each atomic.

    sink: it may take nothing for a while. failed: called in the thread, once per outage of the sink, or of the form,
    and where the sink was too slow, when it has taken what waited, at the latest each TELL_SECONDS. bound: bytes that
    may wait for the sink. form: what is written of a line of JSON; it is called in the thread. kept: whether
    `recent` has the last lines, as nobody can read them again from the sink. Raises OSError, with the sink closed.
    """

    def __init__(
        self,
        sink: Sink,
        failed: Callable[[Exception], object],
        bound: int = BOUND,
        form: Form | None = None,
        kept: bool = True,
    ) -> None:
        self._sink = sink
        self._failed = failed
        self._form = form
        self._kept = kept
        self._bound = bound
        self._longest = sink.longest
        self._lines: deque[str] = deque()
        self.recent = Recent()
        # Each of these is written by one side only, so that no lock is needed.
        self.losses = Losses()
        self._accepted = 0  # bytes, by the loop
        self._settled = 0  # bytes, by the thread
        self._broken = False  # by the thread
        self._told_of = 0  # refused lines, by the thread
        self._tell_at = time.monotonic() + TELL_SECONDS
        self._quoted: dict[str | bytes | None, str] = {None: "null"}
        self._second = -1
        self._stamp = ""
        self._wake = threading.Event()
        self._stopping = False
        self._writer = threading.Thread(target=self._run, name="access-log", daemon=True)
        try:
            self._writer.start()
        except RuntimeError as error:
            sink.close()
            raise OSError(errno.EAGAIN, f"the thread that would write the access log: {error}") from error

    def write(
        self,
        now: float,
        request_id: str,
        client: str,
        method: bytes,
        host: bytes | None,
        route: str,
        path: bytes | None,
        upstream: str | None,
        endpoint: str | None,
        status: int,
        reason: str | None,
        account: str | None,
        grant: str | None,
        bytes_in: int,
        bytes_out: int,
        routing: float,
        authentication: float,
        first_byte: float,
        seconds: float,
        trace: str | None = None,
    ) -> None:
        """One exchange. On the measured path: its twenty values are handed on to nothing else.

        now: seconds since the epoch. request_id: a UUID, which needs no quoting. path: raw, without the query; None for
        a built-in endpoint, whose path may hold a token, and for a request without a readable target. host, endpoint:
        None where it is not known. status: 0 when no answer was sent. routing, authentication, first_byte: seconds that
        each took, negative for what it did not come to.
        trace: its id, None for a request that could not be read.
        """
        second = int(now)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        get, learned = self._quoted.get, self._learned
        # Texts are joined, which is compiled to copies: one format with all of it takes half as long again.
        begin = (
            f'{{"time":"{self._stamp}.{_MILLISECONDS[int((now - second) * 1000)]}Z","id":"{request_id}",'
            f'"client":{get(client) or learned(client)},"method":'
        )
        if first_byte >= 0.0 and authentication >= 0.0 and routing >= 0.0:
            stages = _STAGES % (routing, authentication, first_byte)
        else:
            stages = _partly((routing, authentication, first_byte))
        traced = "null" if trace is None else f'"{trace}"'
        end = (
            f',"upstream":{get(upstream) or learned(upstream)},"endpoint":{get(endpoint) or learned(endpoint)},'
            f'"status":{status},"reason":{"null" if reason is None else _quote(reason)},'
            f'"account":{get(account) or learned(account)},"grant":{get(grant) or learned(grant)},'
            f'"bytes_in":{bytes_in},"bytes_out":{bytes_out},{stages},"seconds":{_SECONDS % seconds},'
            f'"trace":{traced}}}\n'
        )
        verb, name = get(method) or learned(method), get(host) or learned(host)
        target = "null" if path is None else _quote(path.decode("latin-1"))
        where = get(route) or learned(route)
        line = f'{begin}{verb},"host":{name},"route":{where},"path":{target}{end}'
        if len(line) > self._longest:
            verb, name, target = _shortened((verb, name, target), len(line) - self._longest)
            line = f'{begin}{verb},"host":{name},"route":{where},"path":{target}{end}'
        waiting = self._accepted - self._settled + len(line)
        if waiting > self._bound:
            self.losses.refused += 1
            return
        self._accepted += len(line)
        self._lines.append(line)
        if waiting > BLOCK and not self._wake.is_set():
            self._wake.set()

    def _learned(self, text: str | bytes | None) -> str:
        """Its quoted form. A client chooses some of them: what is long is not kept, and what is many is forgotten."""
        assert text is not None  # which is known from the beginning
        quoted = _quote(text.decode("latin-1") if isinstance(text, bytes) else text)
        if len(text) <= SHORT:
            if len(self._quoted) >= REMEMBERED:
                self._quoted = {None: "null"}
            self._quoted[text] = quoted
        return quoted

    @property
    def ended(self) -> bool:
        """Whether all that is lost is counted; after `aclose`, unless a terminal holds the writer."""
        return not self._writer.is_alive()

    async def aclose(self) -> None:
        """Write what is left. What the sink has not taken after CLOSE_SECONDS is lost, and counted."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._writer.join(CLOSE_SECONDS)
        self._sink.give_up()
        self._writer.join(2 * LOOK_SECONDS)
        with suppress(IndexError):  # of a writer that a terminal holds: nobody will write them
            while self._writer.is_alive():
                self._lines.popleft()
                self.losses.left += 1

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            self._drain()
        self._drain()
        self._sink.close()

    def _drain(self) -> None:
        while block := self._take():
            size = sum(map(len, block))
            self._put(block)
            if self._kept:
                self.recent.add(block)
            self._settled += size
            self._tell_in_time()
        self._tell_refused()

    def _tell_in_time(self) -> None:
        """Lines that come as fast as they are taken, and a reader that stands still, have no afterwards."""
        if time.monotonic() >= self._tell_at:
            self._tell_refused()

    def _tell_refused(self) -> None:
        """Not by the loop: what it is told to may be the same sink."""
        refused = self.losses.refused - self._told_of
        self._told_of += refused
        self._tell_at = time.monotonic() + TELL_SECONDS
        if refused:
            self._tell(TimeoutError(f"its sink was too slow: {refused} lines are lost"))

    def _put(self, block: list[str]) -> None:
        out, fault = 0, cast("Exception | None", None)
        try:
            data = "".join(block if self._form is None else map(self._form, block)).encode()
            written, fault = self._sink.put(data, self._tell_in_time)
            out = data.count(b"\n", 0, written)
        except Exception as error:  # of the form too: without this thread the log would be full, and stay so
            fault = error
        if fault is not None and not self._broken:
            self._tell(fault)
        self._broken = fault is not None
        self.losses.failed += len(block) - out  # after it was told: whoever sees the count finds the line

    def _tell(self, fault: Exception) -> None:
        with suppress(Exception):  # as above
            self._failed(fault)

    def _take(self) -> list[str]:
        """Lines of one block, at least one, oldest first; none when nothing waits."""
        block: list[str] = []
        size = 0
        with suppress(IndexError):  # none is left, or `_end` was first
            while not block or size + len(self._lines[0]) <= self._sink.block:
                line = self._lines.popleft()
                size += len(line)
                block.append(line)
        return block


def open_access_log(path: Path, failed: Callable[[Exception], object], form: Form | None = None) -> AccessLog:
    """As `open_sink`. Raises OSError. A reload opens it anew, which is how it is rotated."""
    sink = open_sink(path)
    again = form is None and sink.regular  # `logged.find` reads JSON, of a file
    return AccessLog(sink, failed, form=form, kept=not again)


def _partly(stages: tuple[float, float, float]) -> str:
    """With null for what took no time, as it was not come to."""
    routing, authentication, first_byte = [_SECONDS % stage if stage >= 0.0 else "null" for stage in stages]
    return f'"routing":{routing},"authentication":{authentication},"first_byte":{first_byte}'


def _shortened(said: tuple[str, str, str], excess: int) -> list[str]:
    """Method, host and target with so much less of them, of the longest first: a client chooses them.

    The end is cut, never inside an escape, and marked by three dots. null says no more than it did.
    """
    shorter = list(said)
    for place in sorted(range(len(said)), key=lambda place: -len(said[place])):
        text = said[place][1:-1]
        whole = _WHOLE.match(text[: max(len(text) - excess - len(_CUT), 0)])
        if excess > 0 and whole is not None and said[place] != "null":
            shorter[place] = f'"{whole[0]}{_CUT}"'
            excess -= len(text) - len(whole[0]) - len(_CUT)
    return shorter

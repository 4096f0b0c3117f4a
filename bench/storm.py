"""P10: what callers of the proxy notice of 200 password logins at once."""

import asyncio
import itertools
import json
import re
import select
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Final, Self

from bench.load import LoadFailedError, Waits
from bench.openloop import OpenLoop
from bench.processes import LOOPBACK, yielding
from bench.report import Row
from bench.seed import Seeded
from bench.stand import Bench
from gateway.clock import Clock
from gateway.identity.accounts import Accounts, NewAccount
from gateway.identity.passwords import Passwords
from gateway.store.sql import open_store

LIMIT = 2.0  # of the quiet p99
LOGINS = 200
BEFORE = 20  # proxied requests, then the storm begins
RATE = 500.0  # proxied requests a second beside them: a core that has room for hashing
PASSWORD: Final = "a bench that stands in rain"
PATIENCE = 60.0  # seconds for the last answer
TURNED_AWAY, PASSED = "503 with Retry-After", "200"


async def _make_accounts(seeded: Seeded) -> None:
    clock = Clock()
    phc = await Passwords(1).hash(PASSWORD)
    store = await open_store(seeded.store_url, seeded.key, clock)
    try:
        people = Accounts(store.accounts, store.tenants, store.roles, clock)
        for number in range(LOGINS):
            await people.create_account(NewAccount(email=_email(number), phc=phc))
        await store.seal_audit()
    finally:
        await store.aclose()


def _email(number: int) -> str:
    return f"storm{number}@bench.example"


def _login(number: int) -> bytes:
    """Each from an address of its own, as the limits of logins count by it."""
    body = json.dumps({"email": _email(number), "password": PASSWORD}).encode()
    lines = f"X-Forwarded-For: 10.1.{number // 250}.{number % 250 + 1}\r\nContent-Type: application/json"
    head = f"POST /v1/login HTTP/1.1\r\nHost: bench\r\n{lines}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Storm:
    """The logins, from a process of its own, which begins when it is told to, all at once. It ends with the block."""

    def __init__(self, port: int) -> None:
        """Connected, when this returns."""
        command = [sys.executable, "-m", "bench.storm", str(port)]
        root = Path(__file__).parents[1]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
        if not self._line():
            self._process.wait()
            raise LoadFailedError("the storm of logins did not come up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def begin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    @property
    def over(self) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], 0)[0])

    def came(self) -> Counter[str]:
        """How many of each kind, in the end."""
        line = self._line()
        if not line:
            raise LoadFailedError("the storm of logins broke off")
        return Counter(json.loads(line))

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


def storm(port: int) -> Counter[str]:
    """Connects, says so, waits for a line, and sends."""
    waiting: dict[int, socket.socket] = {}
    came: Counter[str] = Counter()
    poll = select.poll()
    for _ in range(LOGINS):
        made = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
        waiting[made.fileno()] = made
        poll.register(made, select.POLLIN)
    print("connected", flush=True)
    sys.stdin.readline()
    for number, made in enumerate(waiting.values()):
        made.sendall(_login(number))
    while waiting and (ready := poll.poll(PATIENCE * 1e3)):
        for number, _ in ready:
            poll.unregister(number)
            with waiting.pop(number) as answered:
                came[_kind(answered.recv(65536))] += 1
    came["no answer"] += len(waiting)
    for made in waiting.values():
        made.close()
    return came


def _kind(answer: bytes) -> str:
    status = answer[9:12].decode("latin-1")
    return TURNED_AWAY if status == "503" and re.search(rb"(?i)\r\nretry-after: *\d+\r\n", answer) else status


def p10_login_storm(bench: Bench) -> tuple[list[Row], list[str]]:
    """Quiet and stormy in turn. Hashing has the gateway's core, as it has in an installation of one core."""
    asyncio.run(_make_accounts(bench.seeded))
    ours = bench.gateway(sections={"login": {"mployr": {}}, "listen": {"trusted_proxies": [f"{LOOPBACK}/32"]}})
    load = OpenLoop(ours.bearer())
    storms: list[Counter[str]] = []

    def stormy() -> Waits:
        with Storm(ours.system.port) as storm:
            sent = itertools.count()

            def over() -> bool:
                if next(sent) == BEFORE:
                    storm.begin()
                return storm.over

            waits = Waits.of(load.run(RATE, PATIENCE, over))
            storms.append(storm.came())
        return waits

    with Storm(ours.system.port) as first:
        first.begin()
        first.came()  # what the first logins load and open is no part of it
    found = bench.in_turn({"quiet": lambda: load.waits(RATE, bench.seconds), "storm": stormy})
    bench.stable.stop(ours.system.process)
    what = f"proxied p99, beside {LOGINS} password logins at once"
    quiet, storm = ([waits.p99 for waits in found[name]] for name in ("quiet", "storm"))
    rows = [Row.compared("P10", what, storm, "quiet", quiet, unit="ms", limit=LIMIT)]
    for kind in (PASSED, TURNED_AWAY):
        rows.append(Row("P10", f"of {LOGINS} logins: {kind}", "answers", median(came[kind] for came in storms)))
    other = [LOGINS - came[PASSED] - came[TURNED_AWAY] for came in storms]
    rows.append(Row("P10", f"of {LOGINS} logins: anything else", "answers", max(other), limit=0))
    return rows, []


if __name__ == "__main__":
    yielding()
    print(json.dumps(storm(int(sys.argv[1]))))

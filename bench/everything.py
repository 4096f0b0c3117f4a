"""P1+: the same request with what an installation may switch on, beside plain P1 and peers. No spans are sent."""

import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final, Self

from bench.load import Client, LoadFailedError, Target
from bench.ours import Ours
from bench.peers import start_peers
from bench.processes import LOOPBACK
from bench.report import Row
from bench.stand import Bench

LIMIT, STRETCH = 2.0, 1.5  # of plain P1; the peers do none of it here, and bound nothing
ORIGIN, ANSWERED = "https://app.example.org", b"x-bench"
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ENOUGH = 1_000_000_000  # requests a window: each is counted, none refused
ROUTE: Final[Mapping[str, Any]] = {
    "limits": {
        "rate": [{"by": "account", "at_most": ENOUGH, "in": "1m"}, {"by": "address", "at_most": ENOUGH, "in": "1m"}],
        "concurrency": 10_000,
    },
    "headers": {
        "request": {"set": {"x-tier": "gold"}, "add": {"accept-language": "en"}, "remove": ["cookie"]},
        "response": {"set": {ANSWERED.decode(): "yes"}, "remove": ["server"]},
    },
    "security_headers": {},
    "cors": {"origins": [ORIGIN], "expose": ["x-mycelium-request-id"], "credentials": True},
}
SENT: Final = (("Origin", ORIGIN), ("traceparent", TRACE), ("Cookie", "a=b"), ("Accept-Language", "de"))
SCRAPES = 1.0  # seconds from one to the next
SEEN: Final = (b"access-control-allow-origin", ANSWERED, b"x-content-type-options", b"ratelimit")


class Scraper:
    """Fetches the metrics each second, on the core of the load, while the `with` block lasts."""

    def __init__(self, ours: Ours) -> None:
        self._url = f"http://{LOOPBACK}:{ours.admin}/metrics"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._scrape, daemon=True)
        self.scrapes = self.due = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=15)

    def _scrape(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due += SCRAPES
            self.due += 1
            try:
                with urllib.request.urlopen(self._url, timeout=10) as answer:
                    self.scrapes += b"gateway_requests_total" in answer.read()
            except OSError:  # it was due, and is missed
                continue


def p1_everything(bench: Bench) -> tuple[list[Row], list[str]]:
    """Log in a file, metrics scraped, a trace continued, two rates, header rules, CORS; the assertion is always on."""
    peers, missing = start_peers(bench.stable, bench.issuer, bench.upstream.port)
    plain, log = bench.gateway(), bench.stable.folder / "access.log"
    ours = bench.gateway(sections={"log": {"access": str(log), "format": "json"}}, route=ROUTE)
    bearer = ours.bearer()
    target = Target(bearer.port, bearer.path, bearer.header, SENT)
    _require_all(target)
    with Scraper(ours) as scraper:
        measures = {"ours": bench.warm_cost(ours.system, target), "P1": bench.warm_cost(plain.system, plain.bearer())}
        for peer in peers:
            measures[peer.name] = bench.warm_cost(peer, Target(peer.port, bearer.path, bearer.header))
        found = bench.in_turn(measures)
    for system in (ours.system, plain.system, *peers):
        bench.stable.stop(system.process)
    if scraper.scrapes < scraper.due - 1 or not scraper.scrapes or not log.stat().st_size:  # the last may be under way
        told = f"{scraper.scrapes} scrapes of {scraper.due}, {log.stat().st_size} bytes of access log"
        raise LoadFailedError(told)
    what = "bearer JWT, warm, log, metrics, limits, rules, CORS"
    rows = [Row.compared("P1+", what, found["ours"], "our P1", found["P1"], limit=LIMIT, stretch=STRETCH)]
    rows += [Row.compared("P1+", what, found["ours"], peer.name, found[peer.name]) for peer in peers]
    return rows, missing


def _require_all(target: Target) -> None:
    """Raises LoadFailedError if the answer does not show that what should be on is on."""
    client = Client(target)
    client.ask()
    client.close()
    head = client.head.lower()
    if absent := [name.decode() for name in SEEN if name not in head]:
        raise LoadFailedError(f"the answer has no {', '.join(absent)}: {head!r}")

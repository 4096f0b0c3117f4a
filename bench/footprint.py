"""P7 and P11: memory of a worker and of an idle connection, and the time until the first answer."""

from contextlib import ExitStack
from statistics import median

from bench.load import Client
from bench.ours import Ours
from bench.report import Row
from bench.stand import Bench
from bench.tls import Certificate, make_certificate
from bench.websockets import idle_websockets

KIB, MIB = 1024, 1024 * 1024
STARTED_LIMIT, PLAIN_LIMIT, TLS_LIMIT = 75.0, 8.0, 32.0  # MiB, KiB, KiB
IDLE_TLS = 2_000  # at most: a handshake costs both sides more than a millisecond
SETTLE = 200  # connections opened and closed first, so that the allocators have their arenas
START_LIMIT, START_ROUTES = 1.5, 100  # seconds, routes


def p7_memory(bench: Bench) -> tuple[list[Row], list[str]]:
    """Every idle connection has made one authenticated request before it fell idle."""
    plain = bench.gateway()
    started = plain.system.process.resident_bytes() / MIB
    rows = [Row("P7", "resident memory of a worker started", "MiB", started, limit=STARTED_LIMIT)]
    rows.append(_idle(bench, plain, bench.idle, "plain", PLAIN_LIMIT, None))
    certificate = make_certificate(bench.stable.folder)
    tls = bench.gateway(certificate=certificate)
    rows.append(_idle(bench, tls, min(bench.idle, IDLE_TLS), "TLS", TLS_LIMIT, certificate))
    return [*rows, idle_websockets(bench)], []


def _idle(bench: Bench, ours: Ours, count: int, kind: str, limit: float, certificate: Certificate | None) -> Row:
    context = certificate.client() if certificate else None
    target = ours.bearer()
    with ExitStack() as opened:

        def open_so_many(number: int) -> None:
            for _ in range(number):
                client = Client(target, context)
                opened.callback(client.close)
                client.ask()

        open_so_many(SETTLE)
        before = ours.system.process.resident_bytes()
        open_so_many(count)
        each = (ours.system.process.resident_bytes() - before) / count / KIB
    bench.stable.stop(ours.system.process)
    return Row("P7", f"an idle keep-alive connection, {kind}, of {count:,}", "KiB", each, limit=limit)


def p11_cold_start(bench: Bench) -> tuple[list[Row], list[str]]:
    """From the start of the program to its first authenticated answer, the issuer's keys fetched on the way."""
    took = []
    for _ in range(bench.rounds):
        ours = bench.gateway(START_ROUTES, rest=False)
        took.append(ours.seconds)
        bench.stable.stop(ours.system.process)
    what = f"start to first answer, {START_ROUTES} routes, SQLite"
    return [Row("P11", what, "s", median(took), limit=START_LIMIT, samples=(tuple(took),))], []

"""Metrics: plain integers on the hot path, turned into the Prometheus text format only when somebody asks.

Labels are bounded: a route's template, a status class, a reason code, a configured name. Nothing a client sends is one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST

UNMATCHED = "none"  # the route label of a request that no route took
ASKED = "decide"  # begins the labels of what was asked by a data plane

# Seconds. From the 0.4 ms that the gateway may add (p50) to the 60 s an upstream may take.
BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_BUCKETS = (*(str(bound) for bound in BOUNDS), "+Inf")

Rows = Mapping[str, float] | Mapping[tuple[str, ...], float]
Reading = Callable[[], float | Rows]

# What is not counted per route: name, whether it only grows, label of its rows (None: one number; two of them with a
# space between), meaning.
READINGS: tuple[tuple[str, bool, str | None, str], ...] = (
    ("gateway_connections_open", False, None, "Client connections open now."),
    ("gateway_connections_accepted", True, None, "Client connections accepted."),
    ("gateway_websockets_open", False, None, "WebSockets relayed now."),
    ("gateway_credential_cache", True, "outcome", "Look-ups in the cache of verified credentials."),
    ("gateway_credential_cache_entries", False, None, "Entries in the cache of verified credentials."),
    ("gateway_credential_cache_refusals", False, None, "Refused credentials remembered for a moment."),
    ("gateway_credential_outcomes", True, "code", "Verifications of credentials, by reason code or `verified`."),
    ("gateway_jwks_age_seconds", False, "issuer", "Seconds since an issuer's keys were fetched."),
    ("gateway_profiles_reduced", True, "form", "Profiles over the header budget, by the form they were reduced to."),
    ("gateway_upstream_connections", False, "upstream", "Connections to an upstream, busy and idle."),
    ("gateway_upstream_outstanding", False, "upstream", "Exchanges under way with an upstream."),
    ("gateway_upstream_retries", True, "upstream reason", "Requests sent again, or to another endpoint, by reason."),
    ("gateway_upstream_retries_refused", True, "upstream", "Retries that the budget did not allow."),
    ("gateway_upstream_busy", True, "upstream limit", "Requests refused because of a limit of an upstream."),
    ("gateway_upstream_endpoints_live", False, "upstream", "Endpoints of an upstream that are in use."),
    ("gateway_upstream_endpoints", False, "upstream state", "Endpoints of an upstream, by how they do."),
    ("gateway_upstream_checks", True, "upstream outcome", "Health checks of endpoints."),
    ("gateway_upstream_ejections", True, "upstream", "Endpoints left out for a while because of bad answers."),
    ("gateway_upstream_lookups", True, "upstream outcome", "Look-ups of the names of endpoints."),
    ("gateway_access_log_dropped", True, None, "Access log lines lost because the sink did not take them."),
    ("gateway_spans", True, "outcome", "Sampled exchanges, by whether the collector has taken their spans."),
    ("gateway_store_up", False, None, "Whether the store answered when it was asked last, twice a second."),
    ("gateway_revocations_read_age_seconds", False, None, "Seconds since the table of revocations was read."),
    ("gateway_state_up", False, None, "Whether the shared state answers; absent where nothing is shared."),
    ("gateway_state_subscribed", False, None, "Whether news of other nodes arrive; else they are polled."),
    ("gateway_state_outages", True, None, "How often the shared state went away."),
    ("gateway_state_looks", True, None, "Looks at the table of revocations because another node told of news."),
    ("gateway_limit_keys", False, None, "Callers, addresses and values whose requests are counted for limits now."),
    ("gateway_limit_rooms", False, None, "Exchanges under way that limits of concurrency count."),
    ("gateway_limit_forgotten", True, None, "Keys that made room for others while they still counted."),
    ("gateway_limit_sync_age_seconds", False, None, "Seconds since all counts of limits were told to other processes."),
    ("gateway_reloads", True, "outcome", "Configuration reloads."),
)


class RouteCounters:
    """Counts of one route template. `observe` is on the measured path: under 0.5 us.

    bytes_in, bytes_out: of bodies, added to by the caller.
    """

    __slots__ = ("answered", "buckets", "bytes_in", "bytes_out", "refused", "route", "seconds")

    def __init__(self, route: str) -> None:
        self.route = route
        self.answered = [0] * 10  # by the first digit of the status
        self.refused: dict[tuple[int, str], int] = {}
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def observe(self, status: int, reason: str | None, seconds: float) -> None:
        """One exchange has ended. status: 0..999, 0 when no answer was sent. reason: a code of the fixed list."""
        if reason is None:
            self.answered[status // 100] += 1
        else:
            key = (status // 100, reason)
            self.refused[key] = self.refused.get(key, 0) + 1
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def outcomes(self) -> Iterator[tuple[str, str, int]]:
        """(status class, reason code or "", count) of what happened at least once."""
        for digit, count in enumerate(self.answered):
            if count:
                yield _status_class(digit), "", count
        for (digit, reason), count in tuple(self.refused.items()):
            yield _status_class(digit), reason, count


class Metrics(Collector):
    """All counters of the process. Reading them from another thread is safe: every value is one plain number."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteCounters] = {}
        self._readings: dict[str, Reading] = {}
        self._known = {name for name, *_ in READINGS}

    def route(self, template: str) -> RouteCounters:
        """The counters of a route template; the same object after a reload, so that nothing is counted from zero."""
        counters = self._routes.get(template)
        if counters is None:
            counters = self._routes[template] = RouteCounters(template)
        return counters

    def read(self, name: str, reading: Reading) -> None:
        """Where a row of READINGS takes its value from. A name that is not there is a KeyError."""
        if name not in self._known:
            raise KeyError(name)
        self._readings[name] = reading

    def render(self) -> bytes:
        """The exposition. Of 10,000 busy routes it takes a second: call it in a thread."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        used = [counters for counters in tuple(self._routes.values()) if any(counters.buckets)]
        yield _requests(used)
        yield _latency(used)
        yield _bytes(used)
        for name, grows, label, meaning in READINGS:
            reading = self._readings.get(name)
            if reading is not None:
                yield _family(name, grows, label, meaning, reading())


def _status_class(digit: int) -> str:
    return f"{digit}xx" if digit else UNMATCHED


def _requests(routes: list[RouteCounters]) -> Metric:
    family = CounterMetricFamily("gateway_requests", "Exchanges ended.", labels=("route", "status", "reason"))
    for counters in routes:
        for status, reason, count in counters.outcomes():
            family.add_metric((counters.route, status, reason), count)
    return family


def _latency(routes: list[RouteCounters]) -> Metric:
    family = HistogramMetricFamily(
        "gateway_request_seconds",
        "Seconds from the first byte of a request to the end of its answer.",
        labels=("route",),
    )
    for counters in routes:
        counts = accumulate(tuple(counters.buckets))
        family.add_metric((counters.route,), list(zip(_BUCKETS, counts, strict=True)), counters.seconds)
    return family


def _bytes(routes: list[RouteCounters]) -> Metric:
    family = CounterMetricFamily("gateway_body_bytes", "Bytes of bodies relayed.", labels=("route", "direction"))
    for counters in routes:
        family.add_metric((counters.route, "in"), counters.bytes_in)
        family.add_metric((counters.route, "out"), counters.bytes_out)
    return family


def _family(name: str, grows: bool, label: str | None, meaning: str, value: float | Rows) -> Metric:
    kind = CounterMetricFamily if grows else GaugeMetricFamily
    family = kind(name, meaning, labels=label.split() if label else ())
    if isinstance(value, int | float):
        family.add_metric((), value)
        return family
    for row, number in tuple(value.items()):
        family.add_metric((row,) if isinstance(row, str) else row, number)
    return family

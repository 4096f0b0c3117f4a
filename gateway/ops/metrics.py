"""Metrics: plain integers on the hot path, turned into the Prometheus text format only when somebody asks.

Labels are bounded: a route's template, a status class, a reason code, a configured name. Nothing a client sends is one.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.errors import UPSTREAM_FAULTS

CONTENT_TYPE = CONTENT_TYPE_LATEST

UNMATCHED = "none"  # the route label of a request that no route took
ASKED = "decide"  # begins the labels of what was asked by a data plane

# Seconds. From the 0.4 ms that the gateway may add (p50) to the 60 s an upstream may take.
# Declared as of any length: one of fifteen floats would be made anew at each use, where this is compiled.
BOUNDS: Final[tuple[float, ...]] = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
)  # fmt: skip
_BUCKETS = (*(str(bound) for bound in BOUNDS), "+Inf")

Rows = Mapping[str, float] | Mapping[tuple[str, str], float]
Reading = Callable[[], float | Rows]
Labels = str | tuple[str, str] | None

# What is not counted per route: name, whether it only grows, label of its rows (None: one number; two are the names in
# a row's key), meaning.
READINGS: tuple[tuple[str, bool, Labels, str], ...] = (
    (
        "gateway_build_info",
        False,
        ("version", "compiled"),
        "Always 1: what runs, and whether its data plane is compiled.",
    ),
    ("gateway_requests_waiting_to_begin", False, None, "Requests to verify or to the built-in endpoints, not begun."),
    ("gateway_connections_open", False, None, "Client connections open now."),
    ("gateway_connections_accepted", True, None, "Client connections accepted."),
    ("gateway_websockets_open", False, None, "WebSockets relayed now."),
    ("gateway_credential_cache", True, "outcome", "Look-ups in the cache of verified credentials."),
    ("gateway_credential_cache_entries", False, None, "Entries in the cache of verified credentials."),
    ("gateway_credential_cache_refusals", False, None, "Refused credentials remembered for a moment."),
    ("gateway_credential_outcomes", True, "code", "Verifications of credentials, by reason code or `verified`."),
    ("gateway_jwks_age_seconds", False, "issuer", "Seconds since an issuer's keys were fetched."),
    (
        "gateway_jwks_fetches",
        True,
        ("issuer", "outcome"),
        "Fetches of an issuer's keys: fetched, shared, same, failed.",
    ),
    ("gateway_profiles_reduced", True, "form", "Profiles over the header budget, by the form they were reduced to."),
    (
        "gateway_upstream_connections",
        False,
        ("upstream", "state"),
        "Connections to an upstream: busy, idle, connecting.",
    ),
    ("gateway_upstream_in_flight", False, "upstream", "Requests that an upstream has, or is being connected to for."),
    ("gateway_upstream_connects", True, ("upstream", "outcome"), "Connections that were made or could not be made."),
    (
        "gateway_upstream_retries",
        True,
        ("upstream", "reason"),
        "Requests sent again, or to another endpoint, by reason.",
    ),
    ("gateway_upstream_retries_refused", True, "upstream", "Retries that the budget did not allow."),
    ("gateway_upstream_busy", True, ("upstream", "limit"), "Requests refused because of a limit of an upstream."),
    (
        "gateway_upstream_endpoints_live",
        False,
        "upstream",
        "Endpoints of an upstream that may get requests: the healthy, and the ejected that are due for a trial.",
    ),
    (
        "gateway_upstream_endpoints",
        False,
        ("upstream", "state"),
        "Endpoints of an upstream, by how they do; one on trial is ejected until it has answered well.",
    ),
    ("gateway_upstream_checks", True, ("upstream", "outcome"), "Health checks of endpoints."),
    ("gateway_upstream_ejections", True, "upstream", "Endpoints left out for a while because of bad answers."),
    ("gateway_upstream_lookups", True, ("upstream", "outcome"), "Look-ups of the names of endpoints."),
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
    ("gateway_store_pool", False, "state", "Of reads: connections open and idle, calls under way or waiting for one."),
    (
        "gateway_passwords",
        False,
        "state",
        "Passwords that are being hashed or checked: busy, and waiting for a thread.",
    ),
    ("gateway_passwords_rejected", True, None, "Passwords that were turned away because too many waited."),
    ("gateway_mails", True, "outcome", "Mails: sent, failed (and tried again), given_up."),
    ("gateway_mails_sending", False, None, "Mails on their way now."),
    ("gateway_reloads", True, "outcome", "Configuration reloads."),
    ("gateway_config_last_reload_successful", False, None, "Whether the configuration was accepted when read last."),
    ("gateway_config_last_reload_success_timestamp_seconds", False, None, "When a configuration was accepted last."),
)

# Of the whole process: name, meaning. Buckets as BOUNDS.
DISTRIBUTIONS: tuple[tuple[str, str], ...] = (
    ("gateway_event_loop_lag_seconds", "How late the event loop was for a timer, ten times a second."),
    ("gateway_authentication_seconds", "Seconds to decide about a request whose credential was not remembered."),
    ("gateway_store_seconds", "Seconds that a read of the store took, with its wait for a connection."),
    ("gateway_password_seconds", "Seconds that hashing or checking a password took, with its wait for a thread."),
)


class Distribution:
    """A histogram of seconds."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def observe(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


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


class UpstreamCounters:
    """Counts of one upstream. `observe` is on the measured path: under 0.5 us.

    connects, failed_connects: added to by the caller.
    """

    __slots__ = ("answered", "buckets", "connects", "errors", "failed_connects", "seconds", "upstream")

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.answered = [0] * 10  # by the first digit of the status
        self.errors: dict[str, int] = {}
        self.buckets = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0
        self.connects = self.failed_connects = 0

    def observe(self, status: int, reason: str | None, seconds: float) -> None:
        """A request was to go there, and is over. status: of its answer, 0 without one. reason: a code of the fixed
        list; those of upstreams are errors of this one. seconds: to the head of the answer; negative without one."""
        self.answered[status // 100] += 1
        if reason is not None and reason in UPSTREAM_FAULTS:
            self.errors[reason] = self.errors.get(reason, 0) + 1
        if seconds >= 0.0:
            self.buckets[bisect_left(BOUNDS, seconds)] += 1
            self.seconds += seconds


class Metrics(Collector):
    """All counters of the process. Reading them from another thread is safe: every value is one plain number."""

    def __init__(self) -> None:
        self._routes: dict[str, RouteCounters] = {}
        self._upstreams: dict[str, UpstreamCounters] = {}
        self._distributions = {name: Distribution() for name, _ in DISTRIBUTIONS}
        self._process = ProcessCollector(registry=None)
        self._readings: dict[str, Reading] = {}
        self._known = {name for name, *_ in READINGS}

    def route(self, template: str) -> RouteCounters:
        """The counters of a route template; the same object after a reload, so that nothing is counted from zero."""
        counters = self._routes.get(template)
        if counters is None:
            counters = self._routes[template] = RouteCounters(template)
        return counters

    def upstream(self, name: str) -> UpstreamCounters:
        """The counters of an upstream; the same object after a reload."""
        counters = self._upstreams.get(name)
        if counters is None:
            counters = self._upstreams[name] = UpstreamCounters(name)
        return counters

    def connects(self) -> Mapping[tuple[str, str], float]:
        """For `gateway_upstream_connects`."""
        rows: dict[tuple[str, str], float] = {}
        for name, counters in tuple(self._upstreams.items()):
            rows[name, "made"] = counters.connects
            rows[name, "failed"] = counters.failed_connects
        return rows

    def distribution(self, name: str) -> Distribution:
        """A row of DISTRIBUTIONS."""
        return self._distributions[name]

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
        served = [counters for counters in tuple(self._upstreams.values()) if any(counters.answered)]
        yield _served(served)
        yield _first_byte(served)
        yield _errors(served)
        for name, meaning in DISTRIBUTIONS:
            distribution = self._distributions[name]
            family = HistogramMetricFamily(name, meaning)
            family.add_metric((), _cumulative(distribution.buckets), distribution.seconds)
            yield family
        yield from self._process.collect()
        for name, grows, label, meaning in READINGS:
            reading = self._readings.get(name)
            if reading is not None:
                yield _family(name, grows, label, meaning, reading())


def process(pid: int) -> dict[str, float]:
    """Of another process, by the names that all clients of Prometheus give to these; none when it has ended."""
    families = ProcessCollector(pid=lambda: pid, registry=None).collect()
    return {sample.name: sample.value for family in families for sample in family.samples}


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
        family.add_metric((counters.route,), _cumulative(counters.buckets), counters.seconds)
    return family


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    return list(zip(_BUCKETS, accumulate(tuple(buckets)), strict=True))


def _served(upstreams: list[UpstreamCounters]) -> Metric:
    family = CounterMetricFamily(
        "gateway_upstream_requests", "Requests for an upstream that are over.", labels=("upstream", "status")
    )
    for counters in upstreams:
        for digit, count in enumerate(counters.answered):
            if count:
                family.add_metric((counters.upstream, _status_class(digit)), count)
    return family


def _first_byte(upstreams: list[UpstreamCounters]) -> Metric:
    family = HistogramMetricFamily(
        "gateway_upstream_seconds",
        "Seconds from the request's head, sent to an upstream, to the head of its answer.",
        labels=("upstream",),
    )
    for counters in upstreams:
        family.add_metric((counters.upstream,), _cumulative(counters.buckets), counters.seconds)
    return family


def _errors(upstreams: list[UpstreamCounters]) -> Metric:
    family = CounterMetricFamily(
        "gateway_upstream_errors", "Requests that an upstream failed, by reason.", labels=("upstream", "reason")
    )
    for counters in upstreams:
        for reason, count in tuple(counters.errors.items()):
            family.add_metric((counters.upstream, reason), count)
    return family


def _bytes(routes: list[RouteCounters]) -> Metric:
    family = CounterMetricFamily("gateway_body_bytes", "Bytes of bodies relayed.", labels=("route", "direction"))
    for counters in routes:
        family.add_metric((counters.route, "in"), counters.bytes_in)
        family.add_metric((counters.route, "out"), counters.bytes_out)
    return family


def _family(name: str, grows: bool, label: Labels, meaning: str, value: float | Rows) -> Metric:
    kind = CounterMetricFamily if grows else GaugeMetricFamily
    family = kind(name, meaning, labels=label_names(label))
    if isinstance(value, int | float):
        family.add_metric((), value)
        return family
    for row, number in tuple(value.items()):
        family.add_metric((row,) if isinstance(row, str) else row, number)
    return family


def label_names(label: Labels) -> tuple[str, ...]:
    """Of a row of READINGS."""
    if label is None:
        return ()
    return (label,) if isinstance(label, str) else label

"""Where the metrics that are not counted per route take their values, and what makes a worker unready."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.app import observer
from gateway.edge.health import STATES
from gateway.edge.pool import Upstream
from gateway.errors import DependencyFailed
from gateway.ops.health import Condition
from gateway.store.sql import Store

if TYPE_CHECKING:
    from gateway.app.gateway import Gateway

_COMPILED = Path(observer.__file__).suffix == ".so"
_BUILD = {(version("mycelium-gateway"), "yes" if _COMPILED else "no"): 1.0}

LATE_SECONDS = 5.0  # without a look at the table, which there are two of in a second
REACH_SECONDS = 1.5  # less than a check of `/readyz` may take: what is too slow is told as what it is


def register(gateway: "Gateway") -> None:
    """Reads through `gateway.core` each time, so that a reload is followed."""
    read = gateway.metrics_registry.read

    read("gateway_build_info", lambda: _BUILD)
    read("gateway_connections_open", lambda: len(gateway.edge.clients))
    read("gateway_connections_accepted", lambda: gateway.edge.clients.added)
    read("gateway_requests_waiting_to_begin", lambda: gateway.edge.turns.waiting)
    read("gateway_websockets_open", lambda: len(gateway.edge.tunnels))
    read("gateway_credential_cache", lambda: _cache(gateway))
    read("gateway_credential_cache_entries", lambda: gateway.core.authenticator.entries)
    read("gateway_credential_cache_refusals", lambda: gateway.core.authenticator.refusals)
    read("gateway_credential_outcomes", lambda: dict(gateway.core.authenticator.outcomes))
    read("gateway_jwks_age_seconds", lambda: {k: v for k, v in gateway.core.jwks.ages().items() if v is not None})
    read("gateway_profiles_reduced", lambda: _profiles(gateway))
    read("gateway_jwks_fetches", lambda: dict(gateway.fetches))
    read("gateway_access_log_dropped", lambda: gateway.lost_lines.lines)
    read("gateway_spans", gateway.recording.counts)
    read("gateway_revocations_read_age_seconds", lambda: gateway.poll.age)
    read("gateway_store_up", lambda: gateway.poll.readable)
    read("gateway_limit_keys", lambda: gateway.counts.keys)
    read("gateway_limit_rooms", lambda: gateway.counts.under_way)
    read("gateway_limit_forgotten", lambda: gateway.counts.forgotten)
    read("gateway_store_pool", gateway.store.usage)
    read("gateway_passwords", gateway.passwords.usage)
    read("gateway_passwords_rejected", lambda: gateway.passwords.rejected)
    read("gateway_mails", lambda: gateway.mails.postman.outcomes)
    read("gateway_mails_sending", lambda: gateway.mails.postman.sending)
    read("gateway_reloads", lambda: gateway.reloads)
    read("gateway_config_last_reload_successful", lambda: gateway.last_reload_ok)
    read("gateway_config_last_reload_success_timestamp_seconds", lambda: gateway.last_reload_at)
    _register_upstreams(gateway)
    shared = gateway.shared
    if shared is not None:
        read("gateway_limit_sync_age_seconds", lambda: shared.rates.age)
        read("gateway_state_up", lambda: shared.alive)
        read("gateway_state_outages", lambda: shared.outages)
        read("gateway_state_looks", lambda: shared.looks)
        read("gateway_state_subscribed", lambda: shared.subscribed)


def _states(upstream: Upstream, now: float) -> Mapping[str, float]:
    states = [endpoint.health.state(now) for endpoint in upstream.endpoints]
    return {state: states.count(state) for state in STATES}


def _register_upstreams(gateway: "Gateway") -> None:
    read = gateway.metrics_registry.read

    def over(value: Callable[[Upstream], float]) -> Callable[[], Mapping[str, float]]:
        return lambda: {name: value(upstream) for name, upstream in gateway.core.upstreams.items()}

    def split(counts: Callable[[Upstream], Mapping[str, float]]) -> Callable[[], Mapping[tuple[str, str], float]]:
        return lambda: {
            (name, row): number
            for name, upstream in gateway.core.upstreams.items()
            for row, number in tuple(counts(upstream).items())
        }

    read("gateway_upstream_connections", split(lambda upstream: upstream.usage()))
    read("gateway_upstream_in_flight", over(lambda upstream: upstream.in_flight))
    read("gateway_upstream_connects", gateway.metrics_registry.connects)
    read("gateway_upstream_retries", split(lambda upstream: upstream.ledger.retries))
    read("gateway_upstream_retries_refused", over(lambda upstream: upstream.ledger.refused))
    read("gateway_upstream_busy", split(lambda upstream: upstream.ledger.busy))
    read("gateway_upstream_endpoints_live", over(lambda upstream: upstream.live(gateway.edge.monotonic())))
    read("gateway_upstream_endpoints", split(lambda upstream: _states(upstream, gateway.edge.monotonic())))
    read("gateway_upstream_checks", split(lambda upstream: upstream.ledger.checks))
    read("gateway_upstream_ejections", over(lambda upstream: upstream.ledger.ejections))
    read("gateway_upstream_lookups", split(lambda upstream: upstream.ledger.lookups))


def _cache(gateway: "Gateway") -> Mapping[str, float]:
    authenticator = gateway.core.authenticator
    return {"hit": authenticator.hits, "miss": authenticator.misses, "refused": authenticator.negative_hits}


def _profiles(gateway: "Gateway") -> Mapping[str, float]:
    counts = gateway.core.profiles.counts
    return {"urls": counts.urls, "reference": counts.reference, "refused": counts.refused}


def _upstreams(gateway: "Gateway") -> Iterator[Condition]:
    for name, assembly in gateway.core.assemblies.items():
        live = assembly.upstream.live(gateway.edge.monotonic())
        if live < len(assembly.upstream.endpoints):
            yield Condition("upstream_degraded" if live else "upstream_unreachable", name)
        if assembly.record.unresolved:
            yield Condition("upstream_unresolved", name)


def store_conditions(gateway: "Gateway", store: Store) -> Sequence[Callable[[], Awaitable[Iterable[Condition]]]]:
    """The checks of `/readyz`."""

    async def own() -> list[Condition]:
        found = [Condition("draining")] if gateway.edge.draining else []
        if not gateway.last_reload_ok:
            found.append(Condition("configuration_refused"))
        if not gateway.poll.alive:
            found.append(Condition("revocations_unread"))
        if gateway.poll.age > LATE_SECONDS:
            found.append(Condition("revocations_late"))
        if gateway.shared is not None and not gateway.shared.alive:
            found.append(Condition("state_unavailable"))
        if gateway.shared is not None and gateway.shared.unheard:
            found.append(Condition("state_unsubscribed"))
        pending = gateway.core.jwks.pending()
        for issuer, age in gateway.core.jwks.ages().items():
            if age is None:
                found.append(Condition("keys_pending" if issuer in pending else "keys_unavailable", issuer))
        return [*found, *_upstreams(gateway)]

    async def reachable() -> list[Condition]:
        try:
            async with asyncio.timeout(REACH_SECONDS):
                await store.revocations.latest()
        except (DependencyFailed, TimeoutError):
            if not store.shared:
                raise
            return [Condition("shared_store_unavailable")]
        return []

    return (own, reachable)

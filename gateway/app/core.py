"""The objects of one load of the configuration, wired: made by every start and reload, ended when nothing uses them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gateway.access.assertion import Assertions
from gateway.access.authenticate import Authenticator, CacheLimits
from gateway.access.inject import Injector
from gateway.access.jwks import Counted, Documents, Jwks, KeySource
from gateway.access.profile import ProfileEncoder, as_json
from gateway.access.verifiers import ExternalIssuer, OwnTokens, Verifiers
from gateway.app import compile, headers
from gateway.app.assembly import Assembly
from gateway.app.decide import Asking
from gateway.app.known import Known
from gateway.app.logins import Lasting, dialects, paths
from gateway.app.observer import Beginnings, EndpointLog, beginnings
from gateway.app.quotas import Counts, least_head, quotas_of
from gateway.clock import Clock
from gateway.control import application
from gateway.control.builtin import Builtin
from gateway.control.fetch import HttpFetch
from gateway.edge.connector import in_process
from gateway.edge.endpoint import Endpoint
from gateway.edge.generation import Generation, Lane
from gateway.edge.pool import Upstream
from gateway.edge.quota import Limits
from gateway.errors import DependencyFailed
from gateway.identity.model import Principal, SigningKey
from gateway.identity.ports import Directory
from gateway.identity.tokens import public_jwks
from gateway.ops.logs import Log
from gateway.ops.metrics import UNMATCHED, Metrics
from gateway.pipeline import Aim, Pipeline
from gateway.routes.model import Route
from gateway.routes.table import Table
from gateway.settings import model
from gateway.store.sql import Store
from gateway.wire.hops import RequestNames
from gateway.wire.peer import TrustedProxies
from gateway.wire.trace import Traces


class Core:
    """settings: what it was made from. generation: for the edge. jwks: may be shared with the core before it."""

    def __init__(
        self,
        settings: model.Settings,
        number: int,
        store: Store,
        jwks: Jwks,
        clock: Clock,
        log: Log,
        metrics: Metrics,
        directory: Directory | None = None,
        lasting: Lasting | None = None,
        counts: Counts | None = None,
        known: Known | None = None,
    ) -> None:
        """directory: in place of the store's own. lasting: of the logins; None where none will be asked for.

        counts: of the routes' limits, which go on from load to load; None for new ones. known: of upstreams, from the
        cores before it.
        """
        self.settings = settings
        self.jwks = jwks
        self.profiles = ProfileEncoder(settings.profile.budget)
        self._store = store
        assertions = Assertions(f"{settings.public_url}/assertion")
        verifiers = _verifiers(settings, directory or store.directory, store, jwks, clock, assertions)
        limits = CacheLimits(settings.cache.credentials, settings.cache.negative, settings.cache.size)
        self.authenticator = Authenticator(verifiers, limits, number)
        self._dialects = dialects(settings, store, verifiers, lasting) if lasting is not None else paths(settings)
        self.builtin = self._application(clock, log)
        known = known if known is not None else Known(clock.monotonic)
        self.assemblies = {
            name: Assembly(name, said, known.of(name), EndpointLog(log, name), clock, metrics.upstream(name))
            for name, said in settings.upstreams.items()
        }
        self.upstreams = {name: assembly.upstream for name, assembly in self.assemblies.items()}
        watch = EndpointLog(log, compile.BUILTIN)
        itself = Endpoint(compile.BUILTIN, Aim(b""), 64, in_process(self.builtin.connect), watch)
        routes = [compile.to_route(route, settings.listen) for route in settings.routes]
        own = application.endpoints(settings.login.mycelium.mount, self._dialects)
        reserved = compile.builtin_routes(own, settings.login.cors)
        asking = Asking(settings, routes)
        builtins = [*reserved, *asking.routes]
        pipeline = Pipeline(
            Table(routes),
            Table(builtins),
            frozenset(route.path.split("/")[1].encode() for route in builtins),
            self.authenticator,
            Injector(self.profiles, assertions),
            shares=any(route.cross_origin is not None for route in (*routes, *reserved)),
        )
        upstreams = {
            **self.upstreams,
            compile.BUILTIN: Upstream(compile.BUILTIN, [itself], counters=metrics.upstream(compile.BUILTIN), own=True),
        }
        quotas = quotas_of(settings, routes, counts or Counts(clock))
        lanes = {**_lanes([*routes, *reserved], upstreams, metrics, quotas), **(asked := asking.lanes(metrics))}
        self.links = compile.secret_paths(reserved, settings.public_url, asking.below)
        self._mount = asking.secret
        self.generation = _generation(settings, pipeline, lanes, metrics, beginnings(self.links + self._mount), asked)

    def _application(self, clock: Clock, log: Log) -> Builtin:
        """Our own endpoints. They authenticate with the very object that the edge uses."""
        return Builtin(
            application.build(
                authenticator=self.authenticator,
                render_profile=_render,
                public_keys=self._public_keys,
                now=clock.now,
                log=log,
                logins=self._dialects,
                prepare=self._store.open_changes,
                mount=self.settings.login.mycelium.mount,
                connection_string_header=self.settings.connection_strings.header,
            )
        )

    def carry(self, old: "Core") -> None:
        """What was counted so far: a counter that begins again at zero looks like a restart.

        And which paths links have: what was mailed before a reload is good after it. A process that is started later
        knows of those alone that the configuration has.
        """
        self.links = list(dict.fromkeys(self.links + old.links))
        self.generation = replace(self.generation, secret=beginnings(self.links + self._mount))
        ours, theirs = self.authenticator, old.authenticator
        ours.hits += theirs.hits
        ours.misses += theirs.misses
        ours.negative_hits += theirs.negative_hits
        ours.outcomes.update(theirs.outcomes)
        self.profiles.carry(old.profiles.counts)

    async def start(self) -> None:
        """Reads our own keys and starts the built-in application. Raises DependencyFailed."""
        await self.authenticator.reload_keys()
        await self.builtin.start()

    async def aclose(self) -> None:
        await self.authenticator.aclose()
        await self.builtin.aclose()

    async def _public_keys(self) -> Mapping[str, object]:
        keys: Sequence[SigningKey] = await self._store.keys.signing_keys()
        return public_jwks(keys)


def _verifiers(
    settings: model.Settings, directory: Directory, store: Store, jwks: Jwks, clock: Clock, assertions: Assertions
) -> Verifiers:
    """assertions: signed with the keys that the verifiers load."""
    return Verifiers(
        directory,
        store.keys,
        jwks,
        OwnTokens(settings.tokens.issuer, settings.tokens.audience),
        [external(issuer) for issuer in settings.issuers],
        clock,
        assertions.use,
    )


def _generation(
    settings: model.Settings,
    pipeline: Pipeline,
    lanes: dict[Route, Lane],
    metrics: Metrics,
    secret: Beginnings,
    asked: dict[Route, Lane],
) -> Generation:
    """secret: as in Generation. asked: the lanes of the decision endpoint."""
    listen = settings.listen
    header = settings.connection_strings.header.encode()
    return Generation(
        pipeline,
        lanes,
        Lane(UNMATCHED, None, metrics.route(UNMATCHED)),
        RequestNames(header, (name.encode() for name in listen.allow_headers)),
        TrustedProxies(str(network) for network in listen.trusted_proxies),
        header,
        b"https" if listen.tls else b"http",
        compile.limits(listen, least_head(settings)),
        compile.waits(listen),
        secret,
        {route.path.encode(): lane for route, lane in asked.items()},
        Traces(settings.tracing.accept == "any", settings.tracing.sample),
        headers.every_answer(listen.security_headers),
    )


def key_sources(settings: model.Settings) -> list[KeySource]:
    return [KeySource(issuer.name, issuer.jwks_url, issuer.stale) for issuer in settings.issuers]


def make_jwks(
    settings: model.Settings,
    fetch: HttpFetch,
    clock: Clock,
    log: Log,
    documents: Documents | None = None,
    counted: Counted = lambda _issuer, _outcome: None,
) -> Jwks:
    """Its background refresh is begun. documents: shared with other nodes. counted: of each fetch."""

    def told(issuer: str, reason: Exception | None) -> None:
        if reason is None:
            log.info("an issuer's keys are fetched again", issuer=issuer)
        else:
            log.warning("an issuer's keys cannot be fetched", issuer=issuer, reason=_why(reason))

    jwks = Jwks(key_sources(settings), fetch, clock, told=told, documents=documents, counted=counted)
    jwks.start()
    return jwks


def _why(error: Exception) -> str:
    if isinstance(error, DependencyFailed):
        return error.detail or error.code
    return str(error) or type(error).__name__  # TimeoutError has no text


def external(issuer: model.Issuer) -> ExternalIssuer:
    return ExternalIssuer(
        issuer.name,
        issuer.issuer,
        issuer.audiences,
        frozenset(issuer.algorithms),
        issuer.provision,
        issuer.email == "verified",
        issuer.leeway,
        issuer.verify_sub,
    )


def _lanes(
    routes: Sequence[Route], upstreams: Mapping[str, Upstream], metrics: Metrics, quotas: Mapping[Route, Limits]
) -> dict[Route, Lane]:
    lanes = {}
    for route in routes:
        name = compile.label(route)
        upstream, counters = upstreams[route.upstream], metrics.route(name)
        lanes[route] = Lane(name, upstream, counters, route.errors, quota=quotas.get(route))
    return lanes


def _render(principal: Principal, urls: bool) -> bytes:
    form = as_json(principal, "urls" if urls else "records")
    return json.dumps(form, ensure_ascii=False, separators=(",", ":")).encode()

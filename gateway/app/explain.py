"""What would happen to a request, and why: the stages of an exchange themselves, asked one after the other.

Nothing is forwarded and nothing is stored. No rule has a second implementation here: what is checked, and in which
order, is in `outcome`, and this module only names the one that refused.
"""

import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final, assert_never

from gateway.access.jwks import Jwks
from gateway.app import compile
from gateway.app.asked import Asked
from gateway.app.core import Core, key_sources
from gateway.app.explanation import CHECKS, Check, Credential, Explanation, Sent, Step
from gateway.app.outcome import Unknown, outcome_of
from gateway.app.quotas import told
from gateway.clock import Clock
from gateway.control.fetch import HttpFetch
from gateway.edge.exchange import Exchange
from gateway.edge.generation import Adapter
from gateway.edge.quota import Limits, body_too_large
from gateway.edge.single import read_request
from gateway.errors import DependencyFailed, GatewayError, RequestRejected
from gateway.identity.model import Account, Owner, Principal, Standing
from gateway.identity.ports import Directory
from gateway.ops.logs import Log
from gateway.ops.metrics import Metrics
from gateway.pipeline import (
    Admitted,
    Crossing,
    Memo,
    Pipeline,
    Refused,
    Unverified,
    prepare,
    prepare_builtin,
    sender_fields,
)
from gateway.routes.model import Route
from gateway.settings.model import Settings
from gateway.store.sql import open_store
from gateway.wire.cors import Cors, origin_of
from gateway.wire.credentials import present
from gateway.wire.message import Request
from gateway.wire.original import read_original
from gateway.wire.peer import forwarded_fields
from gateway.wire.problems import PROBLEMS

# The account that an external caller would be given on first sight: explaining makes none.
NEW_ACCOUNT: Final = "00000000-0000-0000-0000-000000000000"

_SECRET = re.compile(r"auth|token|secret|api-?key|passw|cookie|session|signature").search
_ASSERTION: Final = "x-mycelium-assertion"
_PREFLIGHT: Final = Step("cors", "skipped", "a browser's preflight, whose headers the log does not have")
_OF_PAGES: Final = ("cors_refused", "origin_refused")


class OnPaper:
    """A Directory that makes no account. That the address may be another account's already is not looked up."""

    def __init__(self, directory: Directory) -> None:
        self.by_grant = directory.by_grant
        self.by_secret = directory.by_secret
        self.by_subject = directory.by_subject

    async def provision(self, issuer: str, subject: str, email: str, name: str) -> Standing:
        return Standing(Account(NEW_ACCOUNT, name, Owner(NEW_ACCOUNT, email)), None)


@asynccontextmanager
async def offline(
    settings: Settings, master_key: bytes, clock: Clock, log: Log, previous: bytes | None = None
) -> AsyncIterator[Core]:
    """The objects of a gateway that does not run. Key sets are fetched when a token needs one.

    Raises DependencyFailed.
    """
    store = await open_store(settings.store.url, master_key, clock, settings.store.secret, previous)
    try:
        async with HttpFetch() as fetch:
            jwks = Jwks(key_sources(settings), fetch, clock)
            core = Core(settings, 0, store, jwks, clock, log, Metrics(), OnPaper(store.directory))
            try:
                await core.authenticator.reload_keys()
                yield core
            finally:
                await core.authenticator.aclose()
                await jwks.aclose()
    finally:
        await store.aclose()


async def explain(core: Core, asked: Asked, clock: Clock) -> Explanation:
    """Everything up to the upstream's connection. Which endpoint is next, and whether it lives, is not asked."""
    try:
        exchange = read_request(asked.head, core.generation, asked.address, clock)
    except RequestRejected as fault:
        return Explanation((_refusal("request", fault),), fault)
    if asked.preflight:
        return Explanation((*_passed(core, ("request",), exchange.request, None, Credential(), None), _PREFLIGHT))
    now = clock.now()
    outcome = await outcome_of(core, exchange.request, asked, core.authenticator.holder, now)
    if isinstance(outcome, Admitted):
        lane = core.generation.lanes[outcome.permit.route]
        if lane.upstream is None:  # a data plane asks: what it asks about is explained
            try:
                outcome = _asked_about(core.generation.pipeline, exchange, lane.adapter, asked.address, now)
            except RequestRejected as fault:
                return Explanation((_refusal("request", fault),), fault)
    if isinstance(outcome, Unverified):
        outcome = await core.generation.pipeline.settle(outcome, now)
    found = _explained(core, exchange, outcome, asked)
    return replace(found, number=_number(core, found.route))


def _explained(
    core: Core, exchange: Exchange, outcome: Crossing | Admitted | Refused | Unknown, asked: Asked
) -> Explanation:
    match outcome:
        case Crossing():
            return _crossing(core, exchange.request, outcome)
        case Unknown():
            return _unknown(core, exchange.request, outcome.route)
        case Refused():
            return _refused(core, exchange.request, outcome)
        case Admitted():
            return _admitted(core, exchange, outcome, asked)
    assert_never(outcome)


def _crossing(core: Core, request: Request, crossing: Crossing) -> Explanation:
    steps = _passed(core, ("request", "route"), request, crossing.route, Credential(), None)
    yes = Step("cors", "ok", "a preflight: the page may send this request")
    return Explanation((*steps, yes), None, crossing.route, answered=True)


def _asked_about(
    pipeline: Pipeline, exchange: Exchange, adapter: Adapter | None, address: str, now: float
) -> Admitted | Refused | Unverified:
    """As `Exchange` does it. Raises RequestRejected."""
    if adapter is None or not adapter.peers.believes(address):
        raise RequestRejected("no_route")
    exchange.request = read_original(exchange.request, adapter.contract, adapter.prefix)
    outcome = pipeline.decide(exchange.request, Memo(), now)
    if isinstance(outcome, Admitted) and outcome.injected is None:
        raise RequestRejected("no_route", "The endpoints of the gateway are no upstream's.")
    return outcome


def _number(core: Core, route: Route | None) -> int | None:
    """The lanes stand in the order of the configuration, the built-in ones after them."""
    return None if route is None or route.builtin else list(core.generation.lanes).index(route)


def _refused(core: Core, request: Request, refused: Refused) -> Explanation:
    fault, route = refused.fault, refused.route
    check = _check_of(refused)
    caller = refused.caller.principal if refused.caller is not None else None
    early = CHECKS.index(check) < CHECKS.index("credential")
    credential = Credential() if early else _credential(request, route, caller, fault)
    passed = CHECKS[: CHECKS.index(check)]
    steps = _passed(core, passed, request, route, credential, caller)
    return Explanation((*steps, _refusal(check, fault)), fault, route, credential=credential)


def _unknown(core: Core, request: Request, route: Route) -> Explanation:
    """The rule is known and the caller is not."""
    credential = Credential("unknown")
    steps = _passed(core, CHECKS[: CHECKS.index("credential")], request, route, credential, None)
    last = Step("credential", "skipped", "the log does not have it: ask with the credential itself")
    return Explanation((*steps, last), None, route, credential=credential)


def _check_of(refused: Refused) -> Check:
    """Which check it was, from how far `pipeline` had come."""
    if refused.route is None:
        return "route"
    if refused.fault.code in _OF_PAGES:
        return "cors"
    if refused.fault.code == "head_too_large":
        return "limits"
    if refused.caller is None:
        return "path" if refused.fault.code == "ambiguous_path" else "credential"
    return "access" if isinstance(refused.fault, RequestRejected) else "headers"


def _admitted(core: Core, exchange: Exchange, admitted: Admitted, asked: Asked) -> Explanation:
    request, permit = exchange.request, admitted.permit
    route = permit.route
    credential = _credential(request, route, permit.principal, None)
    limit = route.body_limit
    if limit is not None and (request.length or 0) > limit:
        fault = body_too_large(limit)
        steps = _passed(core, CHECKS[: CHECKS.index("body")], request, route, credential, permit.principal)
        return Explanation((*steps, _refusal("body", fault)), fault, route, credential=credential)
    sent = _sent(core, exchange, admitted, asked)
    steps = _passed(core, CHECKS[:-1], request, route, credential, permit.principal)
    last = Step("headers", "ok", f"{len(sent.fields)} sent, {len(sent.stripped)} of the client's stripped")
    return Explanation((*steps, last), None, route, credential=credential, sent=sent)


def _refusal(check: Check, fault: GatewayError) -> Step:
    detail = fault.detail or PROBLEMS[fault.code].title
    return Step(check, "failed" if isinstance(fault, DependencyFailed) else "refused", f"{fault.code}: {detail}")


def _passed(
    core: Core,
    checks: tuple[Check, ...],
    request: Request,
    route: Route | None,
    credential: Credential,
    caller: Principal | None,
) -> Iterator[Step]:
    for check in checks:
        if check == "request":
            where = f"{request.method.decode('ascii')} {_text(request.target.path)} for {_text(request.host)}"
            yield Step(check, "ok", where)
            continue
        assert route is not None
        match check:
            case "route":
                yield Step(check, "ok", f"{compile.label(route)} to {route.upstream}")
            case "cors":
                if route.cross_origin is not None and route.cross_origin.cors is not None:
                    yield Step(check, "ok", _readable(request, route.cross_origin.cors))
            case "limits":
                yield Step(check, "ok", _about_limits(core.generation.lanes[route].quota))
            case "path":
                odd = ", ".join(sorted(map(_text, request.target.oddities)))
                yield Step(check, "ok", f"the route lists {odd}" if odd else "it can be read in one way only")
            case "credential":
                yield Step(check, "ok" if caller is not None else "skipped", _about(credential, caller))
            case "access":
                yield Step(check, "ok", route.access.kind.value)
            case "body":
                limit = "any size" if route.body_limit is None else f"up to {route.body_limit} bytes"
                yield Step(check, "ok", limit)


def _readable(request: Request, cors: Cors) -> str:
    origin = origin_of(request)
    if origin is None:
        return "no page of another origin asks"
    return f"a page of this origin {'may' if cors.origins.holds(origin) else 'cannot'} read the answer"


def _about_limits(quota: Limits | None) -> str:
    return "the route has none" if quota is None else f"{told(quota)}; not counted here"


def _credential(
    request: Request, route: Route | None, caller: Principal | None, fault: GatewayError | None
) -> Credential:
    try:
        presented = present(request.connection_string, request.authorization)
        kind: str = "none" if presented is None else presented.kind
    except RequestRejected:
        kind = "malformed"
    if caller is not None:
        return Credential(kind, "verified")
    if fault is not None:
        return Credential(kind, fault.code)
    if kind == "none":
        return Credential(kind, "absent")
    return Credential(kind, "passed_on" if route is not None and route.builtin else "ignored")


def _about(credential: Credential, caller: Principal | None) -> str:
    if caller is None:
        return f"{credential.kind}, {credential.outcome.replace('_', ' ')}"
    account = caller.account
    known = "no account" if account is None else f"account {account.id}"
    if account is not None and account.id == NEW_ACCOUNT:
        known = "an account that would be made now"
    grant = "" if caller.grant_id is None else f", grant {caller.grant_id}"
    return f"{credential.kind} of {known}{grant}, issuer {caller.issuer}, assurance level {caller.aal}"


def _sent(core: Core, exchange: Exchange, admitted: Admitted, asked: Asked) -> Sent:
    line, *lines = _head(core, exchange, admitted).removesuffix(b"\r\n\r\n").split(b"\r\n")
    method, target, _ = line.split(b" ")
    fields = [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]
    secret = {core.generation.connection_string}
    if admitted.permit.route.request_rules is not None:
        secret |= admitted.permit.route.request_rules.secret
    shown = tuple((_text(name).lower(), _shown(name, value, secret)) for name, value in fields)
    path, mark, _ = _text(target).partition("?")
    upstream = admitted.permit.route.upstream
    return Sent(upstream, _text(method), path + mark + "..." * bool(mark), shown, tuple(_stripped(asked, fields)))


def _head(core: Core, exchange: Exchange, admitted: Admitted) -> bytes:
    """The upstream's request head, made by the functions that make it for an exchange."""
    request, generation, permit = exchange.request, core.generation, admitted.permit
    trace = exchange.trace.fields()
    if admitted.injected is None:
        sender = sender_fields(request, exchange.peer, generation.scheme)
        return prepare_builtin(request, sender, generation.connection_string, exchange.request_id, trace)
    forwarded = forwarded_fields(exchange.peer, request.host, generation.scheme)
    aim = core.upstreams[permit.route.upstream].endpoints[0].aim
    return prepare(request, permit, admitted.injected.head, aim, forwarded, exchange.request_id, trace)


def _stripped(asked: Asked, fields: list[tuple[bytes, bytes]]) -> Iterator[str]:
    """The client's fields that do not go on as they came; `Host` always does in some form."""
    left = Counter((name.lower(), value.strip(b" \t")) for name, value in fields)
    for name, value in asked.fields:
        field = (name.lower(), value.strip(b" \t"))
        if left[field]:
            left[field] -= 1
        elif field[0] != b"host":
            yield _text(field[0])


def _shown(name: bytes, value: bytes, secret: Set[bytes]) -> str:
    """A value without what would let its reader in somewhere. secret: lower-case names of headers that hold one."""
    known, text = _text(name).lower(), _text(value)
    if known == _ASSERTION:
        return f"{text[:10]}... ({len(value)} bytes)"
    return f"({len(value)} bytes)" if _SECRET(known) or name.lower() in secret else text


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")

"""What a running gateway would do with a request, up to the upstream's connection: for `explain` and for `replay`.

The checks and their order are those of `edge.exchange.Exchange.start`, which acts on each answer at once, and counts
what is not counted here. tests/app/test_explain_agrees.py holds the two together.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.access.authenticate import Verified
from gateway.app.asked import Asked
from gateway.app.core import Core
from gateway.edge.generation import Generation
from gateway.edge.quota import head_too_large
from gateway.errors import GatewayError, RequestRejected
from gateway.pipeline import Admitted, Crossing, Memo, Refused, Unverified
from gateway.routes.model import Route
from gateway.wire.message import Request

Holder = Callable[[str, float], Awaitable[Verified]]  # of a grant, now; raises RequestRejected, DependencyFailed


@dataclass(frozen=True, slots=True)
class Unknown:
    """The route wants a caller, and the log does not say who that was."""

    route: Route


Outcome = Crossing | Admitted | Refused | Unverified | Unknown


def entered(generation: Generation, request: Request, memo: Memo) -> Route | Crossing | Refused:
    """All that is asked before the caller is. How often, and how many at once, is not."""
    crossing = generation.pipeline.preflight(request)
    if crossing is not None:
        return crossing
    route = generation.pipeline.route(request, memo)
    if isinstance(route, Refused):
        return route
    if route.cross_origin is not None and route.cross_origin.shuts_out(request):
        return Refused(RequestRejected("origin_refused"), route)
    quota = generation.lanes[route].quota
    if quota is not None and quota.head is not None and request.size > quota.head:
        return Refused(head_too_large(quota.head), route)
    return route


async def outcome_of(core: Core, request: Request, asked: Asked, holder: Holder, now: float) -> Outcome:
    """request: as read from `asked`. Refused with DependencyFailed, and without a caller: what decides is down."""
    pipeline, memo = core.generation.pipeline, Memo()
    route = entered(core.generation, request, memo)
    if not isinstance(route, Route):
        return route
    outcome = pipeline.judge(route, request, memo, now)
    if not (isinstance(outcome, Refused) and outcome.fault.code == "no_credential"):
        return outcome
    if not asked.known:
        return Unknown(route)
    if asked.grant is None:
        return outcome
    try:
        memo.keep(request, core.authenticator, await holder(asked.grant, now))
    except GatewayError as fault:
        return Refused(fault, route)
    return pipeline.judge(route, request, memo, now)

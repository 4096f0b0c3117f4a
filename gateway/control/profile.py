"""GET beginners/profile: the caller's own profile as JSON, of one tenant if they ask for one."""

import dataclasses
import uuid
from collections.abc import Callable

from aiohttp import web

from gateway.control.answers import Endpoint
from gateway.control.caller import Callers
from gateway.errors import RequestRejected
from gateway.identity.model import Principal

# (principal, whether licences and ownerships are given as URLs) -> JSON. What it says is decided in `access`.
Render = Callable[[Principal, bool], bytes]

_TENANT_HEADER = "x-mycelium-tenant-id"
_FLAGS = {"true": True, "false": False}


def endpoint(callers: Callers, render: Render) -> Endpoint:
    """401 without a credential, 403 `no_account` for an external caller without one."""

    async def profile(request: web.Request) -> web.StreamResponse:
        principal = await callers.principal(request)
        if principal.account is None:
            raise RequestRejected("no_account")
        seen = narrow(principal, _tenant(request))
        body = render(seen, _flag(request, "withUrl"))
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return profile


def narrow(principal: Principal, tenant_id: str | None) -> Principal:
    """Keeps what lies in the tenant. What the credential itself leaves is decided where the profile is rendered."""
    if tenant_id is None:
        return principal
    return dataclasses.replace(
        principal,
        licences=tuple(licence for licence in principal.licences if licence.tenant_id == tenant_id),
        ownerships=tuple(ownership for ownership in principal.ownerships if ownership.tenant_id == tenant_id),
    )


def _tenant(request: web.Request) -> str | None:
    text = request.headers.get(_TENANT_HEADER)
    if text is None:
        return None
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise RequestRejected("bad_parameter", f"{_TENANT_HEADER} is not a UUID.") from None


def _flag(request: web.Request, name: str) -> bool:
    """Absent is false; Mycelium's own default is true, which hides the records that people want to see."""
    text = request.query.get(name, "false")
    if text not in _FLAGS:
        raise RequestRejected("bad_parameter", f"{name} is true or false.")
    return _FLAGS[text]

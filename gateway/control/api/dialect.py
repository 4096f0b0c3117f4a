"""The admin API as the application serves it: every call is judged, checked, made, and told to whoever must know.

An API of operations, a document and a page about them; faults are problem documents (RFC 9457).
"""

import json
from collections.abc import Mapping, Sequence

from gateway.control.api.accounts import Accounts
from gateway.control.api.credentials import Credentials
from gateway.control.api.invitations import Invitations
from gateway.control.api.operation import Asked, Operation, Unfit, checked
from gateway.control.api.pages import Documentation, InvitationPage
from gateway.control.api.parts import Parts
from gateway.control.api.tenants import Tenants
from gateway.control.api.trail import AuditTrail
from gateway.errors import GatewayError, RequestRejected
from gateway.identity.audit import Detail, Event
from gateway.identity.authority import FRESH, Authority, admit
from gateway.identity.model import Principal
from gateway.identity.origin import Origin
from gateway.login.dialect import NO_CONTENT, UNMETERED, Call, Endpoint, Handler, Metered, Reply, replied
from gateway.login.ids import id_param
from gateway.wire import problems

VERSION = "/api/v1"
PARAMETERS = {"tenantId": "tenant_id", "accountId": "account_id", "grantId": "", "invitationId": ""}  # that are ids


def operations(parts: Parts) -> Sequence[Operation]:
    """In the order of the document."""
    found = [*Tenants(parts).operations(), *Accounts(parts).operations(), *Invitations(parts).operations()]
    found += Credentials(parts).operations()
    return [*found, *AuditTrail(parts.trail).operations()]


class Api:
    """mount: as `/_adm`. product: the name in the titles of pages."""

    name = "admin"

    def __init__(self, parts: Parts, mount: str, product: str) -> None:
        self._parts = parts
        self.operations = operations(parts)
        self._documentation = Documentation(self.operations, mount, VERSION)
        self._invitation = InvitationPage(parts, mount, product)
        base = f"{mount}{VERSION}"
        own = [
            Endpoint(
                one.method, base + one.path, self._served(one), body="none" if one.body is None else "json", exact=True
            )
            for one in self.operations
        ]
        self._endpoints = (*own, *self._documentation.endpoints(), *self._invitation.endpoints())

    def endpoints(self) -> Sequence[Endpoint]:
        return self._endpoints

    def document(self) -> Mapping[str, object]:
        """OpenAPI 3.1."""
        return self._documentation.made()

    def fault(self, fault: GatewayError, endpoint: Endpoint, request_id: str) -> Reply:
        if endpoint.page:
            return self._invitation.fault(fault)
        body = problems.body(fault.code, problems.told(fault), request_id)
        if isinstance(fault, Unfit):
            places = [{"place": place, "message": message} for place, message in fault.faults]
            body = json.dumps({**json.loads(body), "errors": places}, separators=(",", ":")).encode() + b"\n"
        return Reply(problems.PROBLEMS[fault.code].status, body, "application/problem+json")

    async def meter(self, endpoint: Endpoint, origin: Origin, caller: Principal | None) -> Metered:
        return UNMETERED

    def _served(self, operation: Operation) -> Handler:
        async def served(call: Call) -> Reply:
            asked = await self._asked(operation, call)
            try:
                answer = await _discreetly(operation, asked)
            except RequestRejected as fault:
                if fault.code == "forbidden":  # what only the body tells that they may not
                    self._tell(operation, fault, asked.params.get("accountId"))
                raise
            if operation.changes:
                await self._parts.notices.changed(None)
                self._parts.notices.posted()
            return NO_CONTENT if operation.answer is None else replied(answer, operation.status)

        return served

    async def _asked(self, operation: Operation, call: Call) -> Asked:
        """Who may not make the call learns nothing of what would be wrong with it."""
        params = {name: id_param(call, name) if name in PARAMETERS else value for name, value in call.params.items()}
        about = {PARAMETERS[name]: value for name, value in params.items() if PARAMETERS.get(name)}
        try:
            authority = admit(call.caller, operation.name, **about)
            await self._require_fresh(authority)
        except RequestRejected as fault:
            self._tell(operation, fault, params.get("accountId"))
            raise
        body = None if operation.body is None else checked(operation.body, call.body, "body")
        query = None if operation.query is None else checked(operation.query, call.query, "query")
        return Asked(authority, call.origin, params, body, query)

    def _tell(self, operation: Operation, fault: RequestRejected, account_id: str | None) -> None:
        """Of changes: reading in vain is in the access log, as any request that is refused."""
        if operation.changes:
            what: Detail = {"operation": operation.name}
            self._parts.refusals.refused(Event("admin_refused", account_id, "", "refused", fault.code, what))

    async def _require_fresh(self, authority: Authority) -> None:
        if authority.rule.fresh and await self._parts.sessions.since_login(authority.principal) > FRESH:
            raise RequestRejected("login_too_old", f"Log in again; for {FRESH / 60:g} minutes this may be done.")


async def _discreetly(operation: Operation, asked: Asked) -> object:
    """To whoever is not of the platform, one thing that they may not see is not there as any other."""
    try:
        return await operation.handler(asked)
    except RequestRejected as fault:
        if fault.code == "not_found" and not asked.authority.is_platform:
            raise RequestRejected("not_found") from fault
        raise

"""The audit trail, read."""

from collections.abc import Sequence

from gateway.control.api import answers, asks
from gateway.control.api.operation import Asked, Operation, mark, marked
from gateway.identity.trail import Entry, Trail
from gateway.login.rfc3339 import moment


class AuditTrail:
    def __init__(self, trail: Trail) -> None:
        self._trail = trail

    def operations(self) -> Sequence[Operation]:
        return (
            Operation(
                "listAudit", "GET", "/audit", "audit", "List what was done, newest first",
                self.list, answers.AuditEntries, query=asks.AuditQuery,
            ),
            Operation(
                "verifyAudit", "GET", "/audit/verify", "audit",
                "Check that nothing was changed, removed or put between",
                self.verify, answers.AuditVerdict,
            ),
        )  # fmt: skip

    async def list(self, asked: Asked) -> object:
        said = asked.sought(asks.AuditQuery)
        return marked(await self._trail.page(said.limit, mark(said.after, int), said.kind, said.account_id), _shown)

    async def verify(self, asked: Asked) -> object:
        found = await self._trail.verify()
        said = {"intact": found.intact, "entries": found.entries, "waiting": found.waiting}
        return {**said, "head": found.head, "detail": found.detail}


def _shown(entry: Entry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": moment(entry.at),
        "kind": entry.kind,
        "actor": entry.actor,
        "accountId": entry.account_id,
        "subject": entry.subject,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "dialect": entry.dialect,
        "ip": entry.ip,
        "requestId": entry.request_id,
        "detail": dict(entry.detail),
    }

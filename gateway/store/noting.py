"""Where the changes of `store.governance` and `store.invitations` tell what they did, in their own transaction.

The audit trail takes it from here; until it does, nobody keeps it.
"""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncConnection


async def noted(
    connection: AsyncConnection,
    kind: str,
    account_id: str | None,
    subject: str = "",
    detail: Mapping[str, str] | None = None,
) -> None:
    """One change. account_id: whom it is about. subject: id of the tenant or invitation. detail: without a secret."""

"""Whether a mail waits to be sent: asked each second by every worker, so on sqlite3 rather than on SQLAlchemy."""

from gateway.store.sqlite import Reader

DUE = "SELECT EXISTS (SELECT 1 FROM outbox WHERE sent_at IS NULL AND failed_at IS NULL AND due_at <= ?)"


async def due(reader: Reader, now: float) -> bool:
    """now: seconds since the epoch. Raises DependencyFailed("store_unavailable")."""
    return bool((await reader.rows(DUE, (now,)))[0][0])

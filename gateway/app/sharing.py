"""What a node shares with others: opened where the settings name a server, as its library is half a start."""

import asyncio
import ssl
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.errors import DependencyFailed
from gateway.ops.logs import Log
from gateway.settings.state import State
from gateway.store.seal import Sealer, derived

if TYPE_CHECKING:
    from gateway.state.shared import SharedState


async def open_sharing(said: State, root: bytes, clock: Clock, log: Log) -> "SharedState | None":
    """root: of the store: whoever has the same database finds the others. None where nothing is shared.

    A server that does not answer stops no start.

    Raises DependencyFailed("state_misconfigured") for certificates that cannot be read, and as `SharedState.open`.
    """
    if said.url.form == "memory":
        return None
    await asyncio.to_thread(import_module, "gateway.state.shared")
    from gateway.state.shared import SharedState

    def told(why: str | None) -> None:
        if why is None:
            log.warning("the shared state is back")
        else:
            log.warning("the shared state is away: limits count in this process, news are polled", reason=why)

    def unsubscribed(why: str | None) -> None:
        if why is None:
            log.info("news of other nodes arrive again")
        else:
            log.warning("news of other nodes do not arrive: they are polled", reason=why)

    def refused(why: str) -> None:
        log.error("Redis refuses a command: what it is for is done in this process alone", reason=why)

    def failed(error: Exception) -> None:
        log.error("counts of limits cannot be shared: they are this process' own", exc_info=error)

    if (wrong := unusable_ca(said)) is not None:
        raise DependencyFailed("state_misconfigured", wrong)
    sealer = Sealer(derived(root, "shared state"), clock.token_bytes)
    password = said.password.get_secret_value() if said.password is not None else None
    shared = SharedState(said.url, password, said.ca, sealer.mac, sealer, clock, told, unsubscribed, refused, failed)
    try:
        await shared.open()
    except BaseException:
        await shared.aclose()
        raise
    return shared


def unusable_ca(said: State) -> str | None:
    """Why the certificates of `state.ca` cannot be used."""
    if said.ca is None:
        return None
    try:
        ssl.create_default_context(cafile=str(said.ca))
    except OSError as error:  # ssl.SSLError is one
        return f"state.ca: {said.ca} cannot be used: {error.strerror or error.args[-1]}"
    return None

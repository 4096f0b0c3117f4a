"""What a node shares with others: opened where the settings name a server, as its library is half a start."""

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.ops.logs import Log
from gateway.settings.state import State
from gateway.store.seal import Sealer, derived

if TYPE_CHECKING:
    from gateway.state.shared import SharedState


async def open_sharing(said: State, master_key: bytes, clock: Clock, log: Log) -> "SharedState | None":
    """None where nothing is shared. A server that does not answer stops no start."""
    if said.url.form == "memory":
        return None
    await asyncio.to_thread(import_module, "gateway.state.shared")
    from gateway.state.shared import SharedState

    def told(why: str | None) -> None:
        if why is None:
            log.warning("the shared state is back")
        else:
            log.warning("the shared state is away: limits count in this process, news are polled", reason=why)

    sealer = Sealer(derived(master_key, "shared state"), clock.token_bytes)
    password = said.password.get_secret_value() if said.password is not None else None
    shared = SharedState(said.url, password, said.ca, sealer.mac, sealer, clock, told)
    await shared.open()
    return shared

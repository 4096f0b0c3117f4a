"""A program of its own that changes the master key of a database and ends at one of its statements.

Arguments: the database's URL, the new key and the old one in hex, the number of the statement (from 1) and the name of
the signal. Exits with 0 when there are fewer.
"""

import asyncio
import sys

from interrupted import end_at

from gateway.clock import Clock
from gateway.store.sql import open_store


async def change(url: str, new: bytes, old: bytes) -> None:
    store = await open_store(url, new, Clock(), previous=old)
    await store.changes().master_key(store.masters, asyncio.sleep, 0.0).change()
    await store.aclose()


if __name__ == "__main__":
    end_at(int(sys.argv[4]), sys.argv[5])
    asyncio.run(change(sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])))

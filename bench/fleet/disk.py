"""A gateway over SQLite whose disk fills up under load."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.fleet import callers
from bench.fleet.fleet import Fleet
from bench.fleet.gateways import PUBLIC_URL, Gateway, Home
from bench.fleet.traffic import Tally, under_load
from bench.processes import NotStartedError
from gateway.clock import Clock
from gateway.store.schema import migrate
from gateway.store.sql import open_store

MEBIBYTES = 16
BLOCK = 4096
SECONDS = 5.0


async def disk_full(fleet: Fleet) -> tuple[Tally, str]:
    """One gateway of its own. What is seen: writes that fail meanwhile, and that they work again after it."""
    with _small(fleet.balancer.stable.folder / "small") as folder:
        home = Home(folder, f"sqlite:///{folder}/gateway.db", "memory", {"orders": fleet.echo.port})
        home.write_secrets()
        await migrate(home.store)
        store = await open_store(home.store, home.key, Clock())
        try:
            made = await callers.make(store, Clock(), PUBLIC_URL, 16, 1_000)
            gateway = Gateway(fleet.balancer.stable, home, 1)
            await asyncio.to_thread(gateway.start)
            async with under_load((gateway.port,), made.known, made.new.__next__) as tally:
                await asyncio.sleep(1)
                _fill(folder)
                await asyncio.sleep(SECONDS)
                during = await _log_in(gateway)
                (folder / "filler").unlink()
                await asyncio.sleep(1)
                after = await _log_in(gateway)
            fleet.balancer.stable.stop(gateway.process)
        finally:
            await store.aclose()
    return tally, f"what wants to write: {during} during, {after} after"


async def _log_in(gateway: Gateway) -> int:
    """The status of what has to write a challenge: a magic link."""
    body = b'{"email":"caller0@fleet.example"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = (
        "POST /_adm/beginners/users/magic-link/request HTTP/1.1\r\nHost: fleet\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


def _fill(folder: Path) -> None:
    """Nothing more fits, whoever writes. The log of the database is emptied before: it would have room for a while."""
    with contextlib.closing(sqlite3.connect(folder / "gateway.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(folder / "filler", "ab", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"\0" * BLOCK)


@contextlib.contextmanager
def _small(folder: Path) -> Iterator[Path]:
    """A file system of its own. NotStartedError for who may not mount."""
    if os.geteuid():
        raise NotStartedError("a disk that fills up is for root: it takes a mount")
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)

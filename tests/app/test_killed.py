"""One of three servers is killed and comes back, under load that is bounded by counts: no idempotent request fails."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from harness.client import Answer
from harness.ports import free_port
from harness.site import Running, Site, until

SERVER = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            await asyncio.sleep(0.001)
            writer.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: 4\\r\\n\\r\\n" + sys.argv[2].encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
CLIENTS = 8


class Process:
    """A server in a process of its own. name: four bytes, its answer."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, str(self.port), self.name, stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await self._process.communicate()


async def load(site: Site, running: Running, answers: list[Answer], done: asyncio.Event) -> None:
    client = await site.client(running)
    while not done.is_set():
        answers.append(await client.ask(method="PUT", body=b"x" * 100))


@pytest.mark.parametrize(
    "said",
    [
        {"retries": {"on": ["connect", "reset"], "budget": "100%"}},
        {
            "balance": "p2c",
            "retries": {"on": ["connect", "reset"], "budget": "100%", "attempts": 2},
            "outlier": {"errors": 5, "eject": "200ms"},
            "limits": {"connections": 64, "pending": 64},
            "slow_start": "200ms",
        },
    ],
    ids=["least", "p2c"],
)
async def test_no_idempotent_request_fails_while_a_server_is_killed_and_comes_back(
    site: Site, said: dict[str, object], tmp_path: Path
) -> None:
    """SIGKILL, with requests on it; then the same port again, until it answers as before."""
    servers = [Process(name) for name in ("srv1", "srv2", "srv3")]
    for server in servers:
        await server.start()
    running = await site.gateway(*(f"http://127.0.0.1:{server.port}" for server in servers), upstream=said)
    answers: list[Answer] = []
    done = asyncio.Event()
    clients = [asyncio.create_task(load(site, running, answers, done)) for _ in range(CLIENTS)]

    def answered(since: int) -> set[bytes]:
        return {answer.body for answer in answers[since:]}

    try:
        await until(lambda: len(answers) > 300 and len(answered(0)) == 3, 30)
        await servers[0].kill()
        killed = len(answers)
        await until(lambda: len(answers) > killed + 300, 30)
        assert answered(killed + CLIENTS) == {b"srv2", b"srv3"}
        await servers[0].start()
        back = len(answers)
        await until(lambda: b"srv1" in answered(back), 30)
        done.set()
        await asyncio.gather(*clients)
        assert {answer.status for answer in answers} == {200}
        ledger = running.gateway.core.upstreams["u"].ledger
        assert ledger.refused == 0
        assert not any(ledger.busy.values())
    finally:
        done.set()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for server in servers:
            await server.kill()

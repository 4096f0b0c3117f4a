"""What a reload does with the sender of spans: it stays where nothing changed, and fails without a trace."""

import asyncio
import ssl
import sys
import threading
from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.site import Site, until
from harness.upstream import Line

from .collector import collecting


def senders() -> int:
    return sum(thread.name == "spans" for thread in threading.enumerate())


async def test_a_reload_that_does_not_change_the_collector_keeps_its_sender(site: Site) -> None:
    """Neither another thread nor another connection; the other keys of `tracing` are not the sender's."""
    collector, upstream = await collecting(site), await site.upstream()
    running = await site.gateway(upstream, tracing={"otlp": collector.url})
    before, count = running.gateway.recording.current, senders()
    running.write(site.said(upstream, tracing={"otlp": collector.url, "sample": 0.5}))
    assert await running.gateway.reload() == []
    assert running.gateway.recording.current is before
    assert running.gateway.observer.spans is before
    assert senders() == count
    running.write(site.said(upstream, tracing={"otlp": collector.url, "timeout": "5s"}))
    assert await running.gateway.reload() == []
    assert running.gateway.recording.current is not before


async def test_a_secret_that_changed_is_sent_from_then_on(site: Site) -> None:
    """The configuration is the same text; the file that it names is not."""
    collector, upstream = await collecting(site), await site.upstream()
    (site._people.folder / "otlp.token").write_text("Bearer first")
    tracing = {"otlp": collector.url, "headers": {"authorization": {"file": "otlp.token"}}}
    running = await site.gateway(upstream, tracing=tracing)
    (running.people.folder / "otlp.token").write_text("Bearer second")
    assert await running.gateway.reload() == []
    await (await site.client(running)).ask()
    await collector.got(2)
    assert collector.upstream.requests[0].one(b"authorization") == b"Bearer second"


async def test_a_sender_that_is_replaced_still_tells_why_it_failed(site: Site) -> None:
    """The library says it only to a log that both share."""
    release = asyncio.Event()

    async def late(line: Line) -> None:
        await line.request()
        await release.wait()
        line.send(b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n")

    first, second, upstream = await collecting(site, late), await collecting(site), await site.upstream()
    running = await site.gateway(upstream, tracing={"otlp": first.url})
    await (await site.client(running)).ask()
    await first.upstream.got()
    running.write(site.said(upstream, tracing={"otlp": second.url}))
    assert await running.gateway.reload() == []
    release.set()
    await until(lambda: running.gateway.recording.counts()["dropped"] == 1)
    ((_, _, fields),) = [line for line in running.log.lines if line[1] == "spans cannot be exported"]
    assert "403" in str(fields["reason"])


async def test_an_extra_that_cannot_be_loaded_refuses_the_reload_and_changes_no_certificate(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, and something that it needs is not: what can fail comes before what cannot be taken back."""
    site.expected_errors = True
    authority, upstream = Authority(tmp_path), await site.upstream()
    cert, key = authority.issue("gateway.test")
    listen = {"tls": {"cert": str(cert), "key": str(key)}}
    running = await site.gateway(upstream, listen=listen)

    async def served() -> str:
        return await asyncio.to_thread(ssl.get_server_certificate, running.gateway.address)

    before = await served()
    authority.issue("gateway.test")  # into the same files
    monkeypatch.setitem(sys.modules, "gateway.ops.tracing", None)  # as Python notes what is not to be found
    running.write(site.said(upstream, listen=listen, tracing={"otlp": "http://127.0.0.1:9"}))
    assert [fault["code"] for fault in await running.gateway.reload()] == ["reload_failed"]
    assert await served() == before
    running.write(site.said(upstream, listen=listen))
    assert await running.gateway.reload() == []
    assert await served() != before

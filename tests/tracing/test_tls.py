"""A collector with TLS: believed by the certificates that are named, and sent nothing secret otherwise."""

from pathlib import Path

import pytest
from harness.certificates import Authority
from harness.site import Site, until
from harness.upstream import answering

from .collector import TAKEN, Collector


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.mark.parametrize("believed", [True, False])
async def test_a_collector_is_verified(site: Site, authority: Authority, believed: bool) -> None:
    """Without its authority it gets nothing, and the log has the reason."""
    tls = authority.server("127.0.0.1")
    collector = Collector(await site.upstream(answering(TAKEN), tls=tls))
    tracing = {"otlp": collector.url, "timeout": "2s", **({"ca": str(authority.ca)} if believed else {})}
    running = await site.gateway(await site.upstream(), tracing=tracing)
    await (await site.client(running)).ask()
    outcome = "exported" if believed else "dropped"
    await until(lambda: running.gateway.recording.counts().get(outcome) == 1)
    assert len(collector.spans) == (2 if believed else 0)
    told = [event for level, event, _ in running.log.lines if level == "warning"]
    assert told == ([] if believed else ["spans cannot be exported"])

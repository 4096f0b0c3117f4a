"""Reloads and the access log: what was lost stays counted, and a sink that cannot be opened stops nothing."""

import os

from harness.site import Running, Site, until


def dropped(running: Running) -> float:
    lines = running.gateway.metrics().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("gateway_access_log_dropped_total "))


async def test_a_reload_does_not_take_back_what_was_lost(site: Site) -> None:
    """The log is opened anew with each; the counter goes on."""
    site.expected_errors = True
    running = await site.gateway(await site.upstream(), log={"access": "/dev/full"})
    client = await site.client(running)
    for _ in range(2):
        await client.ask("/public/x")
    await until(lambda: dropped(running) == 2)
    assert await running.gateway.reload() == []
    assert dropped(running) == 2
    await client.ask("/public/x")
    await until(lambda: dropped(running) == 3)


async def test_a_pipe_that_nobody_reads_is_a_fault_of_the_reload(site: Site) -> None:
    """To wait for its reader would stop everybody."""
    site.expected_errors = True
    upstream = await site.upstream()
    running = await site.gateway(upstream)
    os.mkfifo(running.people.folder / "pipe")
    running.write(site.said(upstream, log={"access": "./pipe"}))
    (fault,) = await running.gateway.reload()
    client = await site.client(running)
    assert (fault["code"], (await client.ask("/public/x")).status) == ("reload_failed", 200)
    assert "nobody reads this pipe; start its reader first" in str(fault["message"])

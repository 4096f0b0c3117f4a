"""What keeps a gateway from starting: said in one line, found by `check` where it can be, and nothing is left open."""

import json
import shutil
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from harness.kept import Kept
from harness.people import MASTER_KEY, People
from harness.site import Site

from gateway.app.checks import read
from gateway.app.gateway import Gateway
from gateway.app.opening import StartFailed
from gateway.clock import Clock
from gateway.settings.faults import SettingsInvalid
from gateway.settings.load import load


@pytest.fixture
def folder(tmp_path: Path, people: People) -> Path:
    return Path(shutil.copytree(people.folder, tmp_path / "home"))


def written(folder: Path, said: Mapping[str, Any]) -> Path:
    config = folder / "config.yaml"
    config.write_text(json.dumps(said, indent=1))
    return config


async def test_a_start_that_fails_leaves_no_thread(site: Site, folder: Path) -> None:
    """That of the access log was begun before the admin listener found its address taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = site.said("http://127.0.0.1:1", admin={"address": f"127.0.0.1:{taken.getsockname()[1]}"})
        gateway = Gateway(read(written(folder, said), {}), Clock(), Kept())
        before = set(threading.enumerate())  # another test's gateway may be running
        with pytest.raises(StartFailed, match="cannot listen"):
            await gateway.start()
    assert "access-log" not in [thread.name for thread in set(threading.enumerate()) - before]


@pytest.mark.parametrize(("key", "codes"), [("short", ["wrong_value"]), (MASTER_KEY, []), ("a" * 62, ["wrong_value"])])
def test_a_master_key_of_the_wrong_length_is_a_fault(site: Site, folder: Path, key: str, codes: list[str]) -> None:
    """At the place that names it, with the rule and without the key."""
    (folder / "master.key").write_text(key)
    config = written(folder, site.said("http://127.0.0.1:1"))
    try:
        read(config, {})
        found = []
    except SettingsInvalid as invalid:
        found = invalid.faults
    assert [fault.code for fault in found] == codes
    assert all("32 bytes" in fault.message and key not in fault.message for fault in found)


async def test_a_start_with_such_a_key_says_so(site: Site, folder: Path) -> None:
    """Where nobody checked before."""
    (folder / "master.key").write_text("short")
    loaded = load(written(folder, site.said("http://127.0.0.1:1")), {})
    with pytest.raises(StartFailed, match="master_key: the master key must be 32 bytes"):
        await Gateway(loaded, Clock(), Kept()).start()


def test_the_files_of_the_store_are_looked_for(site: Site, folder: Path) -> None:
    """Each that is not there is named; without a connection."""
    (folder / "cert.pem").touch()
    url = "postgresql+asyncpg://a@127.0.0.1:1/b?sslrootcert=ca.pem&sslcert=cert.pem&sslkey=key.pem"
    with pytest.raises(SettingsInvalid) as caught:
        read(written(folder, site.said("http://127.0.0.1:1", store={"url": url})), {})
    assert [fault.message.rpartition(" for ")[2] for fault in caught.value.faults] == ["sslrootcert", "sslkey"]


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_the_certificates_of_the_state_are_read_before_they_are_needed(
    site: Site, folder: Path, content: str | None
) -> None:
    """A fault of the check, at its place, and no outage that lasts for ever at the start."""
    if content is not None:
        (folder / "redis.pem").write_text(content)
    said = site.said("http://127.0.0.1:1", state={"url": "rediss://127.0.0.1:1", "ca": "redis.pem"})
    config = written(folder, said)
    with pytest.raises(SettingsInvalid) as caught:
        read(config, {})
    (fault,) = caught.value.faults
    assert (fault.code, fault.message.startswith("state.ca: ")) == ("bad_certificate", True)
    with pytest.raises(StartFailed, match=r"state\.ca: "):
        await Gateway(load(config, {}), Clock(), Kept()).start()


@pytest.mark.parametrize(("where", "codes"), [("./logs/access.log", ["file_missing"]), ("./access.log", [])])
def test_a_folder_that_the_access_log_needs_must_be_there(
    site: Site, folder: Path, where: str, codes: list[str]
) -> None:
    """The gateway makes none."""
    config = written(folder, site.said("http://127.0.0.1:1", log={"access": where}))
    try:
        read(config, {})
        found = []
    except SettingsInvalid as invalid:
        found = [fault.code for fault in invalid.faults]
    assert found == codes


async def test_a_reload_keeps_the_writer_of_standard_output(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers of one stream would cut each other's lines."""
    with (tmp_path / "stdout").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        running = await site.gateway(await site.upstream(), log={"access": "stdout"})
        before = running.gateway.observer.access_log
        await running.gateway.reload()
        assert running.gateway.observer.access_log is before
        await running.stop()


async def test_a_reload_opens_a_file_anew(site: Site) -> None:
    """That is how it is rotated."""
    running = await site.gateway(await site.upstream())
    log = running.people.folder / "access.log"
    log.rename(log.with_suffix(".1"))
    await running.gateway.reload()
    assert log.exists()

"""A configuration is taken when its files change: by one worker and by several, with certificates and secrets."""

import os
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.certificates import Authority

from . import several, world
from .parts import LOOPBACK, until
from .world import Gateway, Home

WATCHED = {"watch": True}


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def gateway(request: pytest.FixtureRequest, home: Home, service: int) -> Iterator[Gateway]:
    said = world.configuration({"app": service}) if request.param == 1 else several.said(service)
    with world.running(home, {**said, "reload": WATCHED}) as running:
        yield running


def more(said: dict[str, Any], service: int) -> dict[str, Any]:
    added = world.configuration({"more": service})
    return {
        **said,
        "upstreams": {**said["upstreams"], **added["upstreams"]},
        "routes": said["routes"] + added["routes"],
    }


def test_a_file_that_is_replaced_is_taken(gateway: Gateway, service: int) -> None:
    """As an editor does it: a new file is renamed into the place of the old one."""
    path = gateway.home.folder / "config.yaml"
    kept = path.with_name("kept.yaml")
    shutil.copy(path, kept)
    gateway.configure(more(gateway.said, service))
    os.replace(path, path.with_name("new.yaml"))
    shutil.copy(kept, path)
    os.replace(path.with_name("new.yaml"), path)
    until(lambda: gateway.ask("/public/more/echo").status == 200, "the new route", 10)


def test_a_wrong_file_is_told_once_and_the_old_one_stays(gateway: Gateway, service: int) -> None:
    """With its line; what puts it right is taken."""
    gateway.configure({**more(gateway.said, service), "cache": {"sise": 1}})
    told = until(lambda: gateway.events(event="reload refused"), "the refusal", 10)
    assert "config.yaml:" in told[0]["place"]
    assert gateway.ask("/public/more/echo").status == 404
    gateway.configure(more(gateway.said, service))
    until(lambda: gateway.ask("/public/more/echo").status == 200, "the new route", 10)
    assert len(gateway.events(event="reload refused")) == 1


def test_a_new_admin_token_is_taken(gateway: Gateway) -> None:
    """A file that the configuration does not even name: its place is the default."""
    token = gateway.home.folder / "var/admin.token"
    token.write_text("another-token-of-this-test\n")

    def taken() -> bool:
        answer = world.ask(f"{gateway.admin}/purge", "POST", world.bearer("another-token-of-this-test"))
        return answer.status == 200

    until(taken, "the new token", 10)


def test_a_renewed_certificate_is_served(home: Home, service: int, tmp_path: Path) -> None:
    """First the chain, then the key, as renewals write them: a pair that does not fit is not taken."""
    authority, folder = Authority(tmp_path), home.folder

    def renew(*names: str) -> None:
        for source, name in zip(authority.issue(LOOPBACK), names, strict=False):
            shutil.copy(source, folder / name)

    renew("cert.pem", "key.pem")
    said = world.configuration({"app": service}, reload=WATCHED)
    said["listen"]["tls"] = {"cert": "cert.pem", "key": "key.pem"}
    with world.running(home, said) as gateway:
        before = served(gateway)
        renew("cert.pem")
        until(lambda: gateway.events(event="reload refused"), "the refusal of a chain without its key", 10)
        assert served(gateway) == before
        renew("cert.pem", "key.pem")
        until(lambda: served(gateway) != before, "the new certificate", 10)


def served(gateway: Gateway) -> str:
    port = int(gateway.said["listen"]["address"].rpartition(":")[2])
    return ssl.get_server_certificate((LOOPBACK, port))


def test_it_can_be_turned_off(home: Home, service: int) -> None:
    """By a reload, too."""
    with world.running(home, world.configuration({"app": service}, reload=WATCHED)) as gateway:
        off = {**gateway.said, "reload": {"watch": False}}
        gateway.configure(off)
        until(lambda: gateway.events(event="reloaded"), "the reload", 10)
        gateway.configure(more(off, service))
        assert gateway.home.told("reload") == {"reloaded": True, "faults": []}
        assert len(gateway.events(event="reloaded")) == 2

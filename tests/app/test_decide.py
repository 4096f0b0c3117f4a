"""What a configuration must not say beside the decision endpoint, and what `explain` says of a question to it."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.app.checks import compile_faults
from gateway.settings.faults import SettingsInvalid
from gateway.settings.load import load

DECIDE = {"mount": "/_gateway/decide", "peers": ["127.0.0.1/32"]}


def written(folder: Path, decide: object, paths: Sequence[str], proxies: Sequence[str] = ()) -> Path:
    said = {
        "public_url": "http://gateway.test", "upstreams": {"u": {"endpoints": ["http://127.0.0.1:1"]}},
        "log": {"access": "./access.log"}, **({} if decide is None else {"decide": decide}),
        "listen": {"trusted_proxies": proxies},
        "routes": [{"path": path, "upstream": "u", "access": "public"} for path in paths],
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(json.dumps(said, indent=1))
    return path


@pytest.mark.parametrize(
    "path", ["/_gateway/decide", "/_gateway/decide/**", "/_gateway/decide/nginx", "/_gateway/decide/{any}/x"]
)
def test_a_route_below_the_mount_is_refused(tmp_path: Path, path: str) -> None:
    """It would never be reached. Both lines are named."""
    config = written(tmp_path, DECIDE, ["/fine", path])
    lines = config.read_text().splitlines()
    (fault,) = compile_faults(load(config, {}))
    mount = next(number for number, line in enumerate(lines, 1) if '"mount"' in line)
    assert (fault.code, lines[fault.line - 1].strip()) == ("route_reserved", f'"path": "{path}",')
    assert f"config.yaml:{mount}:" in fault.message


@pytest.mark.parametrize("path", ["/**", "/_gateway/**", "/_gateway/decided", "/_gateway/{name}/nginx"])
def test_a_route_that_is_reached_by_other_paths_is_let_be(tmp_path: Path, path: str) -> None:
    """What lies below the mount does not come to it, as with the gateway's other endpoints."""
    assert compile_faults(load(written(tmp_path, DECIDE, [path]), {})) == []


def test_without_it_its_paths_are_free(tmp_path: Path) -> None:
    """It is off unless it is given."""
    assert compile_faults(load(written(tmp_path, None, ["/_gateway/decide/nginx"]), {})) == []


def test_the_mount_is_not_where_logins_are(tmp_path: Path) -> None:
    """They would never be reached either."""
    config = written(tmp_path, {**DECIDE, "mount": "/_adm"}, [])
    (fault,) = compile_faults(load(config, {}))
    assert fault.code == "endpoint_overlap"
    assert '"mount"' in config.read_text().splitlines()[fault.line - 1]


@pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0"])
def test_everybody_is_nobody_that_may_ask(tmp_path: Path, network: str) -> None:
    """Whoever may ask can try credentials, and say where a caller is."""
    with pytest.raises(SettingsInvalid) as caught:
        load(written(tmp_path, {"peers": ["10.0.0.0/8", network]}, []), {})
    (fault,) = caught.value.faults
    assert "lets everybody ask" in fault.message


@pytest.mark.parametrize("decide", [{}, {"peers": []}, {"peers": ["everybody"]}, {"peers": ["::1"], "mount": "/"}])
def test_who_may_ask_is_said(tmp_path: Path, decide: object) -> None:
    """There is no default: the answers tell who a credential's holder is."""
    with pytest.raises(SettingsInvalid):
        load(written(tmp_path, decide, []), {})


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8", "0.0.0.0/0"])
def test_who_asks_passes_no_clients_on(tmp_path: Path, proxy: str) -> None:
    """Whoever it passes on could ask as well, and read the assertion. Both lines are named."""
    config = written(tmp_path, DECIDE, [], ["10.0.0.1", proxy])
    lines = config.read_text().splitlines()
    (fault,) = compile_faults(load(config, {}))
    theirs = next(number for number, line in enumerate(lines, 1) if f'"{proxy}"' in line)
    assert (fault.code, lines[fault.line - 1].strip()) == ("peer_overlap", '"127.0.0.1/32"')
    assert f"config.yaml:{theirs}:" in fault.message


@pytest.mark.parametrize("proxy", ["127.0.0.2", "::1", "::/0", "10.0.0.0/8"])
def test_a_proxy_elsewhere_passes_clients_on(tmp_path: Path, proxy: str) -> None:
    """Its clients find nothing at the mount."""
    assert compile_faults(load(written(tmp_path, DECIDE, [], [proxy]), {})) == []

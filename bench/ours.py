"""Our gateway as the bench runs it: the program itself, its configuration generated, its database seeded once."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from bench.issuer import AUDIENCE, Issuer
from bench.load import Client, LoadFailedError, Target
from bench.peers import System
from bench.processes import LOOPBACK, PATIENCE, NotStartedError, Stable, free_port
from bench.seed import Seeded
from bench.tls import Certificate

CONNECTION_STRING = "x-mycelium-connection-string"
PROGRAM = Path(sys.executable).parent / "gateway"
ASIDE: Final = "/aside"
NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
LEAST_PROFILE = 500  # bytes; ten licences take about twice that


def path_of(routes: int) -> str:
    """A request path of the middle one of so many routes; of the same length whatever their number."""
    return _prefix(routes // 2) + "/orders/42"


def _prefix(number: int) -> str:
    """A hundred services in an area, as a large installation has them."""
    return f"/area{number // 100:03}/service{number:05}"


@dataclass(frozen=True, slots=True)
class Ours:
    """A running gateway. seconds: from its start to its first answer. caller: a token that its cache may know.

    admin: the port of its operators' listener.
    """

    system: System
    seconds: float
    path: str
    caller: str
    admin: int

    def bearer(self, token: str = "") -> Target:
        return Target(self.system.port, self.path, ("Authorization", f"Bearer {token or self.caller}"))

    def profile_bytes(self) -> int:
        """Length of the profile header that the upstream gets: what a request costs is nothing without it."""
        client = Client(Target(self.system.port, f"{self.path}/profile", self.bearer().header))
        client.ask()
        client.close()
        if len(client.body) < LEAST_PROFILE:
            raise LoadFailedError(f"the upstream got a profile of {len(client.body)} bytes")
        return len(client.body)

    def connection_string(self, value: str) -> Target:
        return Target(self.system.port, self.path, (CONNECTION_STRING, value))


def how_it_runs() -> str:
    """Whether the gateway that is measured has its data plane compiled, asked of the one that is installed."""
    ask = "import gateway.pipeline; print(gateway.pipeline.__file__)"
    python = PROGRAM.with_name("python")
    done = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True)
    return "interpreted" if done.stdout.strip().endswith(".py") else "compiled"


def start_gateway(
    stable: Stable,
    seeded: Seeded,
    issuer: Issuer,
    upstream: int,
    *,
    routes: int = 10,
    certificate: Certificate | None = None,
    sections: Mapping[str, Mapping[str, object]] = NOTHING,
    route: Mapping[str, object] = NOTHING,
    core: str | None = None,
    under: Sequence[str] = (),
    patience: float = PATIENCE,
    aside: int | None = None,
) -> Ours:
    """Start it and wait until it has answered an authenticated request. NotStartedError if it does not.

    sections: keys of sections of the configuration, beside or in the place of ours. route: the same of every route.
    core: where it runs, the system's unless given. under: the program that runs it. patience: seconds that each of both
    may take. aside: port of a second upstream, for what is below ASIDE.
    """
    port, admin = free_port(), free_port()
    settings = _settings(seeded, issuer, upstream, port, admin)
    settings["routes"] = [
        {"path": f"{_prefix(number)}/**", "upstream": "orders", "access": "protected", **route}
        for number in range(routes)
    ]
    if aside is not None:
        settings["upstreams"]["aside"] = {"endpoints": [f"http://{LOOPBACK}:{aside}"]}
        settings["routes"].append({"path": f"{ASIDE}/**", "upstream": "aside", "access": "protected", **route})
    if certificate:
        tls = {"cert": str(certificate.cert), "key": str(certificate.key)}
        sections = {**sections, "listen": {**sections.get("listen", {}), "tls": tls}}
    for name, keys in sections.items():
        settings[name] = {**settings.get(name, {}), **keys}
    config = seeded.folder / f"gateway-{port}.yaml"
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    if not PROGRAM.exists():
        raise NotStartedError("gateway: the package is not installed beside this interpreter")
    caller = issuer.mint()
    name = f"gateway-{port}"
    began = time.perf_counter()
    command = [*under, str(PROGRAM), "serve", "-c", str(config)]
    process = stable.start(name, command, core=core or stable.cores.system)
    process.wait_until_open(port, patience)
    ours = Ours(System("ours", process, port), 0.0, path_of(routes), caller, admin)
    _first_answer(ours, certificate, patience)
    return Ours(ours.system, time.perf_counter() - began, ours.path, caller, admin)


def _first_answer(ours: Ours, certificate: Certificate | None, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            client = Client(ours.bearer(), certificate.client() if certificate else None)
            client.ask()
            client.close()
        except (LoadFailedError, OSError) as error:
            if time.monotonic() > deadline:
                raise NotStartedError(f"gateway: {error}: {ours.system.process.last_words()}") from error
            time.sleep(0.01)
        else:
            return


def _settings(seeded: Seeded, issuer: Issuer, upstream: int, port: int, admin: int) -> dict[str, Any]:
    external = {"name": "bench", "issuer": issuer.url, "jwks_url": f"{issuer.url}/jwks", "audiences": [AUDIENCE]}
    return {
        "public_url": f"http://{LOOPBACK}:{port}",
        "listen": {"address": f"{LOOPBACK}:{port}"},
        "admin": {"address": f"{LOOPBACK}:{admin}", "token": {"file": str(seeded.admin_token)}},
        "store": {"url": seeded.store_url},
        "secrets": {"master_key": {"file": str(seeded.master_key)}},
        "log": {"access": "off"},  # none of the peers writes one here
        "issuers": [external | {"algorithms": ["RS256", "EdDSA"]}],
        "upstreams": {"orders": {"endpoints": [f"http://{LOOPBACK}:{upstream}"]}},
    }

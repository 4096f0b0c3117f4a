"""The gateways of a fleet: the program itself, each with its own configuration file over the same stores."""

import base64
import json
import secrets
import signal
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from bench.ours import PROGRAM
from bench.processes import LOOPBACK, NotStartedError, Process, Stable, free_port

PUBLIC_URL = "http://fleet.example"
READY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Home:
    """What all gateways of a fleet share. store, state: urls."""

    folder: Path
    store: str
    state: str
    upstreams: Mapping[str, int]
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def write_secrets(self) -> None:
        (self.folder / "master.key").write_bytes(base64.b64encode(self.key))
        (self.folder / "admin.token").write_text(secrets.token_urlsafe(32))

    def settings(self, port: int, admin: int, workers: int) -> dict[str, Any]:
        """Of the gateway that listens there. A route for each upstream, below its name."""
        return {
            "public_url": PUBLIC_URL,
            "listen": {"address": f"{LOOPBACK}:{port}", "workers": workers},
            "admin": {"address": f"{LOOPBACK}:{admin}", "token": {"file": str(self.folder / "admin.token")}},
            "store": {"url": self.store},
            "state": {"url": self.state},
            "secrets": {"master_key": {"file": str(self.folder / "master.key")}},
            "login": {"mployr": {}},
            "mail": {"url": f"file:{self.folder}/outbox"},
            "log": {"access": "off"},
            "upstreams": {name: {"endpoints": [f"http://{LOOPBACK}:{at}"]} for name, at in self.upstreams.items()},
            "routes": [
                {
                    "path": f"/{name}/**",
                    "upstream": name,
                    "access": "protected",
                    "timeouts": {"connect": "1s", "first_byte": "2s"},
                }
                for name in self.upstreams
            ],
        }


@dataclass
class Gateway:
    """port, admin: of clients and of operators. environ: beside the fleet's own."""

    stable: Stable
    home: Home
    workers: int
    environ: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)
    process: Process = field(init=False)

    @property
    def config(self) -> Path:
        return self.home.folder / f"gateway-{self.port}.yaml"

    def write(self, **more: object) -> None:
        """The configuration, with other sections where they are given."""
        said = self.home.settings(self.port, self.admin, self.workers) | more
        self.config.write_text(yaml.safe_dump(said, sort_keys=False))

    def start(self) -> None:
        """Returns once every worker is ready. NotStartedError if that takes too long."""
        self.write()
        command = [str(PROGRAM), "serve", "-c", str(self.config)]
        self.process = self.stable.start(f"gateway-{self.port}", command, core=None, environ=self.environ)
        self.process.wait_until_open(self.port)
        self.wait_until_ready()

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> float:
        """Seconds it took until `/readyz` had neither a reason nor a warning."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if self.complaints() == []:
                return time.monotonic() - began
            time.sleep(0.02)
        raise NotStartedError(f"gateway-{self.port}: {self.complaints()}: {self.process.last_words()}")

    def complaints(self) -> list[str]:
        """What `/readyz` says against it."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.admin}/readyz", timeout=5) as answer:
                found = json.load(answer)
        except OSError as error:
            return [str(error)]
        return [*found["reasons"], *found["warnings"]]

    def worker_pids(self) -> list[int]:
        """Of those that live now; the process itself where it has none."""
        family = self.process.family()
        return family[1:] or family

    def reload(self) -> None:
        self.process.send(signal.SIGHUP)

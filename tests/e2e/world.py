"""A gateway as people run it: a folder made by `gateway init`, people made by the command line, the program itself."""

import http.client
import json
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from harness.ports import free_port

from .parts import LOOPBACK, Process, until

PROGRAM = Path(sys.executable).parent / "gateway"
PUBLIC_URL = "http://gateway.example"  # the same for every gateway, so that each takes the tokens of the others
CONNECTION_STRING = "x-mycelium-connection-string"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem document; "" of anything else."""
        if self.headers.get_content_type() != "application/problem+json":
            return ""
        return str(self.json()["code"])


def ask(
    url: str,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    seconds: float = 20.0,
) -> Answer:
    """One request on a connection of its own. Raises what http.client raises for a cut connection."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=seconds)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Person:
    """An account. token: a bearer token of it. grant: the id of the token's grant."""

    account: str
    token: str
    grant: str

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.token)


@dataclass(frozen=True)
class Home:
    """A folder that a gateway can run from. ada manages Acme, bob reads there; string: ada's, for the role manager."""

    folder: Path
    ada: Person
    bob: Person
    tenant: str
    string: str

    def copy(self, folder: Path) -> "Home":
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Home(folder, self.ada, self.bob, self.tenant, self.string)

    @property
    def database(self) -> Path:
        return self.folder / "var/gateway.db"

    def configure(self, said: Mapping[str, Any]) -> None:
        """Writes config.yaml."""
        (self.folder / "config.yaml").write_text(yaml.safe_dump(dict(said), sort_keys=False))

    def run(self, *arguments: str, config: str = "config.yaml") -> "subprocess.CompletedProcess[str]":
        """The command line, in this folder."""
        command = [str(PROGRAM), *arguments, "-c", config]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=30, check=False)

    def told(self, *arguments: str) -> Any:
        """What the command says in JSON; it must succeed."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def configuration(upstreams: Mapping[str, int], **more: object) -> dict[str, Any]:
    """Per upstream: /NAME protected, /public/NAME, /known/NAME authenticated, /manager/NAME for that role.

    upstreams: name and loopback port. more: sections to merge in, one level deep; lists are added.
    """
    kinds = {"": "protected", "/public": "public", "/known": "authenticated"}
    kinds["/manager"] = {"roles": [{"role": "manager", "permission": "write"}]}  # type: ignore[assignment]
    found: dict[str, Any] = {
        "public_url": PUBLIC_URL,
        "listen": {"address": f"{LOOPBACK}:{free_port()}"},
        "admin": {"address": f"{LOOPBACK}:{free_port()}"},
        "log": {"access": "./access.log"},
        "reload": {"watch": False},  # most tests say when
        "upstreams": {name: {"endpoints": [f"http://{LOOPBACK}:{port}"]} for name, port in upstreams.items()},
        "routes": [
            {"path": f"{kind}/{name}/**", "upstream": name, "access": access, "strip_prefix": f"{kind}/{name}"}
            for name in upstreams
            for kind, access in kinds.items()
        ],
    }
    for key, value in more.items():
        old = found.get(key)
        found[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        if isinstance(old, list) and isinstance(value, list):
            found[key] = [*old, *value]
    return found


class Gateway:
    """A running one. url, admin: of its listeners, without a slash at the end."""

    def __init__(
        self,
        home: Home,
        said: Mapping[str, Any],
        command: Sequence[str | Path] = (PROGRAM,),
        options: Sequence[str] = (),
    ) -> None:
        self.home = home
        self.said = dict(said)
        self.configure(said)
        self.url = f"http://{said['listen']['address']}"
        self.admin = f"http://{said['admin']['address']}"
        self.process = Process([*command, "serve", "-c", "config.yaml", *options], home.folder, "gateway")

    def configure(self, said: Mapping[str, Any]) -> None:
        """A running gateway goes on with what it has."""
        self.home.configure(said)

    def wait_until_ready(self) -> None:
        def answers() -> bool:
            assert not self.process.ended(), self.process.complained()
            try:
                return ask(f"{self.admin}/healthz").status == 200
            except OSError:
                return False

        until(answers, f"an answer of the gateway: {self.process.complained()}")

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        return ask(self.url + path, method, headers, body)

    def log_lines(self, **fields: object) -> list[dict[str, Any]]:
        """Lines of the access log that have these fields. They are written within half a second."""
        path = self.home.folder / "access.log"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if all(line[name] == value for name, value in fields.items())]

    def logged(self, **fields: object) -> dict[str, Any]:
        """The one line of the access log that has these fields, once it is there."""
        lines = until(lambda: self.log_lines(**fields), f"an access log line with {fields}", 5)
        assert len(lines) == 1, lines
        return lines[0]

    def events(self, **fields: object) -> list[dict[str, Any]]:
        """What the gateway has told of itself, on stderr."""
        told = [json.loads(line) for line in self.process.complained().splitlines()]
        return [line for line in told if all(line.get(name) == value for name, value in fields.items())]

    def metric(self, line: str) -> float:
        """A sample of /metrics: its name with its labels, as it is written there."""
        text = ask(f"{self.admin}/metrics").body.decode()
        return next(float(sample[len(line) + 1 :]) for sample in text.splitlines() if sample.startswith(f"{line} "))

    def hang_up(self) -> None:
        self.process.signal(signal.SIGHUP)


@contextmanager
def running(
    home: Home, said: Mapping[str, Any], command: Sequence[str | Path] = (PROGRAM,), options: Sequence[str] = ()
) -> Iterator[Gateway]:
    """A gateway, ready. If it is still there at the end, it must stop when asked to. It must never tell a traceback."""
    gateway = Gateway(home, said, command, options)
    with gateway.process:
        gateway.wait_until_ready()
        yield gateway
        if not gateway.process.ended():
            assert gateway.process.stop() == 0, gateway.process.complained()
        assert "Traceback" not in gateway.process.complained()


@contextmanager
def serving(folder: Path, name: str, *command: str | Path) -> Iterator[int]:
    """A server that prints its port once it listens: that port."""
    with Process(command, folder, name) as process:
        yield int(process.first_line())


@contextmanager
def held(gateway: Gateway) -> Iterator[tuple[http.client.HTTPResponse, str]]:
    """A request whose answer has begun, and stays at its first half until the service is asked at the path returned."""
    name = uuid.uuid4().hex
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=20)
    try:
        connection.request("GET", f"/app/held/{name}", headers=gateway.home.ada.headers)
        yield connection.getresponse(), f"/release/{name}"
    finally:
        connection.close()

"""No secret is written anywhere: each place that a client, a service or an operator can put one is given a text of its
own, by a real gateway that logs all it can, and everything that it wrote is searched for them.

Excepted are mails, which hold the link; and what is no secret by its place: the path of an ordinary route, a method, a
host name.
"""

import base64
import re
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import pytest
from harness.ports import free_port

from gateway.app.logins import paths
from gateway.control import application
from gateway.settings.load import load

from . import world
from .parts import LOOPBACK, until
from .world import Answer, Gateway, Home

EMAIL = "ada@example.org"
LOGINS = {"mployr": {}, "mikrocloud": {}, "pipelit": {}, "navak": {"registration": "open"}}
# Names that the five login APIs read something secret from.
FIELDS = (
    *("password", "token", "code", "totp", "totp_code", "otp", "secret", "key", "api_key", "recovery_code", "mfa_code"),
    *("mfa_token", "auth_token", "session_token", "refresh_token", "link", "current_password", "new_password"),
    *("newPassword", "oldPassword", "initData", "credential"),
)
LINK = re.compile(r"/magic-link/display/([\w-]{43})")


RUN = re.compile(r"[0-9a-f]{32,}")


@dataclass
class Secrets:
    """By the text, where it was put."""

    found: dict[str, str] = field(default_factory=dict)

    def new(self, place: str, before: str = "") -> str:
        text = f"{before}{uuid.uuid4().hex}"
        self.found[text] = place
        return text

    def known(self, place: str, text: str) -> str:
        self.found[text] = place
        return text

    def places(self, text: str) -> list[str]:
        """Of the secrets that are in it, spelt as they were or with `%`."""
        runs = {run[at : at + 32] for run in RUN.findall(text) for at in range(len(run) - 31)}
        made = [place for secret, place in self.found.items() if secret in runs]
        others = [secret for secret in self.found if not (len(secret) == 32 and RUN.fullmatch(secret))]
        return made + [self.found[other] for other in others if other in text or quote(other) in text]

    def basic(self, place: str) -> str:
        password = self.new(place)
        return self.known(place, base64.b64encode(f"ada:{password}".encode()).decode())


class Service(threading.Thread):
    """An upstream whose answers hold secrets, some of them in heads that are refused."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__()
        self.port = free_port()
        self._listener = socket.create_server((LOOPBACK, self.port))
        new = secrets.new
        self._answers = {
            b"/fine": f"HTTP/1.1 200 OK\r\nSet-Cookie: s={new('Set-Cookie')}\r\n"
            f"WWW-Authenticate: {new('challenge')}\r\nX-{new('name')}: {new('value')}\r\nContent-Length: 0\r\n\r\n",
            b"/bad": f"HTTP/1.1 200 OK\r\nX-A: {new('bad head')}\0\r\nContent-Length: 0\r\n\r\n",
            b"/cut": f"HTTP/1.1 200 OK\r\nX-A: {new('half a head')}",
            b"/none": f"{new('no HTTP')}\r\n\r\n",
            b"/late": f"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{new('half a body')}",
        }

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                asked = connection.recv(1 << 16)
                known = [answer for path, answer in self._answers.items() if path in asked.split(b"\r\n")[0]]
                connection.sendall((known or list(self._answers.values()))[0].encode())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join()


@dataclass
class Trial:
    """answers: those that refuse something."""

    gateway: Gateway
    secrets: Secrets
    answers: list[bytes] = field(default_factory=list)
    count: int = 0

    def ask(
        self, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Answer:
        answer = self.gateway.ask(path, method, headers, body.encode() if body is not None else None)
        self.count += 1
        if answer.status >= 400:
            self.answers.append(str(answer.headers).encode() + answer.body)
        return answer

    def raw(self, text: str) -> None:
        """Bytes as they are, and whatever comes back."""
        place = urlsplit(self.gateway.url)
        with socket.create_connection((place.hostname, place.port or 80), timeout=20) as sock:
            sock.sendall(text.encode())
            sock.shutdown(socket.SHUT_WR)
            got = b""
            while data := sock.recv(1 << 16):
                got += data
        self.count += 1
        assert got.startswith(b"HTTP/1.1 "), text
        if got[9:10] in b"45":
            self.answers.append(got)


def written(gateway: Gateway) -> dict[str, str]:
    """Everything that was, but for mails and the files that hold secrets by their purpose."""
    folder = gateway.home.folder
    found = {path.name: path.read_text(errors="replace") for path in (folder / "access.log", gateway.process.out)}
    return {**found, gateway.process.err.name: gateway.process.complained()}


pytestmark = pytest.mark.timeout(180)  # a thousand requests, a few of them with a password to check


@pytest.fixture(scope="module")
def trial(template: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Trial, dict[str, str]]]:
    """After all of it, and what was written meanwhile."""
    home = template.copy(tmp_path_factory.mktemp("redaction"))
    secrets = Secrets()
    service = Service(secrets)
    service.start()
    for name in ("state", "mail"):
        (home.folder / f"var/{name}.password").write_text(secrets.new(f"{name}.password"))
    said = world.configuration({"app": service.port, "gone": free_port()}, login=LOGINS)
    said["log"]["level"] = "debug"
    said["state"] = {"url": f"redis://user@{LOOPBACK}:1", "password": {"file": "var/state.password"}}
    said["mail"] = {"url": "file:./outbox"}
    try:
        gateway = Gateway(home, said)
        with gateway.process:  # at the level `debug` it may tell tracebacks
            gateway.wait_until_ready()
            made = Trial(gateway, secrets)
            use(made)
            until(lambda: len((home.folder / "access.log").read_text().splitlines()) >= made.count, "all lines")
            metrics = world.ask(f"{gateway.admin}/metrics").body.decode()
            gateway.process.stop()
            yield made, {**written(gateway), "metrics": metrics}
    finally:
        service.close()


def use(trial: Trial) -> None:
    own(trial)
    credentials(trial, "/app/fine")
    credentials(trial, "/public/gone/x")
    credentials(trial, "/nowhere")
    built_in(trial, {})
    built_in(trial, trial.gateway.home.ada.headers)
    unreadable(trial)
    for path in ("/fine", "/bad", "/cut", "/none", "/late"):
        try:
            trial.ask(f"/public/app{path}?{trial.secrets.new('query')}")
        except (OSError, ValueError, world.http.client.HTTPException):
            trial.count += 1  # an answer that is cut off
    operator(trial)
    outages(trial)


def own(trial: Trial) -> None:
    """Secrets that are good: of the folder, of the people in it, of a login by mail."""
    home, secrets = trial.gateway.home, trial.secrets
    for name in ("master.key", "admin.token"):
        secrets.known(name, (home.folder / "var" / name).read_text().strip())
    secrets.known("a session's token", home.ada.token)
    secrets.known("a connection string", home.string)
    assert trial.ask("/app/fine", headers=home.ada.headers).status == 200
    assert trial.ask("/manager/app/fine", headers={world.CONNECTION_STRING: home.string}).status == 200
    base = "/_adm/beginners/users/magic-link"
    assert (
        trial.ask(f"{base}/request", "POST", {"Content-Type": "application/json"}, f'{{"email":"{EMAIL}"}}').status
        == 200
    )
    outbox = home.folder / "outbox"
    link = LINK.search(
        until(lambda: "".join(path.read_text() for path in outbox.glob("*.eml")), "a mail").replace("=\n", "")
    )
    assert link is not None
    token = secrets.known("a mailed link", link[1])
    for method, tail in (("GET", ""), ("HEAD", ""), ("PUT", ""), ("GET", "/x"), ("GET", "%"), ("GET", "?a")):
        trial.ask(f"{base}/display/{token}{tail}", method)
    answer = trial.ask(f"{base}/verify", "POST", {"Content-Type": "application/json"}, f'{{"token":"{token}"}}')
    assert answer.status == 200
    secrets.known("a new session's token", str(answer.json()["token"]))


def credentials(trial: Trial, path: str) -> None:
    """In every header that may hold one, and in the query."""
    new, basic = trial.secrets.new, trial.secrets.basic
    for name, value in (
        ("Authorization", f"Bearer {new('Bearer')}"),
        ("Authorization", f"bEARER {new('bearer')}"),
        ("Authorization", f"Bearer {new('JWT', 'eyJhbGciOiJub25lIn0.eyJzdWIiOiIx')}.x"),
        ("Authorization", f"Basic {basic('Basic')}"),
        ("Authorization", f"Digest username=a, response={new('Digest')}"),
        ("Authorization", new("no scheme")),
        ("Authorization", f"{new('a scheme')} x"),
        ("Proxy-Authorization", f"Basic {basic('Proxy-Authorization')}"),
        ("Cookie", f"session={new('Cookie')}; token={new('a second cookie')}"),
        ("X-Api-Key", new("X-Api-Key")),
        (world.CONNECTION_STRING, new("no connection string")),
        (world.CONNECTION_STRING, f"acc=1;tid=2;rid=3;sig={new('sig')}"),
        (world.CONNECTION_STRING, base64.b64encode(new("base64").encode()).decode()),
        ("X-Mycelium-Tenant-Id", new("tenant")),
        ("X-Mycelium-Request-Id", new("request id")),
        ("X-Mycelium-Profile", new("a reserved header")),
        ("X-Forwarded-For", new("X-Forwarded-For")),
        ("Forwarded", f'for="{new("Forwarded")}"'),
        ("Referer", f"http://x/?token={new('Referer')}"),
        (f"X-{new('a header name')}", new("a header value")),
        ("Sec-WebSocket-Protocol", new("a WebSocket's protocol")),
    ):
        trial.ask(path, headers={name: value})
    trial.ask(f"{path}?token={new('query')}&{new('a name in a query')}=1")
    trial.ask(path, "POST", body=new("body"))
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    for key in (new("a WebSocket's key"), base64.b64encode(new("16 bytes")[:16].encode()).decode()):
        trial.ask(f"{path}?{new('query')}", headers={**upgrade, "Sec-WebSocket-Key": key, "Cookie": new("Cookie")})


def built_in(trial: Trial, headers: Mapping[str, str]) -> None:
    """Every endpoint of ours, with something secret in its path and in what it reads: of JSON and of forms, well-formed
    or not."""
    settings = load(trial.gateway.home.folder / "config.yaml", {}).settings
    new = trial.secrets.new
    for method, path in application.endpoints(settings.login.mycelium.mount, paths(settings)):
        if "/logout" in path or path.endswith("/"):  # each is there with a slash at its end as well
            continue
        filled = re.sub(r"\{\w+\}", new(f"the path of {path}"), path)
        told = {name: new(f"{name} in JSON for {path}") for name in FIELDS}
        said = ",".join(f'"{name}":"{value}"' for name, value in told.items())
        form = "&".join(f"{name}={new(f'{name} in a form for {path}')}" for name in FIELDS)
        query = f"?{form.partition('&')[0]}"
        json_ = {**headers, "Content-Type": "application/json"}
        trial.ask(filled, method, {**headers, "Content-Type": "application/x-www-form-urlencoded"}, form)
        for body in (f'{{"email":"{EMAIL}","username":"ada","user_id":1,{said}}}', f"{{{said}", f'["{new("a list")}"]'):
            trial.ask(filled + query, method, json_, body)
        trial.ask(filled, method, {**headers, "Content-Type": new("a type")}, new("a body of no type"))


def unreadable(trial: Trial) -> None:
    """Requests that are refused before they are one."""
    new = trial.secrets.new
    host = "Host: x\r\nConnection: close\r\n"
    for text in (
        f"{new('garbage')}\r\n\r\n",
        f"GET http://user:{new('userinfo')}@x/ HTTP/1.1\r\n{host}\r\n",
        f"GET / HTTP/1.1\r\nHost: user:{new('userinfo in Host')}@x\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: x\r\nHost: {new('a second Host')}\r\n\r\n",
        f"GET / HTTP/1.1\r\nHost: {new('a Host of no form')}/\r\n\r\n",
        f"GET /public/app/fine?{new('a version')} HTTP/7.7\r\n{host}\r\n",
        f"GET /{new('an ambiguous path')}/%2e%2e/x HTTP/1.1\r\n{host}\r\n",
        f"GET /?{new('a target')}{'x' * 20000} HTTP/1.1\r\n{host}\r\n",
        f"GET / HTTP/1.1\r\n{host}{new('no colon')}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{host}A {new('a space in a name')}: 1\r\n\r\n",
        f"GET / HTTP/1.1\r\n{host}A: {new('a long head')}{'x' * 200000}\r\n\r\n",
        f"GET / HTTP/1.1\r\n{host}A: 1\r\n {new('a folded line')}\r\n\r\n",
        f"POST / HTTP/1.1\r\n{host}Content-Length: {new('a length')}\r\n\r\n",
        f"POST /public/app/fine HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n{new('a chunk size')}\r\n",
        f"POST /public/app/fine HTTP/1.1\r\n{host}Transfer-Encoding: {new('a coding')}\r\n\r\n",
        f"POST /public/app/fine HTTP/1.1\r\n{host}Transfer-Encoding: chunked\r\n\r\n"
        f"1\r\nx\r\n0\r\nX-{new('a trailer name')}: {new('a trailer')}\r\n\r\n",
        f"POST /app/fine HTTP/1.1\r\n{host}Authorization: Bearer {new('one')}\r\n"
        f"Authorization: Bearer {new('two')}\r\n\r\n",
        f"GET /app/fine HTTP/1.1\r\n{host}Expect: {new('an expectation')}\r\n\r\n",
        f"GET /app/fine?{new('an upgrade')} HTTP/1.1\r\nHost: x\r\n"
        f"Connection: Upgrade\r\nUpgrade: {new('protocol')}\r\n\r\n",
    ):
        trial.raw(text)


def operator(trial: Trial) -> None:
    """The admin listener, asked with its token and others; configurations that are refused; mails that fail."""
    gateway, secrets = trial.gateway, trial.secrets
    token = (gateway.home.folder / "var/admin.token").read_text().strip()
    for given in (token, secrets.new("a wrong admin token")):
        for path in ("/reload", "/metrics", f"/purge?{secrets.new('a query')}", f"/{secrets.new('an admin path')}"):
            answer = world.ask(gateway.admin + path, "POST", world.bearer(given))
            trial.answers.append(answer.body)
    password = secrets.new("a url's password")
    for mail in (f"smtp://ada:{password}@{LOOPBACK}:1", f"smpt://ada:{password}@x", f"smtp://ada:{password}@[x"):
        gateway.configure({**gateway.said, "mail": {"url": mail}})
        done = gateway.home.run("reload")
        trial.answers.append((done.stdout + done.stderr).encode())
    mail_ = {"url": f"smtp://ada@{LOOPBACK}:1", "password": {"file": "var/mail.password"}}
    gateway.configure({**gateway.said, "mail": mail_})
    assert gateway.home.told("reload")["reloaded"]
    body = '{"email":"bob@example.org"}'
    trial.ask("/_adm/beginners/users/magic-link/request", "POST", {"Content-Type": "application/json"}, body)
    until(lambda: gateway.events(event="a mail was not sent"), "a mail that fails")


def outages(trial: Trial) -> None:
    """The store is away: credentials cannot be verified, and logins fail half way."""
    database = trial.gateway.home.database
    away = database.with_name("away.db")
    database.rename(away)
    credentials(trial, "/app/fine")
    built_in(trial, {})
    away.rename(database)


def test_what_is_written_has_no_secret(trial: tuple[Trial, dict[str, str]]) -> None:
    """Neither log, nor the metrics, nor what is printed."""
    made, texts = trial
    assert {name: made.secrets.places(text) for name, text in texts.items()} == {name: [] for name in texts}


def test_a_refusal_repeats_no_secret(trial: tuple[Trial, dict[str, str]]) -> None:
    """What a client sent wrong may be somebody else's, and its error page somebody else's to read."""
    made, _ = trial
    assert made.secrets.places(b"\n".join(made.answers).decode("latin-1")) == []


def test_every_place_was_tried_and_all_was_told(trial: tuple[Trial, dict[str, str]]) -> None:
    """Else the search would find nothing because nothing was written."""
    made, texts = trial
    assert len(made.secrets.found) > 1000
    lines = texts["access.log"].splitlines()
    assert len(lines) >= made.count
    events = {line.get("event") for line in made.gateway.events()}
    assert {"requests fail", "a mail was not sent", "endpoint dead"} <= events
    assert "Traceback" in texts["gateway.err"]  # as it is told at the level `debug`
    reasons = set(re.findall(r'"reason":"(\w+)"', texts["access.log"]))
    assert {
        "malformed_request", "bad_host", "ambiguous_path", "target_too_long", "head_too_large", "duplicate_credential",
        "invalid_credential", "no_credential", "no_route", "upstream_unreachable", "upstream_bad_answer",
        "upstream_closed", "store_unavailable",
    } <= reasons  # fmt: skip
    assert '"path":"/app/fine"' in texts["access.log"]

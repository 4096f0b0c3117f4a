"""Keys are written nowhere: neither those that a gateway makes, changes and opens, nor those that an issuer publishes
by mistake. A real gateway that logs all it can, and the commands, go through the life of each key; everything that they
wrote is searched for every spelling of it.

What callers and operators hand over is in `test_e2e_redaction.py`.
"""

import base64
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.cli.shared import Session

from . import world
from .parts import LOOPBACK, until
from .seeding import in_store, person
from .world import CONNECTION_STRING, Answer, Gateway, Home, Person, ask, bearer

PIECE = 20  # characters: what is shown of a key in one of its spellings is found, however it was cut
PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")  # RFC 7518, sections 6.2.2, 6.3.2 and 6.4
EXPLAIN = "/explain?method=GET&url=/app/echo"
KINDS = ("beside", "alone", "broken", "pem")
pytestmark = pytest.mark.timeout(300)  # some twenty commands, and three gateways


@dataclass
class Material:
    """Pieces of spellings of keys, each with the key's name."""

    pieces: dict[str, str] = field(default_factory=dict)

    def secret(self, name: str, raw: bytes) -> None:
        """As base64 of both alphabets, hexadecimal, a number, and as Python shows bytes."""
        standard = base64.b64encode(raw).decode().rstrip("=")
        number = str(int.from_bytes(raw, "big"))
        shown = repr(raw)[2:-1]
        for text in (standard, standard.replace("+", "-").replace("/", "_"), raw.hex(), number, shown):
            self.text(name, text)

    def text(self, name: str, text: str) -> None:
        for start in {0, max(0, len(text) // 2 - PIECE // 2), max(0, len(text) - PIECE)}:
            self.pieces[text[start : start + PIECE]] = name

    def seen_in(self, text: str) -> list[str]:
        return sorted({name for piece, name in self.pieces.items() if piece in text})


def jwk(key: Any, kid: str) -> dict[str, Any]:
    """With its private members."""
    kind = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    made = next((each for base, each in kind.items() if isinstance(key, base)), OKPAlgorithm)
    return {**made.to_jwk(key, as_dict=True), "kid": kid, "use": "sig"}  # type: ignore[attr-defined]


class Issuers(threading.Thread):
    """Four that publish private keys: beside a good one, alone, in a document that is cut off, and as PEM."""

    def __init__(self, material: Material) -> None:
        super().__init__()
        pair = rsa.generate_private_key(65537, 2048)
        private = [
            jwk(pair, "rsa"),
            jwk(ec.generate_private_key(ec.SECP256R1()), "ec"),
            jwk(ed25519.Ed25519PrivateKey.generate(), "okp"),
            {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(bytes(range(64))).decode().rstrip("=")},
        ]
        for key in private:
            for member in set(PRIVATE) & set(key):
                material.text(f"an issuer's {key['kid']}.{member}", key[member])
        good = {name: value for name, value in jwk(pair, "good").items() if name not in PRIVATE}
        pem = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        for line in pem.splitlines()[1:-1]:
            material.text("an issuer's PEM", line)
        self.documents = {
            "/beside": json.dumps({"keys": [good, *private]}),
            "/alone": json.dumps({"keys": private}),
            "/broken": json.dumps({"keys": private})[:-3],
            "/pem": pem,
        }
        self.asked: set[str] = set()
        issuers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuers.asked.add(self.path)
                body = issuers.documents[self.path].encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"

    def run(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.join()


@dataclass
class Life:
    """What was written where."""

    home: Home
    material: Material = field(default_factory=Material)
    texts: dict[str, str] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)

    def note(self, place: str, *texts: str | bytes) -> None:
        told = [text if isinstance(text, str) else text.decode("latin-1") for text in texts]
        self.texts[place] = self.texts.get(place, "") + "\n".join(told)

    def command(self, *words: str) -> None:
        done = self.home.run(*words)
        place = f"gateway {' '.join(words[:2])}"
        self.outcomes[place] = done.returncode
        self.note(place, done.stdout, done.stderr)

    def answer(self, place: str, answer: Answer) -> None:
        self.outcomes[place] = answer.status
        self.note(place, str(answer.headers), answer.body)

    def learn(self) -> None:
        """Every key that is in the database by now, opened."""

        async def work(session: Session) -> None:
            for key in await session.store.keys.signing_keys():
                self.material.secret(f"signing key {key.kid}", key.private)
                seed = load_der_private_key(key.private, None)
                assert isinstance(seed, ed25519.Ed25519PrivateKey)
                self.material.secret(f"signing key {key.kid}", seed.private_bytes_raw())
            for mac in await session.store.keys.mac_keys():
                self.material.secret(f"MAC key {mac.version}", mac.secret)
            for version, data in session.store.keys._sealer.keys.items():  # type: ignore[attr-defined]
                self.material.secret(f"data key {version}", data)

        in_store(self.home, work)


@pytest.fixture(scope="module")
def life(template: Home, service: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """All of it, once."""
    made = Life(template.copy(tmp_path_factory.mktemp("keys")))
    issuers = Issuers(made.material)
    issuers.start()
    try:
        said = world.configuration({"app": service}, issuers=[issuer(issuers.url, kind) for kind in KINDS])
        said["log"]["level"] = "debug"
        first = Gateway(made.home, said)
        with first.process:
            first.wait_until_ready()
            made.learn()
            requests(made, first)
            until(lambda: issuers.asked == set(issuers.documents), "every issuer is asked")
            rotations(made, first)
            end(made, first, "first")
        changed = master(made, said)
        damaged(made, changed)
        yield made
    finally:
        issuers.close()


def issuer(url: str, kind: str) -> dict[str, Any]:
    about = {"name": kind, "issuer": f"{url}/{kind}", "jwks_url": f"{url}/{kind}"}
    return {**about, "audiences": ["gateway"], "algorithms": ["RS256", "ES256", "EdDSA"]}


def unsigned(url: str, kind: str, kid: str) -> str:
    """A token in that issuer's name, for its key to be looked for."""
    head, claims = {"alg": "RS256", "kid": kid}, {"iss": f"{url}/{kind}", "aud": "gateway", "sub": "a", "exp": 1 << 33}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (head, claims)]
    return ".".join([*parts, "c2lnbmVk"])


def requests(made: Life, gateway: Gateway) -> None:
    """What verifies, signs and explains, and what is refused."""
    home, admin = made.home, bearer((made.home.folder / "var/admin.token").read_text().strip())
    assert gateway.ask("/app/echo", headers=home.ada.headers).status == 200
    assert gateway.ask("/manager/app/echo", headers={CONNECTION_STRING: home.string}).status == 200
    url = gateway.said["issuers"][0]["jwks_url"].rpartition("/")[0]
    for kind in KINDS:
        for kid in ("good", "rsa", "ec", "okp", "oct", "unknown"):
            answer = gateway.ask("/app/echo", headers=bearer(unsigned(url, kind, kid)))
            assert answer.status in {401, 503}
            made.answer(f"a refusal ({kind})", answer)
    explained = {"X-Explain-Authorization": home.ada.headers["Authorization"]}
    for path in ("/metrics", "/readyz", "/healthz", EXPLAIN, "/reload", "/purge"):
        method = "POST" if path in {"/reload", "/purge"} else "GET"
        made.answer(path, ask(gateway.admin + path, method, {**admin, **explained}))
    for path in ("/.well-known/jwks.json", "/_adm/beginners/profile", "/_adm/openapi.json"):
        made.answer(path, gateway.ask(path, headers=home.ada.headers))


def rotations(made: Life, gateway: Gateway) -> None:
    """New keys are made, used and shown; those that go are known to the search already."""
    for words, new in (
        (("keys", "rotate"), True),
        (("keys", "rotate", "--force"), True),
        (("keys", "rotate", "--kind", "mac"), False),
        (("keys", "rotate", "--kind", "mac"), True),
        (("keys", "rotate", "--kind", "mac"), False),  # refused: live connection strings hang on the first
        (("keys", "rotate", "--kind", "mac", "--force"), True),
        (("audit", "list"), False),
        (("explain", "GET", "/app/echo"), False),
    ):
        made.command(*words)
        if new:
            made.learn()
    staff(made, gateway)
    until(lambda: gateway.ask("/app/echo", headers=made.home.ada.headers).status == 401, "the dropped key")
    made.answer("/.well-known/jwks.json", gateway.ask("/.well-known/jwks.json"))
    made.answer("/metrics", ask(f"{gateway.admin}/metrics"))


def staff(made: Life, gateway: Gateway) -> None:
    """The same by the admin API."""
    account = made.home.told("account", "create", "--email", "root@example.org", "--staff")["id"]

    async def work(session: Session) -> Person:
        return await person(session, await session.accounts.account(account))

    headers = {**in_store(made.home, work).headers, "Content-Type": "application/json"}
    made.answer("rotated by the API", gateway.ask("/_adm/api/v1/keys/rotate", "POST", headers, b'{"kind":"signing"}'))
    made.learn()
    made.answer("keys by the API", gateway.ask("/_adm/api/v1/keys", headers=headers))


def master(made: Life, said: dict[str, Any]) -> dict[str, Any]:
    """A new master key, as docs/keys.md has it, and files that are no key."""
    var = made.home.folder / "var"
    for name, text in (
        ("new.key", base64.b64encode(bytes(range(100, 132))).decode()),
        ("short.key", base64.b64encode(bytes(range(60, 90))).decode()),
        ("odd.key", "no base64! " + bytes(range(40, 72)).hex()[:40] + " and more of it"),
        ("pem.key", "-----BEGIN PRIVATE KEY-----\n" + base64.b64encode(bytes(range(150, 198))).decode()),
    ):
        (var / name).write_text(text)
    for name in ("master.key", "new.key", "short.key", "odd.key", "pem.key", "admin.token"):
        made.material.text(
            name, (var / name).read_text().strip().partition("\n")[2] or (var / name).read_text().strip()
        )
    for name, words in (("short", ("serve",)), ("odd", ("keys", "list")), ("pem", ("migrate",))):
        made.home.configure({**said, "secrets": {"master_key": {"file": f"var/{name}.key"}}})
        made.command(*words)
        assert made.outcomes[f"gateway {' '.join(words)}"] in {1, 2, 3}
    both = {"master_key": {"file": "var/new.key"}, "previous_master_key": {"file": "var/master.key"}}
    columns = {**said["log"], "format": "console"}  # as a person at a terminal reads them
    changed = Gateway(made.home, {**said, "secrets": both, "log": columns})
    with changed.process:
        changed.wait_until_ready()
        made.command("keys", "rotate", "--kind", "master", "--settle", "1s")
        made.learn()
        assert changed.ask("/manager/app/echo", headers={CONNECTION_STRING: made.home.string}).status == 401
        end(made, changed, "changed")
    return {**said, "secrets": {"master_key": {"file": "var/new.key"}}}


def damaged(made: Life, said: dict[str, Any]) -> None:
    """Keys that no key opens, or that are none once they are opened: what complains of them does not show them."""
    made.home.configure({**said, "secrets": {"master_key": {"file": "var/master.key"}}})
    made.command("keys", "list")
    made.home.configure(said)
    with sqlite3.connect(made.home.database) as database:
        database.execute("UPDATE signing_key SET private_enc = substr(private_enc, 1, length(private_enc) - 1)")
    database.close()
    made.command("token", "issue", "--account", made.home.ada.account, "--lifetime", "1h")
    assert made.outcomes["gateway token issue"] == 3
    refused = Gateway(made.home, said)
    with refused.process:
        until(refused.process.ended, "the end of a gateway that cannot read its keys")
        made.note("damaged", refused.process.printed(), refused.process.complained())


def end(made: Life, gateway: Gateway, name: str) -> None:
    made.note(f"{name}: metrics", ask(f"{gateway.admin}/metrics").body)
    gateway.process.stop()
    made.note(f"{name}: access log", (made.home.folder / "access.log").read_text())
    made.note(f"{name}: log", gateway.process.printed(), gateway.process.complained())


def found(made: Life, places: Iterable[str]) -> dict[str, list[str]]:
    return {place: seen for place in places if (seen := made.material.seen_in(made.texts[place]))}


def test_no_key_is_written_anywhere(life: Life) -> None:
    """Neither in a log, nor in an answer, nor by a command, nor in what is said of a fault."""
    assert found(life, life.texts) == {}


def test_the_search_would_find_one(life: Life) -> None:
    """In whatever spelling: a key in a line, and one of an issuer."""
    made = Material()
    raw = bytes(range(7, 39))
    made.secret("a key", raw)
    for text in (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex(), str(raw)):
        assert made.seen_in(f"key={text[:30]}") == ["a key"]
    key = life.home.folder / "var/master.key"
    assert "master.key" in life.material.seen_in(f"x {key.read_text()} y")


def test_every_key_was_known_and_everything_was_told(life: Life) -> None:
    """Else nothing would be found as nothing was looked for, or nothing was written."""
    names = set(life.material.pieces.values())
    kinds = {kind: sum(name.startswith(kind) for name in names) for kind in ("signing", "MAC", "data", "an issuer's")}
    assert kinds["signing"] >= 6
    assert kinds["MAC"] >= 4
    assert kinds["data"] >= 2
    assert kinds["an issuer's"] >= 10
    assert {"master.key", "new.key", "short.key", "odd.key", "pem.key", "admin.token"} <= names
    log = [json.loads(line) for line in life.texts["first: log"].splitlines() if line]
    untold = [line.get("issuer") for line in log if line["event"] == "an issuer's keys cannot be fetched"]
    assert set(KINDS[1:]) <= set(untold)
    assert "key_rotated" in life.texts["gateway audit list"]
    assert '"keys"' in life.texts["/.well-known/jwks.json"]
    assert life.outcomes["rotated by the API"] == 201
    assert life.outcomes["keys by the API"] == 200
    assert [life.outcomes[path] for path in (EXPLAIN, "/reload", "/purge", "/metrics")] == [200] * 4
    assert {place: code for place, code in life.outcomes.items() if code == 500} == {}

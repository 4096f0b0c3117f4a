"""S-40: who steals the database, or reads the logs, cannot log in by it."""

import asyncio
import base64
import hashlib
import sqlite3
from collections.abc import Mapping
from contextlib import closing

import pytest
from harness.site import Site
from identity.core.desk import ADA, BOB, PASSWORD, Desk, seated
from tracing.collector import collecting


async def journey(desk: Desk) -> Mapping[str, str]:
    """Everything secret that two people get to see on their ways in."""
    await desk.give_password(ADA)
    await desk.reset(ADA)
    token = await desk.login(ADA)
    app, recovery = await desk.enrol(token)
    waiting, totp = await desk.login(ADA), app.code()
    lifted = (await desk.done("POST", "users/totp/check-token", {"token": totp}, waiting))["token"]
    await desk.call("POST", "users/totp/disable", {"token": "no-such-co"}, lifted)
    used = await desk.link(BOB)
    bob = (await desk.done("POST", "users/magic-link/verify", {"token": used}))["token"]
    pending = await desk.enable(bob)
    live = await desk.link(BOB)
    await desk.call("GET", f"users/magic-link/display?token={live}")
    return {
        "password": PASSWORD,
        "session": token,
        "restricted token": waiting,
        "lifted token": lifted,
        "session by link": bob,
        "used link": used,
        "live link": live,
        "totp secret": app.secret,
        "totp secret, raw": base64.b32decode(app.secret).hex(),
        "pending secret": pending.secret,
        "recovery code": recovery[0],
        "recovery code, bare": recovery[0].replace("-", ""),
        "connection string": await desk.connection_string(lifted),
    }


def readable(secrets: Mapping[str, str], stolen: bytes) -> list[str]:
    """The names of those that stand there: as they are, in part, in base64, or in hex."""
    found = []
    for name, secret in secrets.items():
        raw = bytes.fromhex(secret) if name.endswith("raw") else secret.encode()
        parts = [raw, raw.upper(), base64.b64encode(raw).rstrip(b"=")[:-1], raw.hex().encode()]
        parts += [raw[-24:]] if len(raw) > 40 else []  # of a JWT or a connection string: its signature
        if any(part in stolen for part in parts):
            found.append(name)
    return found


@pytest.mark.parametrize("what", ["database", "access log", "log"])
async def test_s40_no_secret_is_readable(site: Site, what: str) -> None:
    """In none of the files of the database, also those that SQLite has beside it; in no line of a log."""
    desk = await seated(site)
    secrets = await journey(desk)
    folder = desk.running.people.folder
    database = b"".join(file.read_bytes() for file in sorted(folder.glob("gateway.db*")))
    await desk.quiet()
    lines = await desk.running.lines()
    stolen = {
        "database": database + b"".join(file.read_bytes() for file in sorted(folder.glob("gateway.db*"))),
        "access log": repr(lines).encode() + (folder / "access.log").read_bytes(),
        "log": repr(desk.running.log.lines).encode(),
    }
    assert readable(secrets, stolen[what]) == []


async def test_s40_what_looks_for_secrets_finds_them(site: Site) -> None:
    """The mails have two of them: the search is no blind one."""
    desk = await seated(site)
    secrets = await journey(desk)
    mails = b"".join(file.read_bytes() for file in desk.outbox.glob("*.eml"))
    assert set(readable(secrets, mails)) == {"used link", "live link"}


@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha512", "blake2b"])
async def test_s40_a_code_is_not_kept_as_a_hash(site: Site, kind: str) -> None:
    """A million of them are hashed in a second. What is kept is a MAC under a key that is not in the database."""
    desk = await seated(site)
    code = await desk.reset_code(BOB)
    connection = sqlite3.connect(desk.running.people.folder / "gateway.db")
    ((challenge_id, mac),) = connection.execute("SELECT id, code_mac FROM challenge").fetchall()
    connection.close()
    salted = (code, f"{challenge_id}{code}", f"{challenge_id}:{code}", f"challenge code\0{challenge_id}:{code}")
    assert not any(hashlib.new(kind, text.encode()).digest().startswith(mac[:16]) for text in salted)


def values(desk: Desk) -> set[bytes]:
    """Every text and every blob of every table, as it is and as people write bytes."""
    found: set[bytes] = set()
    with closing(sqlite3.connect(desk.running.people.folder / "gateway.db")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():
                for value in row:
                    if isinstance(value, str):
                        found.add(value.encode())
                    elif isinstance(value, bytes):
                        found |= {value.hex().encode(), base64.urlsafe_b64encode(value).rstrip(b"=")}
    return {value for value in found if 4 <= len(value) <= 4000 and value.isascii() and value.decode().isprintable()}


async def test_s40_nothing_of_the_database_logs_in(site: Site) -> None:
    """Every value of every row, presented: as a token, as a connection string, and as a link."""
    desk = await seated(site)
    await journey(desk)
    stolen = sorted(values(desk))
    clients = [await site.client(desk.running) for _ in range(2)]
    found = []
    for value in stolen:
        if b"," not in value and b" " not in value:
            for client, name in zip(
                clients, (b"Authorization: Bearer ", b"x-mycelium-connection-string: "), strict=True
            ):
                found.append((await client.ask("/auth/x", name + value)).status)
    links = [value for value in stolen if len(value) == 43]
    for value in links:
        found.append((await desk.call("POST", "users/magic-link/verify", {"token": value.decode()})).status)
    assert (set(found), len(found) > 100, len(links) > 1) == ({401}, True, True)


async def test_s40_no_secret_is_in_metrics_or_traces(site: Site) -> None:
    """Neither in a label nor in an attribute, of good calls or bad ones; nor in a page that tells of an error."""
    collector = await collecting(site)
    desk = await seated(site, tracing={"otlp": collector.url})
    secrets = await journey(desk)
    wrong = {"Authorization": secrets["session"][:-3], "token": secrets["live link"][:-1]}
    pages = [await desk.call("GET", f"users/magic-link/display?token={secrets['used link']}")]
    pages.append(await desk.call("GET", "profile", token=wrong["Authorization"]))
    pages.append(await desk.call("POST", "users/magic-link/verify", {"token": secrets["used link"]}))
    host, port = desk.running.gateway.admin_address
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
    metrics = await reader.read()
    writer.close()
    await desk.running.stop()
    traces = b"".join(collector.bodies)
    said = b"".join(page.body + repr(page.fields).encode() for page in pages)
    assert b"gateway_" in metrics
    assert b"magic-link" in traces
    assert (readable(secrets, metrics), readable(secrets, traces), readable(secrets, said)) == ([], [], [])

"""What clients do, one coroutine for each kind of action. Each raises WrongError or UnservedError, or was right."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from bench.processes import LOOPBACK
from bench.soak.home import Door, Home, Person
from bench.soak.record import PATIENCE, UnservedError, WrongError
from bench.soak.upstream import PROTOCOL, pattern

STRING = "x-mycelium-connection-string"
UNAVAILABLE = (502, 503, 504)
LARGEST = 256 * 1024  # bytes of a body
BURST = 8  # events of a stream, and messages of a WebSocket
CUT = 1006  # what the client's library calls the end of a WebSocket without a Close frame
POLL = 0.02  # seconds between two requests with a credential that was just revoked
DEAD_KEPT = 500  # revoked credentials that are tried again and again


def expect(got: object, wanted: object, what: str) -> None:
    if got != wanted:
        raise WrongError(f"{what} is {str(got)[:200]!r} and not {str(wanted)[:200]!r}")


@dataclass
class Actions:
    """bound: seconds that a revoked credential may still pass. dead: headers of those that must not pass any more."""

    home: Home
    door: Door
    sessions: tuple[aiohttp.ClientSession, aiohttp.ClientSession]  # one keeps connections, one does not
    chance: random.Random
    bound: float
    dead: list[tuple[str, str]] = field(default_factory=list)

    def table(self) -> Mapping[str, tuple[Callable[[], Awaitable[None]], int]]:
        """By kind: the action, and how often it comes among the others."""
        return {
            "public": (self.public, 200),
            "bearer": (self.bearer, 280),
            "string": (self.string, 100),
            "nobody": (self.nobody, 120),
            "dead": (self.buried, 40),
            "upload": (self.upload, 60),
            "upload chunked": (self.upload_chunked, 50),
            "download": (self.download, 60),
            "download chunked": (self.download_chunked, 40),
            "vanishing": (self.vanishing, 20),
            "websocket": (self.websocket, 15),
            "events": (self.events, 10),
            "login, logout": (self.login, 8),
        }

    @property
    def session(self) -> aiohttp.ClientSession:
        return self.sessions[self.chance.random() < 0.1]

    def token(self) -> str:
        return f"{self.chance.getrandbits(64):016x}"

    def person(self) -> Person:
        return self.chance.choice(self.door.people)

    def size(self) -> int:
        return int(LARGEST ** self.chance.random())

    # echoes

    async def public(self) -> None:
        """Nobody's: also with a credential, whichever."""
        headers = dict([self.chance.choice(self.dead)]) if self.dead and self.chance.random() < 0.2 else {}
        await self._echo("/public", headers, None)

    async def bearer(self) -> None:
        person = self.person()
        secret = self.chance.choice((person.token, person.key))
        await self._echo(self.chance.choice(("/known", "/secure")), bearer(secret), person)

    async def string(self) -> None:
        person = self.person()
        await self._echo(self.chance.choice(("/secure", "/manager")), {STRING: person.string}, person)

    async def upload(self) -> None:
        await self._echo("/known", bearer(person := self.person()), person, pattern(self.token(), self.size()))

    async def upload_chunked(self) -> None:
        body = pattern(self.token(), self.size())

        async def parts() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 10_007):
                yield body[start : start + 10_007]

        await self._echo("/known", bearer(person := self.person()), person, body, parts())

    async def _echo(
        self,
        prefix: str,
        headers: Mapping[str, str],
        person: Person | None,
        body: bytes = b"",
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        """The answer has this request's token and body, and its caller's name."""
        token = self.token()
        url, method = f"{self.home.url}{prefix}/echo/{token}", "POST" if body else "GET"
        async with self.session.request(method, url, headers=headers, data=stream or body or None) as answer:
            text = await answer.read()
            served(answer, text)
        found = json.loads(text)
        expect(found["token"], token, "the token")
        expect(found["email"], person.email if person else None, "the caller")
        expect(found["profile"], prefix in ("/secure", "/manager"), "whether there is a profile")
        expect(found["sha256"], hashlib.sha256(body).hexdigest(), "the digest of the body")

    # who must not pass

    async def nobody(self) -> None:
        person = self.person()
        key = bearer(f"myc_{self.chance.getrandbits(256):043x}"[:47])
        headers = self.chance.choice(
            ({}, key, bearer(person.token[:-4] + "AAAA"), {STRING: person.string[:-4] + "0000"}, bearer(person.string))
        )
        await self.refused(headers)

    async def buried(self) -> None:
        if self.dead:
            await self.refused(dict([self.chance.choice(self.dead)]))
        else:
            await self.nobody()

    async def refused(self, headers: Mapping[str, str]) -> None:
        async with self.session.get(f"{self.home.url}/known/echo/{self.token()}", headers=headers) as answer:
            text = await answer.read()
        expect(answer.status, 401, f"the status for {list(headers)}")
        code, wanted = json.loads(text)["code"], None if headers else "no_credential"
        expect(code, wanted or code, "the reason")

    # downloads and streams

    async def download(self) -> None:
        await self._download("counted")

    async def download_chunked(self) -> None:
        await self._download("chunked")

    async def _download(self, kind: str) -> None:
        token, size = self.token(), self.size()
        url = f"{self.home.url}/known/{kind}/{token}/{size}"
        async with self.session.get(url, headers=bearer(self.person())) as answer:
            body = await answer.read()
            served(answer, body)
        expect(body == pattern(token, size), True, "whether the body is right")

    async def vanishing(self) -> None:
        """A client that goes in the middle of its upload or its download, which must cost nobody else anything."""
        reader, writer = await asyncio.open_connection(LOOPBACK, self.home.port)
        try:
            head = f"Host: soak\r\nAuthorization: Bearer {self.person().token}\r\n"
            if self.chance.random() < 0.5:
                writer.write(
                    f"POST /known/echo/x HTTP/1.1\r\n{head}Content-Length: {LARGEST}\r\n\r\n".encode() + b"x" * 5000
                )
                await writer.drain()
            else:
                writer.write(f"GET /known/chunked/x/{16 * LARGEST} HTTP/1.1\r\n{head}\r\n".encode())
                status = int((await reader.readuntil(b"\r\n\r\n"))[9:12])
                if status in UNAVAILABLE:
                    raise UnservedError(str(status))
                expect(status, 200, "the status")
                await reader.readexactly(1000)
        finally:
            writer.transport.abort()

    async def events(self) -> None:
        token = self.token()
        url = f"{self.home.url}/public/events/{token}/{BURST}"
        async with self.session.get(url) as answer:
            text = await answer.read()
            served(answer, text)
        wanted = "".join(f"id: {number}\ndata: {token}\n\n" for number in range(BURST))
        expect(text.decode(), wanted, "the stream of events")

    async def websocket(self) -> None:
        token, compress = self.token(), self.chance.choice((0, 15))
        url = f"{self.home.url}/known/websocket"
        try:
            async with self.session.ws_connect(
                url, headers=bearer(self.person()), protocols=(PROTOCOL,), compress=compress, max_msg_size=0
            ) as socket:
                expect(socket.protocol, PROTOCOL, "the subprotocol")
                for number in range(BURST):
                    sent = pattern(f"{token}{number}", self.size() // 8 + 1)
                    await socket.send_bytes(sent)
                    got = await socket.receive()
                    if got.type is not aiohttp.WSMsgType.BINARY:
                        raise UnservedError(f"{got.type.name} {got.data!r} in place of a message")
                    expect(got.data == sent, True, "whether the message is right")
                await socket.close()
                if socket.close_code == CUT:
                    raise UnservedError("no Close frame")
                expect(socket.close_code, 1000, "the close code")
        except aiohttp.WSServerHandshakeError as error:
            raise (UnservedError if error.status in UNAVAILABLE else WrongError)(
                f"handshake: {error.status}"
            ) from error

    # logins

    async def login(self) -> None:
        """Its token passes until its logout, and is dead within `bound` after it."""
        person = self.person()
        base, said = f"{self.home.url}/_adm/beginners/users", {"email": person.email, "password": person.password}
        async with self.session.post(f"{base}/login", json=said) as answer:
            text = await answer.read()
            served(answer, text)
        token = json.loads(text)["token"]
        await self._echo("/secure", bearer(token), person)
        async with self.session.post(f"{base}/logout", headers=bearer(token)) as answer:
            await answer.read()
        expect(answer.status, 204, "the status of the logout")
        passed = await self.passes(bearer(token), time.monotonic())
        if passed > self.bound:
            raise WrongError(f"logged out, and passed {passed:.2f} s later")
        self.bury(("Authorization", f"Bearer {token}"))

    async def passes(self, headers: Mapping[str, str], began: float) -> float:
        """Seconds until the last request that passed was sent. Over once eight in a row were refused, on connections of
        their own: so that each worker is asked.
        """
        last, refused = 0.0, 0
        while refused < 8 and time.monotonic() < began + PATIENCE / 2:
            sent = time.monotonic()
            async with self.sessions[1].get(f"{self.home.url}/known/echo/x", headers=headers) as answer:
                await answer.read()
            refused = refused + 1 if answer.status == 401 else 0
            if not refused:
                last = sent - began
                await asyncio.sleep(POLL)
        return last

    def bury(self, header: tuple[str, str]) -> None:
        self.dead.append(header)
        del self.dead[:-DEAD_KEPT]


def bearer(who: Person | str) -> dict[str, str]:
    return {"Authorization": f"Bearer {who.token if isinstance(who, Person) else who}"}


def served(answer: aiohttp.ClientResponse, text: bytes) -> None:
    if answer.status in UNAVAILABLE:
        raise UnservedError(f"{answer.status} {text[:200]!r}")
    expect(answer.status, 200, f"the status, with {text[:200]!r},")

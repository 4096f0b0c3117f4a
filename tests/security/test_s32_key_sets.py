"""S-32: what an issuer's server answers is a stranger's word, too: it costs a bounded time and size, leads nowhere, and
adds no key but a public one for signatures. No keys are 503, never a pass and never 401.
"""

import asyncio
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

import pytest
from harness.people import People
from harness.site import Site
from harness.upstream import Line
from identity.forge import Private, b64, der, ed448_key, jwk, private_key, rsa_key, token

from gateway.app.checks import read
from gateway.settings.load import SettingsInvalid

from .outside import Door, Issuer, believing, claims, document, good, key_set, serving, whole

RSA, EC, ED = private_key("RS256"), private_key("ES256"), private_key("EdDSA")
KEYS = json.dumps({"keys": [jwk(RSA)]}).encode()
AWAY = {"keys_unavailable"}


def named(answers: Mapping[str, bytes]) -> dict[str, Issuer]:
    """An issuer for each."""
    return {
        name: Issuer(answer, f"issuer-{number}", f"https://{number}.example")
        for number, (name, answer) in enumerate(answers.items())
    }


async def refused(at: Door, issuers: Mapping[str, Issuer]) -> dict[str, str]:
    """What is said of a good token of each; every refusal tells when to come again."""
    found = {}
    for name, issuer in issuers.items():
        answer = await at.present(good(iss=issuer.iss))
        found[name] = answer.code if answer.all(b"retry-after") else f"{answer.status} without Retry-After"
    return found


ANSWERS: Mapping[str, bytes] = {
    "HTML": whole(b"<!doctype html><title>Log in</title>", b"200 OK", b"Content-Type: text/html"),
    "HTML that says JSON": whole(b"<html>", b"200 OK", b"Content-Type: application/json"),
    "nothing": whole(b""),
    "an empty list": document(),
    "an empty object": whole(b"{}"),
    "a list": whole(b"[]"),
    "null": whole(b"null"),
    "a text": whole(b'"keys"'),
    "keys that are an object": whole(b'{"keys":{"k1":{}}}'),
    "keys that are null": whole(b'{"keys":null}'),
    "keys that are no objects": whole(b'{"keys":["k1",1,null,[]]}'),
    "keys twice": whole(b'{"keys":[],' + KEYS[1:]),
    "no UTF-8": whole(b'{"keys":[],"x":"\xff"}'),
    "depth": whole(b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a hundred and one keys": document(*(jwk(RSA, f"k{number}") for number in range(101))),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "206": whole(KEYS, b"206 Partial Content"),
    "201": whole(KEYS, b"201 Created"),
    "404": whole(KEYS, b"404 Not Found"),
    "401": whole(KEYS, b"401 Unauthorized", b"WWW-Authenticate: Basic"),
    "500": whole(KEYS, b"500 Internal Server Error"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "compressed": whole(gzip.compress(KEYS), b"200 OK", b"Content-Encoding: gzip"),
    "a bomb": whole(gzip.compress(bytes(10**7)), b"200 OK", b"Content-Encoding: gzip"),
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n" + KEYS,
    "a header without end": b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n",
}


async def test_s32_what_is_no_key_set_gives_no_keys(site: Site) -> None:
    """Whatever it is instead, its callers are told to come again, and nothing is passed on."""
    issuers = named(ANSWERS)
    at = await believing(site, *issuers.values())
    found = await refused(at, issuers)
    assert (set(found.values()), at.service.requests) == (AWAY, [])


async def test_s32_an_issuer_that_fails_is_nobody_elses_failure(site: Site) -> None:
    """One good issuer among them, and our own callers, pass."""
    issuers = [*named(ANSWERS).values(), Issuer(key_set("RS256"))]
    at = await believing(site, *issuers)
    found = [await at.said(raw) for raw in (good(), at.running.people.ada.token, good(iss="https://0.example"))]
    assert found == ["ok", "ok", "keys_unavailable"]


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary", b"308 Permanent"])
async def test_s32_a_redirect_is_not_followed(site: Site, status: bytes) -> None:
    """To a server of ours that has good keys: nobody comes. To the cloud's metadata, a file, another scheme: 503."""
    there = await serving(site, Issuer(key_set("RS256"), "there"))
    targets = (
        f"{there.server.url}/jwks",
        f"//127.0.0.1:{there.server.port}/jwks",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/latest/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/jwks",
        "data:application/json," + KEYS.decode().replace(" ", ""),
        "/elsewhere",
        "",
    )
    issuers = named({to: whole(KEYS, status, b"Location: " + to.encode()) for to in targets})
    at = await believing(site, *issuers.values())
    found = await refused(at, issuers)
    assert (set(found.values()), there.server.lines) == (AWAY, [])


URLS = (
    "file:///etc/passwd", "ftp://id.example/jwks", "data:application/json,{}", "gopher://id.example/", "jwks.json",
    "http://id.example/jwks", "http://169.254.169.254/", "http://localhost.evil.example/", "//id.example/jwks",
    "http://127.0.0.1@evil.example/", "https://user:secret@id.example/jwks", "",
)  # fmt: skip


async def test_s32_keys_are_fetched_over_https_or_from_loopback(site: Site, people: People, tmp_path: Path) -> None:
    """Any other address is a fault of the configuration (CVE-2026-48522), and the gateway does not start."""
    folder = copytree(people.folder, tmp_path / "home")
    issuer = {"name": "acme", "issuer": "https://id.example", "audiences": ["a"], "algorithms": ["RS256"]}
    faults = []
    for url in URLS:
        said = site.said("http://127.0.0.1:1", issuers=[{**issuer, "jwks_url": url}])
        (folder / "config.yaml").write_text(json.dumps(said))
        with pytest.raises(SettingsInvalid) as caught:
            read(folder / "config.yaml", {})
        faults.append([fault.message.startswith("a URL") or "https" in fault.message for fault in caught.value.faults])
    assert faults == [[True]] * len(URLS)


@pytest.mark.parametrize("how", ["counted", "chunked", "to the end"])
async def test_s32_an_answer_has_a_mebibyte_at_most(site: Site, how: str) -> None:
    """Ten megabytes are cut off, however they are framed: the server is hung up on while it still writes."""
    cut = asyncio.Event()
    heads = {"counted": b"content-length: 10000000\r\n\r\n", "chunked": b"transfer-encoding: chunked\r\n\r\n"}

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\n" + heads.get(how, b"\r\n") + (b"" if how == "chunked" else KEYS[:-1]))
        try:
            for _ in range(10_000_000 // 50_000 if how == "counted" else 10**6):
                line.send(b"c350\r\n" + b" " * 50_000 + b"\r\n" if how == "chunked" else b" " * 50_000)
                await line.writer.drain()
            await line.gone()
        finally:
            cut.set()

    issuer = await serving(site, Issuer(b""), script)
    at = await believing(site, issuer)
    await asyncio.wait_for(cut.wait(), 10)
    assert await at.said(good()) == "keys_unavailable"


async def test_s32_an_answer_of_a_mebibyte_is_read(site: Site) -> None:
    """The other side."""
    at = await believing(site, Issuer(whole(KEYS + b" " * ((1 << 20) - len(KEYS)))))
    assert await at.said(good()) == "ok"


async def test_s32_a_slow_drip_has_five_seconds(site: Site) -> None:
    """A byte now and then keeps no caller waiting for longer; others are served meanwhile."""
    hung_up = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        try:
            while True:
                line.send(b" ")
                await line.writer.drain()
                await asyncio.sleep(0.02)
        finally:
            hung_up.set()

    issuer = await serving(site, Issuer(b""), script)
    at = await believing(site, issuer, asked=False)
    waiting = asyncio.create_task(Door(site, at.running, at.service).said(good()))
    await issuer.server.line()
    meanwhile = await at.said(at.running.people.ada.token)
    early = waiting.done()
    assert (meanwhile, early, await asyncio.wait_for(waiting, 20)) == ("ok", False, "keys_unavailable")
    await asyncio.wait_for(hung_up.wait(), 10)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + KEYS, b"HTTP/1.1 200"])
async def test_s32_an_answer_that_breaks_off_is_none(site: Site, answer: bytes) -> None:
    """Though what came of it would be a whole key set."""

    async def script(line: Line) -> None:
        await line.request()
        line.send(answer)

    at = await believing(site, await serving(site, Issuer(b""), script))
    assert await at.said(good()) == "keys_unavailable"


def private(key: Private) -> Mapping[str, object]:
    """A JWK as nobody should publish it."""
    return jwk(key, "bad", d=b64(der(key)[-32:]))


SMALL = rsa_key(1024)
OWN_MODULUS = jwk(RSA)["n"]
# The key under the name "bad", which stands beside a good one, and who signs with it.
BAD: Mapping[str, tuple[object, Private | bytes, str]] = {
    "private RSA": (private(RSA), RSA, "RS256"),
    "private EC": (private(EC), EC, "ES256"),
    "private Ed25519": (private(ED), ED, "EdDSA"),
    "a prime": (jwk(RSA, "bad", p="AQAB"), RSA, "RS256"),
    "a secret": ({"kty": "oct", "kid": "bad", "k": b64(b"s" * 64), "alg": "HS256"}, b"s" * 64, "HS256"),
    "an empty secret": ({"kty": "oct", "kid": "bad", "k": ""}, b"", "HS256"),
    "a secret that is called RSA": ({**jwk(RSA, "bad"), "k": b64(b"s" * 64)}, RSA, "RS256"),
    "for encryption": (jwk(RSA, "bad", use="enc"), RSA, "RS256"),
    "for something else": (jwk(RSA, "bad", use="SIG"), RSA, "RS256"),
    "for no use": (jwk(RSA, "bad", use=None), RSA, "RS256"),
    "for wrapping": (jwk(RSA, "bad", key_ops=["wrapKey"]), RSA, "RS256"),
    "for signing": (jwk(RSA, "bad", key_ops=["sign"]), RSA, "RS256"),
    "for nothing": (jwk(RSA, "bad", key_ops=[]), RSA, "RS256"),
    "operations as a text": (jwk(RSA, "bad", key_ops="verify"), RSA, "RS256"),
    "for another algorithm": (jwk(RSA, "bad", alg="RS512"), RSA, "RS256"),
    "for OAEP": (jwk(RSA, "bad", alg="RSA-OAEP"), RSA, "RS256"),
    "for HMAC": (jwk(RSA, "bad", alg="HS256"), RSA, "RS256"),
    "for none": (jwk(RSA, "bad", alg="none"), RSA, "RS256"),
    "for a list": (jwk(RSA, "bad", alg=["RS256"]), RSA, "RS256"),
    "RSA 1024": (jwk(SMALL, "bad"), SMALL, "RS256"),
    "RSA 16384": ({"kty": "RSA", "kid": "bad", "e": "AQAB", "n": b64(b"\xff" * 2048)}, RSA, "RS256"),
    "RSA with e = 1": ({**jwk(RSA, "bad"), "e": "AQ"}, RSA, "RS256"),
    "RSA with e = 0": ({**jwk(RSA, "bad"), "e": "AA"}, RSA, "RS256"),
    "RSA with an even e": ({**jwk(RSA, "bad"), "e": "AQAA"}, RSA, "RS256"),
    "RSA with e > n": ({**jwk(RSA, "bad"), "e": b64(b"\x01" + b"\xff" * 256)}, RSA, "RS256"),
    "RSA without e": ({"kty": "RSA", "kid": "bad", "n": OWN_MODULUS}, RSA, "RS256"),
    "RSA in standard base64": ({**jwk(RSA, "bad"), "n": f"{OWN_MODULUS}=="}, RSA, "RS256"),
    "RSA in numbers": ({**jwk(RSA, "bad"), "e": 65537}, RSA, "RS256"),
    "no point of the curve": ({**jwk(EC, "bad"), "x": b64(b"\1" * 32)}, EC, "ES256"),
    "the point at infinity": ({**jwk(EC, "bad"), "x": b64(bytes(32)), "y": b64(bytes(32))}, EC, "ES256"),
    "half a point": ({name: value for name, value in jwk(EC, "bad").items() if name != "y"}, EC, "ES256"),
    "an unknown curve": ({**jwk(EC, "bad"), "crv": "P-257"}, EC, "ES256"),
    "another curve": ({**jwk(EC, "bad"), "crv": "P-384"}, EC, "ES256"),
    "Bitcoin's curve": ({**jwk(EC, "bad"), "crv": "secp256k1"}, EC, "ES256"),
    "X25519": ({**jwk(ED, "bad"), "crv": "X25519"}, ED, "EdDSA"),
    "Ed448": ({"kty": "OKP", "crv": "Ed448", "kid": "bad", "x": b64(b"\2" * 57)}, ED, "EdDSA"),
    "Ed25519 of 31 bytes": ({**jwk(ED, "bad"), "x": b64(b"\2" * 31)}, ED, "EdDSA"),
    "an unknown kind": ({**jwk(RSA, "bad"), "kty": "AKP"}, RSA, "RS256"),
    "a kind in lower case": ({**jwk(RSA, "bad"), "kty": "rsa"}, RSA, "RS256"),
    "no kind": ({"kid": "bad", "n": OWN_MODULUS, "e": "AQAB"}, RSA, "RS256"),
    "a kind that is a list": ({**jwk(RSA, "bad"), "kty": ["RSA"]}, RSA, "RS256"),
    "a number for a name": ({**jwk(RSA), "kid": 1}, RSA, "RS256"),
}


async def test_s32_a_key_that_is_not_for_verifying_is_skipped(site: Site) -> None:
    """Each stands beside a good one, which goes on working: whom it signs for is 401."""
    issuers = named({name: document(jwk(RSA), bad) for name, (bad, _, _) in BAD.items()})
    at = await believing(site, *issuers.values())
    found = {}
    for name, (_, key, algorithm) in BAD.items():
        iss = issuers[name].iss
        said = claims(iss=iss)
        found[name] = (await at.said(token(key, algorithm, said, kid="bad")), await at.said(good(iss=iss)))
    assert {name: one for name, one in found.items() if one != ("invalid_credential", "ok")} == {}


async def test_s32_a_set_of_such_keys_alone_is_none(site: Site) -> None:
    """503: its issuer may well have others tomorrow."""
    good_for_another = {"for another algorithm"}
    issuers = named({name: document(bad) for name, (bad, _, _) in BAD.items() if name not in good_for_another})
    at = await believing(site, *issuers.values())
    found = await refused(at, issuers)
    assert {name: code for name, code in found.items() if code not in AWAY} == {}


@pytest.mark.parametrize("other", [rsa_key(name="other"), EC, RSA], ids=["another", "another kind", "the same"])
async def test_s32_a_name_that_two_keys_have_names_none(site: Site, other: Private) -> None:
    """Choosing one would be a guess; both orders. A third one works."""
    pair = [jwk(RSA, "two"), jwk(other, "two")]
    issuers = named({"one order": document(*pair, jwk(RSA)), "the other": document(*pair[::-1], jwk(RSA))})
    at = await believing(site, *issuers.values())
    found = []
    for issuer in issuers.values():
        said = claims(iss=issuer.iss)
        algorithm = "ES256" if other is EC else "RS256"
        sent = (token(RSA, "RS256", said, kid="two"), token(other, algorithm, said, kid="two"), good(iss=issuer.iss))
        found += [await at.said(raw) for raw in sent]
    assert found == ["invalid_credential", "invalid_credential", "ok"] * 2


async def test_s32_keys_of_the_allowed_sizes_verify(site: Site) -> None:
    """2048 bits are the least; and Ed448, which no algorithm of ours has, is not in the way."""
    public = ed448_key().public_key().public_bytes_raw()
    beside = {"kty": "OKP", "crv": "Ed448", "kid": "e", "x": b64(public)}
    at = await believing(site, Issuer(document(beside, jwk(rsa_key(2048)), jwk(EC, "ES256"))))
    found = [await at.said(good(rsa_key(2048))), await at.said(token(EC, "ES256", claims(), kid="ES256"))]
    assert found == ["ok", "ok"]


async def test_s32_a_failure_is_told_once_and_not_as_an_error(site: Site) -> None:
    """A warning, without what the server sent; the site looks for errors at its end."""
    issuer = Issuer(whole(b"<html>secret-of-the-server"))
    at = await believing(site, issuer)
    found = [await at.said(good(n=number)) for number in range(5)]
    told = [line for line in at.running.log.lines if "keys cannot be fetched" in line[1]]
    assert (set(found), len(told), told[0][0], "secret" in repr(told)) == (AWAY, 1, "warning", False)


async def test_s32_as_soon_as_there_are_keys_there_are_callers(site: Site) -> None:
    """An outage leaves nothing behind, neither refusals that are remembered nor a wait of minutes."""
    issuer = Issuer(whole(b"", b"500 Oops"))
    at = await believing(site, issuer)
    raw = good()
    before = await at.said(raw)
    issuer.answer = key_set("RS256")
    at.running.hand.rested += 31  # the longest wait between two fetches that fail
    assert (before, await at.said(raw)) == ("keys_unavailable", "ok")

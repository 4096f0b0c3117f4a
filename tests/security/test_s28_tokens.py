"""S-28: a token is what one of its issuer's keys signed, in one form, or it is nothing. Over the wire, where it is
presented: as an external issuer's, and as one of ours.
"""

import base64
import json
from collections.abc import Callable, Mapping

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from harness.site import Site
from identity.forge import Private, b64, jwk, private_key, public_der, public_pem, rsa_key, sign, token

from .outside import Door, Issuer, believing, claims, good, key_set

RSA, EC, ED = private_key("RS256"), private_key("ES256"), private_key("EdDSA")
INVALID = {"invalid_credential"}
NONES = ("none", "None", "NONE", "nOnE", "NoNe", "none ", " none", "ｎｏｎｅ", "", "null")


async def door(site: Site, *algorithms: str) -> Door:
    """Of an issuer that has a key of each, and may use them all."""
    return await believing(site, Issuer(key_set(*(algorithms or ("RS256",)))))


def unsigned(header: Mapping[str, object], body: bytes | None = None) -> bytes:
    """Header and claims, without a signature."""
    payload = json.dumps(claims()).encode() if body is None else body
    return f"{b64(json.dumps(header).encode())}.{b64(payload)}".encode()


async def test_s28_a_good_token_passes(site: Site) -> None:
    """Of each kind of key: what is refused below is refused for what is wrong with it."""
    keys = {"RS256": RSA, "ES256": EC, "EdDSA": ED}
    at = await door(site, *keys)
    sent = {name: token(key, name, claims(), kid="k1" if key is RSA else name) for name, key in keys.items()}
    assert set((await at.all_said(sent)).values()) == {"ok"}


async def test_s28_none_is_no_algorithm(site: Site) -> None:
    """In no spelling, with no signature or with any."""
    at = await door(site)
    ends = (b"", b64(b"\0").encode(), b64(bytes(256)).encode(), b"none", good().split(b".")[2])
    sent = {
        f"{alg}, {end!r}": unsigned({"alg": alg, "typ": "JWT", "kid": "k1"}) + b"." + end
        for alg in NONES
        for end in ends
    }
    found = await at.all_said(sent)
    assert (set(found.values()), at.service.requests) == (INVALID, [])


async def test_s28_none_is_no_algorithm_of_ours(site: Site) -> None:
    """A token of our own, with its `alg` overwritten, and its signature left away or left as it is."""
    at = await door(site)
    head, payload, signature = at.running.people.ada.token.split(".")
    said = json.loads(base64.urlsafe_b64decode(head + "=="))
    found = []
    for alg in NONES:
        other = b64(json.dumps({**said, "alg": alg}).encode())
        found += [await at.said(f"{other}.{payload}.{end}") for end in ("", signature)]
    assert set(found) == INVALID


def secrets(key: Private) -> dict[str, bytes]:
    """A public key in all forms that somebody has taken for an HMAC secret."""
    public = jwk(key)
    return {
        "PEM": public_pem(key),
        "PEM, no last line break": public_pem(key).rstrip(b"\n"),
        "PEM, other line breaks": public_pem(key).replace(b"\n", b"\r\n"),
        "DER": public_der(key),
        "JWK": json.dumps(public).encode(),
        "JWK, compact": json.dumps(public, separators=(",", ":")).encode(),
        "JWK set": json.dumps({"keys": [public]}).encode(),
        "a member": str(public.get("n", public.get("x"))).encode(),
        "nothing": b"",
    }


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
async def test_s28_a_public_key_is_no_secret(site: Site, kind: str) -> None:
    """In none of its forms, for none of the HMACs (CVE-2026-48526 and its many forerunners)."""
    at = await door(site, kind)
    sent = {
        f"{alg} by {name}": token(secret, alg, claims())
        for name, secret in secrets(private_key(kind)).items()
        for alg in ("HS256", "HS384", "HS512")
    }
    found = await at.all_said(sent)
    assert (set(found.values()), at.service.requests) == (INVALID, [])


async def test_s28_our_published_key_is_no_secret(site: Site) -> None:
    """Byte for byte as we publish it, and as the document it stands in."""
    at = await door(site)
    published = (await (await at.client()).ask("/.well-known/jwks.json")).body
    (key,) = [one for one in json.loads(published)["keys"] if one["kid"] == _header(at.running.people.ada.token)["kid"]]
    payload = at.running.people.ada.token.split(".")[1]
    body = base64.urlsafe_b64decode(payload + "==")
    raw = base64.urlsafe_b64decode(key["x"] + "==")
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    forged = {
        f"{alg}, {number}": token(secret, alg, body, kid=key["kid"])
        for number, secret in enumerate((published, json.dumps(key).encode(), key["x"].encode(), raw, pem))
        for alg in ("HS256", "HS384", "HS512")
    }
    assert set((await at.all_said(forged)).values()) == INVALID


async def test_s28_a_signature_is_of_the_algorithm_that_its_header_names(site: Site) -> None:
    """RS for PS, PS for RS, another hash, ECDSA for RSA, RSA for ECDSA, Ed25519 for ECDSA and the reverse."""
    at = await door(site, "RS256", "ES256", "EdDSA")
    keys = {"RS256": "k1", "ES256": "ES256", "EdDSA": "EdDSA"}
    swaps = [
        (RSA, "PS256", "RS256", "k1"),
        (RSA, "RS512", "RS256", "k1"),
        (RSA, "RS384", "RS256", "k1"),
        (RSA, "RS256", "ES256", keys["ES256"]),
        (RSA, "RS256", "EdDSA", keys["EdDSA"]),
        (EC, "ES256", "EdDSA", keys["EdDSA"]),
        (EC, "ES256", "RS256", "k1"),
        (ED, "EdDSA", "ES256", keys["ES256"]),
        (ED, "EdDSA", "RS256", "k1"),
        # the right key and a right signature, under the name of another key
        (EC, "ES256", "ES256", "k1"),
        (ED, "EdDSA", "EdDSA", "ES256"),
        (RSA, "RS256", "RS256", "EdDSA"),
    ]
    sent = {
        f"{signed} as {said} by {kid}": token(key, signed, claims(), {"alg": said, "typ": "JWT", "kid": kid})
        for key, signed, said, kid in swaps
    }
    assert set((await at.all_said(sent)).values()) == INVALID


async def test_s28_an_algorithm_that_is_not_configured_is_refused(site: Site) -> None:
    """Though its signature is right, and its key is the issuer's."""
    at = await door(site)
    sent = {alg: token(RSA, alg, claims()) for alg in ("PS256", "RS384", "RS512", "PS384", "PS512")}
    assert set((await at.all_said(sent)).values()) == INVALID


async def test_s28_a_signature_that_says_nothing_is_refused(site: Site) -> None:
    """Empty, of one byte, cut short by one, one byte too long, another token's."""
    at = await door(site)
    head, payload, signature = good().split(b".")
    raw = base64.urlsafe_b64decode(signature + b"==")
    other = good(sub="bob").split(b".")[2]
    ends = (b"", b64(b"\0").encode(), b64(raw[:-1]).encode(), b64(raw + b"\0").encode(), b64(raw[1:]).encode(), other)
    assert [await at.said(b".".join((head, payload, end))) for end in ends] == ["invalid_credential"] * len(ends)


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256's base point (FIPS 186-4)


async def test_s28_a_zero_ecdsa_signature_is_refused(site: Site) -> None:
    """CVE-2022-21449: r and s of zero, or of the curve's order, which is zero there too; and lengths beside it."""
    at = await door(site, "ES256")
    head, payload, _ = good(EC, "ES256").split(b".")
    halves = [number.to_bytes(32, "big") for number in (0, 1, ORDER - 1, ORDER)]
    raws = [one + other for one in halves for other in halves] + [bytes(size) for size in (1, 32, 63, 65, 128)]
    found = [await at.said(b".".join((head, payload, b64(raw).encode()))) for raw in raws]
    assert set(found) == INVALID


async def test_s28_an_ecdsa_signature_has_the_form_of_a_jws(site: Site) -> None:
    """Two numbers of 32 bytes (RFC 7518 section 3.4), no DER, which has many forms."""
    at = await door(site, "ES256")
    head, payload, _ = good(EC, "ES256").split(b".")
    assert isinstance(EC, EllipticCurvePrivateKey)
    signature = EC.sign(head + b"." + payload, ECDSA(SHA256()))
    assert await at.said(b".".join((head, payload, b64(signature).encode()))) == "invalid_credential"


FORMS: Mapping[str, Callable[[bytes, bytes, bytes], bytes]] = {
    "a fourth part": lambda h, p, s: b".".join((h, p, s, b"x")),
    "a fourth, empty part": lambda h, p, s: b".".join((h, p, s, b"")),
    "an empty first part": lambda h, p, s: b"." + b".".join((h, p, s)),
    "five parts": lambda h, p, s: b".".join((h, p, s, h, p)),
    "a part doubled": lambda h, p, s: b".".join((h, h, p, s)),
    "two parts": lambda h, p, s: h + b"." + p,
    "dots alone": lambda h, p, s: b"..",
    "no header": lambda h, p, s: b".".join((b"", p, s)),
    "no claims": lambda h, p, s: b".".join((h, b"", s)),
    "padding": lambda h, p, s: b".".join((h, p, s + b"==")),
    "padding of the header": lambda h, p, s: b".".join((h + b"=", p, s)),
    "standard base64": lambda h, p, s: b".".join((h, p, s.replace(b"-", b"+").replace(b"_", b"/"))) + b"+",
    "a foreign character": lambda h, p, s: b".".join((h, p, b"!" + s)),
    "a percent sign": lambda h, p, s: b".".join((h, p, s + b"%3d")),
    "a space inside": lambda h, p, s: b".".join((h, p, s[:9] + b" " + s[9:])),
    "a tab inside": lambda h, p, s: b".".join((h, p, s[:9] + b"\t" + s[9:])),
    "a comma and another one": lambda h, p, s: b".".join((h, p, s)) + b"," + b".".join((h, p, s)),
    "quotes": lambda h, p, s: b'"' + b".".join((h, p, s)) + b'"',
    "a byte over 127": lambda h, p, s: b".".join((h, p, s)) + b"\xe9",
    "unused bits of the signature": lambda h, p, s: b".".join((h, p, s[:-1] + bytes([s[-1] + 1]))),
}


async def test_s28_a_token_has_one_form(site: Site) -> None:
    """Three canonical base64url parts: what differs in a bit is refused, and never passed on."""
    at = await door(site)
    parts = good().split(b".")
    answers = {form: await at.present(make(*parts)) for form, make in FORMS.items()}
    passed = {form: answer.status for form, answer in answers.items() if answer.status not in (400, 401)}
    assert (passed, at.service.requests) == ({}, [])


async def test_s28_the_unused_bits_of_the_header_and_claims_are_zero(site: Site) -> None:
    """The signature covers the characters, so that this is signed as well; it is a second spelling all the same."""
    at = await door(site)
    found = []
    for part in (0, 1):
        for pad in range(3):  # one of three lengths leaves no bits over
            body = json.dumps({**claims(), "pad": "x" * pad}).encode()
            head = json.dumps({"alg": "RS256", "typ": "JWT", "kid": "k1", "pad": "x" * pad}).encode()
            parts = [b64(head), b64(body)]
            if len(parts[part]) % 4 == 0:
                continue
            parts[part] = parts[part][:-1] + chr(ord(parts[part][-1]) + 1)
            message = ".".join(parts).encode()
            found.append(await at.said(message + b"." + b64(sign("RS256", RSA, message)).encode()))
    assert (set(found), len(found)) == (INVALID, 4)


async def test_s28_an_encrypted_token_is_none(site: Site) -> None:
    """A JWE of five parts (RFC 7516), in each of its usual algorithms, and one that calls itself signed."""
    at = await door(site)
    part = b64(b"x" * 32)
    found = {}
    for alg in ("dir", "RSA-OAEP", "RSA1_5", "A128KW", "PBES2-HS256+A128KW", "RS256"):
        head = b64(json.dumps({"alg": alg, "enc": "A128GCM", "kid": "k1", "p2c": 10**9}).encode())
        found[alg] = [await at.said(f"{head}.{part}.{part}.{part}.{part}"), await at.said(f"{head}.{part}.{part}")]
    assert {code for codes in found.values() for code in codes} == INVALID


async def test_s28_a_token_within_a_token_is_none(site: Site) -> None:
    """Nested (RFC 7519 section 5.2), with and without `cty`: the inner one is not looked at, nor its claims."""
    at = await door(site)
    inner = good()
    sent = {
        "cty": token(RSA, "RS256", inner, cty="JWT"),
        "no cty": token(RSA, "RS256", inner),
        "as text": token(RSA, "RS256", json.dumps(inner.decode()).encode()),
        "as a list": token(RSA, "RS256", json.dumps([claims()]).encode()),
    }
    assert set((await at.all_said(sent)).values()) == INVALID


async def test_s28_the_claims_are_what_is_signed(site: Site) -> None:
    """`b64: false` (RFC 7797) would sign other bytes than it shows: critical, not critical, and true."""
    at = await door(site)
    sent = {}
    for name, more in {
        "critical": {"b64": False, "crit": ["b64"]},
        "not": {"b64": False},
        "true": {"b64": True},
    }.items():
        head, body = {"alg": "RS256", "typ": "JWT", "kid": "k1", **more}, json.dumps(claims()).encode()
        start = b64(json.dumps(head).encode()).encode() + b"."
        end = b"." + b64(sign("RS256", RSA, start + body)).encode()
        sent |= {name: token(RSA, "RS256", claims(), head), f"{name}, encoded": start + b64(body).encode() + end}
        sent |= {f"{name}, unencoded": start + body.replace(b" ", b"") + end, f"{name}, detached": start + end}
    commas = {"duplicate_credential"}  # what is not encoded looks like two credentials
    assert set((await at.all_said(sent)).values()) == INVALID | commas


CRITS: tuple[object, ...] = (
    ["exp"], ["unknown"], ["http://example.com/x"], [], "exp", None, {}, [1], ["alg"], ["kid", "kid"], ["b64"], [""],
)  # fmt: skip


async def test_s28_a_critical_extension_is_refused(site: Site) -> None:
    """Nothing here understands one (RFC 7515 section 4.1.11); a list that is malformed is no better."""
    at = await door(site)
    said = {"alg": "RS256", "typ": "JWT", "kid": "k1", "exp": 1, "unknown": 1}
    heads = {str(crit): json.dumps({**said, "crit": crit}).encode() for crit in CRITS}
    found = await at.all_said({name: token(RSA, "RS256", claims(), head) for name, head in heads.items()})
    assert (set(found.values()), len(found)) == (INVALID, len(CRITS))


ODD_HEADERS = {
    "alg": b'{"alg":"none","alg":"RS256","typ":"JWT","kid":"k1"}',
    "alg, other order": b'{"alg":"RS256","typ":"JWT","kid":"k1","alg":"none"}',
    "kid": b'{"alg":"RS256","typ":"JWT","kid":"k2","kid":"k1"}',
    "escaped": b'{"alg":"RS256","\\u0061lg":"none","typ":"JWT","kid":"k1"}',
    "not an object": b'["RS256"]',
    "no JSON": b"RS256",
    "trailing": b'{"alg":"RS256","typ":"JWT","kid":"k1"} x',
    "byte order mark": b'\xef\xbb\xbf{"alg":"RS256","typ":"JWT","kid":"k1"}',
    "UTF-16": '{"alg":"RS256","typ":"JWT","kid":"k1"}'.encode("utf-16"),
    "no UTF-8": b'{"alg":"RS256","typ":"JWT","kid":"k1","x":"\xff"}',
    "NaN": b'{"alg":"RS256","typ":"JWT","kid":"k1","x":NaN}',
    "deep": b'{"alg":"RS256","typ":"JWT","kid":"k1","x":' + b"[" * 2000 + b"]" * 2000 + b"}",
}


async def test_s28_a_header_that_two_readers_read_differently_is_refused(site: Site) -> None:
    """Though its signature is right."""
    at = await door(site)
    found = await at.all_said({name: token(RSA, "RS256", claims(), head) for name, head in ODD_HEADERS.items()})
    assert set(found.values()) == INVALID


async def test_s28_a_key_of_another_holder_signs_nothing(site: Site) -> None:
    """Of the same kind, size and name."""
    at = await door(site)
    assert await at.said(good(rsa_key(name="another"))) == "invalid_credential"


async def test_s28_a_token_for_another_purpose_is_none(site: Site) -> None:
    """RFC 8725 section 3.11: its type says what it was made for."""
    at = await door(site)
    types = ("assertion+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt", "application/dpop+jwt", "JOSE", "", 1, ["JWT"])
    found = await at.all_said({str(typ): token(RSA, "RS256", claims(), typ=typ) for typ in types})
    assert set(found.values()) == INVALID


def _header(raw: str) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads(base64.urlsafe_b64decode(raw.split(".")[0] + "=="))
    return found

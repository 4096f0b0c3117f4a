"""S-27, S-28, S-31: one request has one credential, and a token is what its issuer signed, in its time, for us."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..base64url import b64, joined
from ..model import Case, Ground, Outcome, passable, refused

if TYPE_CHECKING:
    from ..tokens import Signer

BAD = b"Bearer not-a-credential-of-anybody"
NONE = ("none", "None", "NONE", "nOnE", "", "null", "HS256", "hs256", "RS256 ", "rs256")


def cases(ground: Ground) -> Iterator[Case]:
    yield from _two(ground)
    options = ground.options
    if options.key is None:
        for rule in ("S-28", "S-31"):
            yield Case(rule, "tokens of a known key", b"", [], refused, inapplicable="no --key that the gateway trusts")
        return
    from ..tokens import Signer  # takes `cryptography`, which nothing else does

    signer = Signer(options.key, options.jose, options.claims)
    control = _case(ground, "S-28", "a token that is good (all others differ from it in one thing)", signer.token())
    yield replace(control, judge=_arrived, authorized=True)
    for name, token in _forged(signer):
        yield _case(ground, "S-28", name, token)
    for kid in ("nobody", "../../../../dev/null", "' OR 1=1 --", "k" * 4000):
        # Who has but one key need not look at the name (RFC 7515 section 4.1.4); nothing else may come of it.
        case = _case(ground, "S-28", f"a kid of {kid[:20]!r}, ignored or refused", signer.token(jose={"kid": kid}))
        yield replace(case, judge=passable, authorized=True)
    for name, token in _claims(signer):
        yield _case(ground, "S-31", name, token)


def _arrived(outcome: Outcome) -> str | None:
    return None if outcome.arrived else "it was refused"


def _case(ground: Ground, rule: str, name: str, token: bytes) -> Case:
    mark = ground.mark()
    sent = [ground.request(ground.protected(mark), b"Authorization: Bearer " + token)]
    return Case(rule, name, mark, sent, refused)


def _two(ground: Ground) -> Iterator[Case]:
    good = ground.options.credential
    if good is None or not good.lower().startswith(b"authorization:"):
        yield Case("S-27", "two credentials", b"", [], refused, inapplicable="no --credential in Authorization")
        return
    value = good.partition(b":")[2].strip()
    for name, fields in {
        "a bad one, then a good one": (b"Authorization: " + BAD, good),
        "a good one, then a bad one": (good, b"Authorization: " + BAD),
        "a bad and a good one in one field": (b"Authorization: " + BAD + b", " + value,),
        "a good and a bad one in one field": (good + b", " + BAD,),
        "an empty one, then a good one": (b"Authorization:", good),
        "Basic, then a good one": (b"Authorization: Basic YTpi", good),
        "Basic and a good one in one field": (b"Authorization: Basic YTpi, " + value,),
        "a good one twice": (good, good),
        "a good one in another scheme": (good.replace(b"Bearer", b"Digest", 1),),
        "a good one without a scheme": (b"Authorization: " + value.partition(b" ")[2],),
        "a good one with its scheme twice": (b"Authorization: Bearer " + value,),
        "a good one in quotes": (b'Authorization: Bearer "' + value.partition(b" ")[2] + b'"',),
        "a good one, cut by one": (good[:-1],),
        "a good one and one byte": (good + b"A",),
        "a good one and a NUL": (good + b"\0",),
        "a good one in another field": (b"X-Authorization: " + value, b"Proxy-Authorization: " + value),
        "a good one by an underscore": (good.replace(b"Authorization", b"Authorization_", 1),),
    }.items():
        mark = ground.mark()
        yield Case("S-27", name, mark, [ground.request(ground.protected(mark), *fields)], refused)
    for name, method in {
        "a bad one, HEAD": b"HEAD",
        "a bad one, OPTIONS": b"OPTIONS",
        "a bad one, POST": b"POST",
    }.items():
        mark = ground.mark()
        sent = [ground.request(ground.protected(mark), b"Authorization: " + BAD, method=method)]
        yield Case("S-27", name, mark, sent, refused, head=method == b"HEAD")


def _forged(signer: "Signer") -> Iterator[tuple[str, bytes]]:
    head, claims, signature = signer.token().split(b".")
    for algorithm in NONE:
        yield f"alg {algorithm!r}, no signature", joined(signer.head(alg=algorithm), claims, b"")
        yield f"alg {algorithm!r}, the right one's signature", joined(signer.head(alg=algorithm), claims, signature)
    for name, secret in signer.public_forms().items():
        for algorithm in ("HS256", "HS384", "HS512"):
            yield f"{algorithm} with the public key as secret, {name}", signer.hmac(algorithm, secret)
    yield "HS256 with an empty secret", signer.hmac("HS256", b"")
    yield "no alg", signer.token(jose={"alg": None}, signed=True)
    yield "alg as a list", signer.token(jose={"alg": [signer.algorithm]}, signed=True)
    yield "signed by another key", signer.stranger()
    yield "signed by another key, which it brings along", signer.stranger(bring="jwk")
    yield "signed by another key, by jku", signer.stranger(bring="jku")
    yield "signed by another key, by x5u", signer.stranger(bring="x5u")
    yield "signed by another key, by x5c", signer.stranger(bring="x5c")
    yield "an empty signature", joined(head, claims, b"")
    yield "a signature of noughts", joined(head, claims, b64(bytes(256)))
    yield "half a signature", joined(head, claims, signature[: len(signature) // 2])
    yield "a signature and a byte", joined(head, claims, signature + b"AAAA")
    yield "no signature at all", head + b"." + claims
    yield "a fourth part", joined(head, claims, signature) + b".x"
    yield "five parts, as if it were encrypted", joined(head, b"", claims, b"", signature)
    yield "an empty head", joined(b"", claims, signature)
    yield "empty claims", joined(head, b"", signature)
    yield "claims of another token", joined(head, b64(b'{"sub":"root"}'), signature)
    yield "padding", joined(head + b"=", claims + b"==", signature + b"==")
    yield "the alphabet of plain base64", joined(head, claims, b"+/" + signature[2:])
    yield "a signature whose last bits are not nought", joined(head, claims, signer.loose(signature))
    yield "a space inside", joined(head, claims[:5] + b" " + claims[5:], signature)
    yield "a percent-encoded dot", head + b"%2e" + claims + b"." + signature
    yield "an unknown crit", signer.token(jose={"crit": ["x-unknown"], "x-unknown": True})
    yield "an empty crit", signer.token(jose={"crit": []})
    yield "crit of a registered name", signer.token(jose={"crit": ["alg"]})
    yield "b64 false (RFC 7797)", signer.token(jose={"b64": False, "crit": ["b64"]})
    yield "a kid that is a list", signer.token(jose={"kid": ["x"]})
    yield "a head that is a list", joined(b64(b"[]"), claims, signature)
    yield "a head that is not JSON", joined(b64(b"{"), claims, signature)
    yield "another algorithm of the same key", signer.other_algorithm()


def _claims(signer: "Signer") -> Iterator[tuple[str, bytes]]:
    now = int(time.time())
    for name, change in {
        "another issuer": {"iss": "https://evil.test"},
        "no issuer": {"iss": None},
        "the issuer and a slash": {"iss": str(signer.claims["iss"]) + "/"},
        "the issuer, in a list": {"iss": [signer.claims["iss"]]},
        "the issuer in capitals": {"iss": str(signer.claims["iss"]).upper()},
        "no audience": {"aud": None},
        "another audience": {"aud": "somebody-else"},
        "an empty list of audiences": {"aud": []},
        "a list of other audiences": {"aud": ["a", "b"]},
        "an audience that begins with ours": {"aud": f"{signer.audience}-not"},
        "an audience that is a number": {"aud": 7},
        "no end": {"exp": None},
        "an end an hour ago": {"exp": now - 3600},
        "an end in 1970": {"exp": 0},
        "a negative end": {"exp": -1},
        "an end that is text": {"exp": "never"},
        "an end that is a list": {"exp": [now + 3600]},
        "an end that is true": {"exp": True},
        "an end that is null": {"exp": ...},
        "a beginning in an hour": {"nbf": now + 3600},
        "a beginning that is text": {"nbf": "now"},
    }.items():
        yield name, signer.token(claims=change)
    yield "an end of 1e400", signer.raw_claims(b'"exp":1e400')
    yield "an end twice, the second in time", signer.raw_claims(b'"exp":1,"exp":%d' % (now + 3600))
    yield "claims that are a list", signer.raw(b"[]")
    yield "claims that are no JSON", signer.raw(b"foo")
    yield "claims nested 3,000 deep, without an end", signer.raw_claims(b'"x":' + b"[" * 3000)

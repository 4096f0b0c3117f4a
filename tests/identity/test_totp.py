"""One-time passwords: the RFC's own vectors, and how far a clock may be off."""

import base64
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.clock import Clock
from gateway.identity.totp import STEP, matching_step, new_secret, uri

SECRET = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238 appendix B, SHA-1: its eight digits end in the six that are used here.
VECTORS = (
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
)
AT = 1234567890  # the first second of a step
CODE = "005924"


@pytest.mark.parametrize(("at", "code"), VECTORS)
def test_a_vector_of_the_rfc_is_the_code_of_its_step(at: int, code: str) -> None:
    """Which is the time by thirty, rounded down."""
    assert matching_step(SECRET, code, at) == at // STEP


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(-31, False), (-30, True), (-1, True), (0, True), (29.999, True), (30, True), (59.999, True), (60, False)],
)
def test_a_code_is_good_one_step_either_way(seconds: float, good: bool) -> None:
    """Both sides of both bounds, in the clock of whoever checks."""
    assert matching_step(SECRET, CODE, AT + seconds) == (AT // STEP if good else None)


@pytest.mark.parametrize("code", ["", "5924", "05924", "0005924", "94287082", "005924 ", "00592x", "005925"])
def test_another_text_is_of_no_step(code: str) -> None:
    """Not a number that happens to be the same, either."""
    assert matching_step(SECRET, code, AT) is None


def test_another_secret_has_other_codes() -> None:
    """The last bit of it counts."""
    other = base64.b32encode(b"12345678901234567891").decode()
    assert matching_step(other, CODE, AT) is None


def test_a_secret_is_twenty_random_bytes() -> None:
    """RFC 4226 section 4, R6; in base32, without padding."""
    assert (
        new_secret(Clock(token_bytes=lambda count: bytes(range(count)))) == base64.b32encode(bytes(range(20))).decode()
    )


@pytest.mark.parametrize("holder", ["ada@example.org", "ada+x@example.org", "a&secret=b@example.org", "Ada Ü"])
def test_an_app_reads_the_secret_and_the_issuer(holder: str) -> None:
    """Whatever the holder's name has in it."""
    found = urlsplit(uri(SECRET, holder, "My & Celium"))
    query = parse_qs(found.query, strict_parsing=True)
    assert (found.scheme, found.netloc, query["secret"], query["issuer"]) == (
        "otpauth",
        "totp",
        [SECRET],
        ["My & Celium"],
    )

"""Short secrets: what is one, how it is read as people type it, and what is stored in its place."""

import hashlib
import hmac
import re

import pytest

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity import codes

ADA, BOB = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11", "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b12"
TOKEN = "A" * 43
ODD_DIGITS = ("１２３４５６", "12345６", "١٢٣٤٥٦", "१२३४५६", "²²²²²²", "𝟏𝟐𝟑𝟒𝟓𝟔")


def pepper(purpose: str, value: bytes) -> bytes:
    """As the store's: keyed, by purpose."""
    return hmac.digest(b"key", purpose.encode() + b"\0" + value, hashlib.sha256)


def fixed(byte: int) -> Clock:
    return Clock(token_bytes=lambda count: bytes([byte]) * count)


@pytest.mark.parametrize(
    ("typed", "found"),
    [("123456", "123456"), ("000000", "000000"), (" 123456 ", "123456"), ("   999999", "999999")],
)
def test_six_digits_are_a_code(typed: str, found: str) -> None:
    """Zeros in front count; spaces around it do not."""
    assert codes.digits(typed) == found


@pytest.mark.parametrize(
    "typed",
    ["", " ", "12345", "1234567", "12 3456", "123-456", "12345a", "-12345", "+12345", "1e5000", "123456\n", "\t123456",
     "123456\0", "0x1234", "\ud800", "123456\u200b", "\u00a0123456", *ODD_DIGITS],
    ids=ascii,
)  # fmt: skip
def test_anything_else_is_no_code(typed: str) -> None:
    """The digits of other scripts, full-width ones among them, would be a second spelling of the same code."""
    assert codes.digits(typed) is None


@pytest.mark.parametrize("typed", ["12345", *ODD_DIGITS])
def test_where_six_digits_are_asked_for_nothing_else_passes(typed: str) -> None:
    """And the refusal does not repeat what was typed."""
    with pytest.raises(RequestRejected, match="bad_parameter") as caught:
        codes.require_digits(typed)
    assert typed not in str(caught.value)


@pytest.mark.parametrize(
    ("random", "code"),
    [(bytes(8), "000000"), (b"\0" * 7 + b"\x07", "000007"), ((999_999).to_bytes(8), "999999"),
     ((1_000_000).to_bytes(8), "000000"), (b"\xff" * 8, "551615")],
)  # fmt: skip
def test_a_random_code_is_a_number_below_a_million(random: bytes, code: str) -> None:
    """With zeros in front."""
    assert codes.random_code(Clock(token_bytes=lambda _: random)) == code


@pytest.mark.parametrize(("byte", "token"), [(0, "A" * 43), (255, "_" * 42 + "8"), (0xFB, "-_v7" * 10 + "-_s")])
def test_a_link_s_token_is_thirty_two_bytes_in_base64url(byte: int, token: str) -> None:
    """Without padding: 43 characters that need no escaping in a path."""
    assert codes.link_token(fixed(byte)) == token


def test_what_is_stored_of_a_link_is_a_digest_of_its_own_kind() -> None:
    """No other SHA-256 of the same text stands in for it."""
    assert codes.link_digest(TOKEN) == hashlib.sha256(b"gateway.link\0" + TOKEN.encode()).digest()


@pytest.mark.parametrize(
    "token",
    ["", "A" * 42, "A" * 44, "A" * 42 + "=", "A" * 42 + "+", "A" * 42 + "/", "Ａ" * 43, TOKEN + "\n", "\ud800"],
    ids=ascii,
)  # fmt: skip
def test_what_no_link_of_ours_looks_like_has_no_digest(token: str) -> None:
    """The store is not asked for it."""
    assert codes.link_digest(token) is None


def test_a_link_s_code_is_always_the_same() -> None:
    """It is made of the token each time that it is shown."""
    found = {codes.code_of_link(TOKEN, pepper) for _ in range(3)}
    assert [bool(re.fullmatch("[0-9]{6}", code)) for code in found] == [True]


def test_a_link_s_code_needs_the_key() -> None:
    """Whoever has the token alone cannot work it out."""
    assert codes.code_of_link(TOKEN, pepper) != codes.code_of_link(TOKEN, lambda purpose, value: bytes(32))


def test_the_mac_of_a_code_is_one_challenge_s() -> None:
    """A row cannot be copied into another challenge."""
    assert codes.code_mac(pepper, ADA, "123456") != codes.code_mac(pepper, BOB, "123456")


def test_recovery_codes_are_ten_in_base32() -> None:
    """Two times five characters."""
    found = codes.recovery_codes(Clock())
    assert [bool(re.fullmatch("[a-z2-7]{5}-[a-z2-7]{5}", code)) for code in found] == [True] * 10


def test_no_two_recovery_codes_are_the_same() -> None:
    """Fifty bits each."""
    assert len(set(codes.recovery_codes(Clock()))) == 10


@pytest.mark.parametrize("typed", ["abcde-fghij", "ABCDE-FGHIJ", "abcdefghij", " abcde fghij ", "a-b-c-d-e-fghij"])
def test_a_recovery_code_is_read_as_people_write_it(typed: str) -> None:
    """Case, dashes and spaces are no difference."""
    assert codes.recovery_mac(pepper, ADA, typed) == codes.recovery_mac(pepper, ADA, "abcde-fghij")


@pytest.mark.parametrize(
    "typed", ["", "abcde-fghi", "abcde-fghijk", "abcde-fghi1", "abcde-fghi8", "abcde_fghij", "ａbcde-fghij", "123456",
              "abcde\tfghij", "abcde-fghij\n", "\ud800"],
    ids=ascii,
)  # fmt: skip
def test_what_no_recovery_code_looks_like_has_no_mac(typed: str) -> None:
    """The store is not asked for it; six digits are never one."""
    assert codes.recovery_mac(pepper, ADA, typed) is None


def test_the_mac_of_a_recovery_code_is_one_account_s() -> None:
    """The same ten letters of somebody else are another code."""
    assert codes.recovery_mac(pepper, ADA, "abcde-fghij") != codes.recovery_mac(pepper, BOB, "abcde-fghij")

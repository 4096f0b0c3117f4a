"""Both forms of a connection string: tables of values."""

import base64
import contextlib
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.connection_string import ConnectionStringError, mint, parse, verify
from gateway.identity.model import MacKey

ACCOUNT = "b5e2f3a1-5678-4def-9abc-000000000002"
TENANT = "a3f1e2d0-1234-4abc-8def-000000000001"
KEY = MacKey(7, b"k" * 64)
UNTIL = 1798761600.0  # 2027-01-01T00:00:00Z
SIGNED = f"acc={ACCOUNT};tid={TENANT};r=manager;edt=2027-01-01T00:00:00Z"
SEED = f"{SIGNED};sig={hmac.new(KEY.secret, SIGNED.encode(), hashlib.sha256).hexdigest()}"
PLAIN = f"aid={ACCOUNT};edt=2027-01-01T00:00:00+00:00;rls=manager:1;tid={TENANT};kvr=7"


def mycelium(plain: str, key: bytes = KEY.secret) -> str:
    signature = hmac.new(key, base64.b64encode(plain.encode()), hashlib.sha512).hexdigest()
    return base64.b64encode(f"{plain};sig={signature}".encode()).decode()


def test_the_seed_form_is_minted_byte_for_byte() -> None:
    """Five fields in their order, signed over what stands before the signature."""
    assert mint(ACCOUNT, TENANT, "manager", UNTIL, KEY).decode() == SEED


def test_the_mycelium_form_is_minted_byte_for_byte() -> None:
    """The MAC is over the base64 text, and the offset is numeric."""
    assert mint(ACCOUNT, TENANT, "manager", UNTIL, KEY, form="mycelium").decode() == mycelium(PLAIN)


@pytest.mark.parametrize("raw", [SEED, mycelium(PLAIN)])
def test_both_forms_say_the_same(raw: str) -> None:
    """Account, tenant, role and expiry."""
    found = parse(raw.encode())
    assert (found.account_id, found.tenant_id, found.roles, found.expires_at) == (ACCOUNT, TENANT, ("manager",), UNTIL)


@pytest.mark.parametrize("raw", [SEED, mycelium(PLAIN)])
def test_both_forms_verify(raw: str) -> None:
    """With the key that signed."""
    assert verify(parse(raw.encode()), [KEY])


@pytest.mark.parametrize("raw", [SEED, mycelium(PLAIN)])
def test_another_key_does_not_verify(raw: str) -> None:
    """Nor does having no key."""
    assert not verify(parse(raw.encode()), [MacKey(7, b"x" * 64)])
    assert not verify(parse(raw.encode()), [])


def test_the_seed_form_tries_three_keys() -> None:
    """The third live key counts, a fourth does not."""
    others = [MacKey(version, bytes([version]) * 64) for version in (10, 9, 8)]
    assert verify(parse(SEED.encode()), [*others[:2], KEY])
    assert not verify(parse(SEED.encode()), [*others, KEY])


def test_the_mycelium_form_tries_the_key_it_names() -> None:
    """The same secret under another version does not count."""
    assert not verify(parse(mycelium(PLAIN).encode()), [MacKey(8, KEY.secret)])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (ACCOUNT, TENANT),
        ("r=manager", "r=admin"),
        ("2027", "2028"),
        (TENANT, TENANT.replace("1", "2")),
    ],
)
def test_an_altered_field_does_not_verify(old: str, new: str) -> None:
    """Every field is under the signature."""
    altered = SEED.replace(old, new)
    assert altered != SEED
    assert not verify(parse(altered.encode()), [KEY])


REFUSED = [
    "",
    "acc=",
    SEED + ";",
    SEED + "\n",
    " " + SEED,
    SEED.upper(),
    SEED[:-1],
    SEED + "0",
    SEED[:-64] + SEED[-64:].upper().replace("0", "A"),
    SIGNED,
    SEED.replace("tid=", "rid="),
    SEED.replace("acc=", "aid="),
    SEED.replace(ACCOUNT, ACCOUNT.upper()),
    SEED.replace(ACCOUNT, ACCOUNT.replace("-", "")),
    SEED.replace("manager", "Manager"),
    SEED.replace("manager", "-manager"),
    SEED.replace("manager", "m" * 65),
    SEED.replace("manager", ""),
    SEED.replace("00:00:00Z", "00:00:00+00:00"),
    SEED.replace("2027-01-01", "2027-02-30"),
    SEED.replace("2027-01-01", "0000-01-01"),
    SEED.replace("2027", "２０２７"),
    SEED.replace(";r=", ";x=1;r="),
    f"tid={TENANT};acc={ACCOUNT};{SEED[SEED.index('r=') :]}",
    mycelium(PLAIN) + "=",
    mycelium(PLAIN)[:-4],
    mycelium(PLAIN) + "AAAA",
    "\n" + mycelium(PLAIN),
    mycelium(PLAIN + ";kvr=7"),
    mycelium(PLAIN + ";xyz=1"),
    mycelium(PLAIN + ";"),
    mycelium(PLAIN.replace(";kvr=7", "")),
    mycelium(PLAIN.replace("kvr=7", "kvr=-7")),
    mycelium(PLAIN.replace("kvr=7", "kvr=07")),
    mycelium(PLAIN.replace("manager:1", "manager")),
    mycelium(PLAIN.replace("manager:1", "manager:2")),
    mycelium(PLAIN.replace("+00:00", "Z")),
    mycelium(PLAIN.replace("tid=", "Tid=")),
    mycelium(PLAIN + ";url=a=b"),
    base64.b64encode(PLAIN.encode()).decode(),
    base64.b64encode(f"{PLAIN};sig=00".encode()).decode(),
    "A" * 4100,
]


@pytest.mark.parametrize("raw", REFUSED)
def test_what_is_out_of_form_is_refused(raw: str) -> None:
    """One credential has one spelling."""
    with pytest.raises(ConnectionStringError):
        parse(raw.encode())


@pytest.mark.parametrize(
    "plain",
    [
        PLAIN.replace("aid=", "AID=").replace("kvr=", "KVR="),
        f"kvr=7;tid={TENANT};edt=2027-01-01T00:00:00+00:00;aid={ACCOUNT}",
        PLAIN + f";sid={ACCOUNT};url=https://example.org/",
        PLAIN.replace("manager:1", "manager:1,reader:0"),
        PLAIN.replace("2027-01-01T00:00:00+00:00", "2026-12-31T21:00:00-03:00"),
    ],
)
def test_what_mycelium_takes_is_taken(plain: str) -> None:
    """Fields in any order, keys in capitals, fields without a meaning here, another offset."""
    found = parse(mycelium(plain).encode())
    assert verify(found, [KEY])
    assert found.expires_at == UNTIL


def test_an_error_does_not_show_the_string() -> None:
    """It may be most of a credential."""
    with pytest.raises(ConnectionStringError) as caught:
        parse(SEED[:-1].encode())
    assert ACCOUNT not in f"{caught.value!r}"


@pytest.mark.parametrize("role", ["", "A", "a;b", "a=b"])
def test_minting_what_could_not_be_parsed_is_refused(role: str) -> None:
    """The last guard before a credential is handed out."""
    with pytest.raises(ValueError, match="form"):
        mint(ACCOUNT, TENANT, role, UNTIL, KEY)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: base64.b64encode(text.encode())))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    """Nothing but ConnectionStringError comes out."""
    with contextlib.suppress(ConnectionStringError):
        assert not verify(parse(raw), [KEY])


@given(st.integers(0, len(SEED) - 1), st.integers(1, 127))
def test_any_flipped_bits_end_it(place: int, mask: int) -> None:
    """A string with one altered byte is refused by one of the two."""
    raw = bytearray(SEED.encode())
    raw[place] ^= mask
    with contextlib.suppress(ConnectionStringError):
        assert not verify(parse(bytes(raw)), [KEY])

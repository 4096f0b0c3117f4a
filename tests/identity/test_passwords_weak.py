"""Which passwords may be set, and which hashes of other systems are read."""

from collections.abc import Iterator
from typing import Final

import bcrypt
import pytest

from gateway.errors import RequestRejected
from gateway.identity import weak
from gateway.identity.model import Account, Owner
from gateway.identity.passwords import MAX_BCRYPT_COST, MAX_MEMORY, MAX_WORK, Passwords, require_affordable

# https://www.openwall.com/crypt: a test vector of crypt_blowfish's wrapper.c, whose password is U*U
VECTOR: Final = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
ARGON2: Final = "$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$nmcZnz4DQRpIYVUeAs6yVQ"
ADA: Final = Account("1", "Ada Lovelace", Owner("2", "countess@example.org", username="ada.l.1815"))


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    found = Passwords(threads=1)
    yield found
    found.close()


def bcrypted(password: str, prefix: bytes = b"2b") -> str:
    made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    return f"${prefix.decode()}${made[4:]}"


# common ones


def test_the_list_has_about_ten_thousand_passwords() -> None:
    """All long enough to be set, and in the form that is compared."""
    found = weak.common()
    assert len(found) == 11_611
    assert all(8 <= len(password) <= 128 and password == password.casefold() for password in found)


@pytest.mark.parametrize("password", ["12345678", "baseball", "BaseBall", "iloveyou", "1q2w3e4r", "11234567"])
def test_a_common_password_is_refused(passwords: Passwords, password: str) -> None:
    """In any case of its letters, up to the last of the list."""
    with pytest.raises(RequestRejected, match="among the most common"):
        passwords.check(password)


@pytest.mark.parametrize("password", ["correct horse", "SDf345FCe", "84729301", "# passwords that attackers try first"])
def test_another_password_is_taken(passwords: Passwords, password: str) -> None:
    """There are no rules about its characters (NIST SP 800-63B section 3.1.1.2)."""
    assert passwords.check(password) == password


async def test_a_weak_password_is_not_hashed(passwords: Passwords) -> None:
    """Whoever sets one goes through the check."""
    with pytest.raises(RequestRejected):
        await passwords.hash("Iloveyou")


# words of the context


@pytest.mark.parametrize(
    "password",
    [
        "Ada Lovelace",
        "adalovelace1815",
        "countess",
        "COUNTESS99",
        "countess@example.org",
        "Ada.L.1815",
        "ada.l.18152026",
        "Password2026",
        "PASSWORD",
        "Mycelium",
        "gateway123",
    ],
)
def test_a_word_of_the_context_is_refused(passwords: Passwords, password: str) -> None:
    """As a whole password, but for case, spaces and digits at the end."""
    with pytest.raises(RequestRejected, match="a name or an address"):
        passwords.check(password, weak.context_of(ADA))


@pytest.mark.parametrize("password", ["countess of horses", "xcountess", "1815countess", "countess!"])
def test_a_password_with_a_word_of_the_context_in_it_is_taken(passwords: Passwords, password: str) -> None:
    """Only the word alone is guessed at once."""
    assert passwords.check(password, weak.context_of(ADA)) == password


def test_another_persons_name_is_taken(passwords: Passwords) -> None:
    """Context is what is known of this one."""
    assert passwords.check("Ada Lovelace") == "Ada Lovelace"


def test_a_name_of_digits_forbids_itself_alone(passwords: Passwords) -> None:
    """Nothing is left of it without the digits at the end."""
    assert passwords.check("84729302", ["84729301"])
    with pytest.raises(RequestRejected):
        passwords.check("84729301", ["84729301"])


def test_no_refusal_repeats_the_password(passwords: Passwords) -> None:
    """Texts of errors are shown and logged."""
    told = []
    for password in ("iloveyou", "countess1815", "x" * 7):
        with pytest.raises(RequestRejected) as refused:
            passwords.check(password, ["countess"])
        told.append(str(refused.value))
    assert not any(password in text for text in told for password in ("iloveyou", "countess", "xxxxxxx"))


# hashes of other systems


async def test_a_published_bcrypt_hash_matches_its_password(passwords: Passwords) -> None:
    """And it alone."""
    assert await passwords.verify(VECTOR, "U*U")
    assert not await passwords.verify(VECTOR, "U*V")


@pytest.mark.parametrize("prefix", [b"2a", b"2b", b"2y"])
async def test_every_form_of_bcrypt_is_read(passwords: Passwords, prefix: bytes) -> None:
    """OpenBSD's two, and that of PHP."""
    phc = bcrypted("correct horse", prefix)
    assert await passwords.verify(phc, "correct horse")
    assert not await passwords.verify(phc, "correct horsf")


@pytest.mark.parametrize(("typed", "good"), [("é" * 35 + "xyz", True), ("é" * 35 + "x", False)])
async def test_bcrypt_reads_72_bytes(passwords: Passwords, typed: str, good: bool) -> None:
    """What is over was never looked at, in the middle of a character or not."""
    assert await passwords.verify(bcrypted("é" * 35 + "xy" + "forgotten"), typed) is good


async def test_a_zero_byte_is_no_failure(passwords: Passwords) -> None:
    """JSON can hold one."""
    assert not await passwords.verify(bcrypted("correct horse"), "correct\0horse")


async def test_an_imported_hash_is_made_anew(passwords: Passwords) -> None:
    """With the next login: bcrypt always, argon2 with other parameters."""
    made = await passwords.hash("correct horse")
    assert [passwords.needs_rehash(phc) for phc in (VECTOR, ARGON2, made)] == [True, True, False]


async def test_a_weak_password_that_was_imported_is_made_anew(passwords: Passwords) -> None:
    """It logs in still: whoever brought it is not locked out."""
    assert await passwords.verify(await passwords.rehash("iloveyou"), "iloveyou")


@pytest.mark.parametrize("phc", [VECTOR, ARGON2, bcrypted("x", b"2y")], ids=["bcrypt", "argon2", "2y"])
async def test_a_readable_hash_is_imported(passwords: Passwords, phc: str) -> None:
    """As it is."""
    assert await passwords.imported(phc) == phc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81",
        VECTOR[:-1],
        VECTOR + "\n",
        VECTOR.replace("$05$", f"${MAX_BCRYPT_COST + 1}$"),
        VECTOR.replace("$05$", "$03$"),
        VECTOR.replace("$2a$", "$2x$"),
        ARGON2.replace("m=1024", "m=1048576"),
        ARGON2.replace("t=1", "t=17"),
        ARGON2.replace("m=1024,t=1", f"m={MAX_MEMORY},t=3"),  # each of the two alone would be good
        ARGON2.replace("m=1024,t=1", f"m={MAX_WORK // 16 + 1},t=16"),
        ARGON2.replace("m=1024", "m=1"),
        ARGON2.replace("c29t", "????"),
        "$argon2id$v=19$m=1024,t=1",
        "$argon2id$v=19$m=x,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$nmcZnz4DQRpIYVUeAs6yVQ",
    ],
)
async def test_another_text_is_not_imported(passwords: Passwords, text: str) -> None:
    """Unreadable, or too expensive for every login; the text is not repeated."""
    with pytest.raises(RequestRejected) as refused:
        await passwords.imported(text)
    assert text == "" or text not in str(refused.value)


@pytest.mark.parametrize("cost", ["m=65536,t=8", f"m={MAX_WORK // 16},t=16", f"m={MAX_MEMORY},t=2"])
def test_what_takes_half_a_second_is_affordable(cost: str) -> None:
    """Up to the limit of both together; beyond it, memory and passes are not."""
    require_affordable(ARGON2.replace("m=1024,t=1", cost))
    memory, passes = cost.split(",t=")
    with pytest.raises(RequestRejected, match="too much time"):
        require_affordable(ARGON2.replace("m=1024,t=1", f"{memory},t={int(passes) + 1}"))

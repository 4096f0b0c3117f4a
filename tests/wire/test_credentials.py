"""Which credential counts, and of what form it is."""

import pytest

from gateway.errors import RequestRejected
from gateway.wire.credentials import MAX_CREDENTIAL_BYTES, present

SEED_FORM = b"acc=1;tid=2;r=manager;edt=2030-01-01T00:00:00+00:00;sig=00"


def code_of(connection_string: bytes | None, authorization: bytes | None) -> str:
    with pytest.raises(RequestRejected) as caught:
        present(connection_string, authorization)
    return caught.value.code


@pytest.mark.parametrize(
    ("connection_string", "authorization", "kind", "raw"),
    [
        (SEED_FORM, None, "connection_string", SEED_FORM),
        (SEED_FORM + b" \t", None, "connection_string", SEED_FORM),
        (b"YWNjPTE=", None, "connection_string", b"YWNjPTE="),
        (None, b"Bearer a.b.c", "jwt", b"a.b.c"),
        (None, b"bearer a.b.c", "jwt", b"a.b.c"),
        (None, b"BEARER   a-_9.b.c", "jwt", b"a-_9.b.c"),
        (None, b"Bearer a.b.c ", "jwt", b"a.b.c"),
        (None, b"Bearer abc", "opaque", b"abc"),
        (None, b"Bearer -", "opaque", b"-"),
        (None, b"Bearer a+/~b==", "opaque", b"a+/~b=="),
        (None, b"Bearer a.b", "opaque", b"a.b"),
        (None, b"Bearer a.b.c.d", "opaque", b"a.b.c.d"),
        (None, b"Bearer a.b.c.d.e", "opaque", b"a.b.c.d.e"),
    ],
)
def test_a_credential_is_read_by_its_form(
    connection_string: bytes | None, authorization: bytes | None, kind: str, raw: bytes
) -> None:
    """Three parts are a JWT, other bearer tokens opaque; the scheme has no case, white space around is no part."""
    presented = present(connection_string, authorization)
    assert presented is not None
    assert (presented.kind, presented.raw) == (kind, raw)


@pytest.mark.parametrize("authorization", [b"Bearer a.b.c", b"Bearer", b"Bearer a, Bearer b", b"Basic eDp5"])
def test_a_connection_string_comes_first(authorization: bytes) -> None:
    """With a connection string, Authorization is not looked at."""
    presented = present(SEED_FORM, authorization)
    assert presented is not None
    assert presented.kind == "connection_string"


@pytest.mark.parametrize("connection_string", [b"", b" ", b"acc=\x00", b"acc=\x7f", b"acc=\xe9", b"a\tb", b"a\n"])
def test_a_bad_connection_string_is_not_rescued_by_a_bearer(connection_string: bytes) -> None:
    """Present and wrong is refused, whatever else the request has."""
    assert code_of(connection_string, b"Bearer a.b.c") == "invalid_credential"


@pytest.mark.parametrize(
    "authorization",
    [None, b"Basic eDp5", b"Negotiate", b"Bearerx abc", b'Digest username="a", realm="b"', b"DPoP a.b.c"],
)
def test_no_credential_of_ours_is_none(authorization: bytes | None) -> None:
    """Other schemes, and no header at all, are no credential."""
    assert present(None, authorization) is None


BAD_BEARERS = [
    b"",
    b" ",
    b"Bearer",
    b"bearer",
    b"Bearer ",
    b"Bearer   ",
    b"Bearer\ta",
    b"Bearer:a",
    b"Bearer a b",
    b"Bearer a\tb",
]
BAD_BEARERS += [
    b"Bearer " + SEED_FORM,
    b"Bearer =",
    b"Bearer a=b",
    b'Bearer "a"',
    b"Bearer a\x00",
    b"Bearer \xe9",
    b"\xe9 a",
]
BAD_BEARERS += [
    b"Bearer ..",
    b"Bearer .b.c",
    b"Bearer a..c",
    b"Bearer a.b.",
    b"Bearer a..",
    b"Bearer a.b.c=",
    b"Bearer a.b+.c",
]
BAD_BEARERS += [b"Bearer a.b.c\n", b"Bearer abc\n", b"Bearer\xa0abc"]


@pytest.mark.parametrize("authorization", BAD_BEARERS)
def test_a_bearer_that_cannot_be_right_is_refused(authorization: bytes) -> None:
    """No token, several words, a connection string, bytes outside b64token, or a JWT with an empty or odd part."""
    assert code_of(None, authorization) == "invalid_credential"


@pytest.mark.parametrize(
    "authorization",
    [
        b"Bearer a, Bearer b",
        b"Bearer a,b",
        b"Bearer a.b.c,Basic eDp5",
        b"Basic eDp5, Bearer a.b.c",
        b"Basic x,bearer",
        b"Basic x, Bearer,y",
    ],
)
def test_several_credentials_in_one_header_are_refused(authorization: bytes) -> None:
    """A joined Authorization is two credentials, and neither is chosen."""
    assert code_of(None, authorization) == "duplicate_credential"


def test_the_longest_credentials_are_taken() -> None:
    """8 KiB exactly passes in every form."""
    token = b"a" * MAX_CREDENTIAL_BYTES
    taken = [present(token, None), present(None, b"Bearer " + token), present(None, b"Bearer a.b." + token[4:])]
    assert [presented and len(presented.raw) for presented in taken] == [8192, 8192, 8192]


@pytest.mark.parametrize("prefix", [b"", b"a.b."])
def test_a_longer_credential_is_refused(prefix: bytes) -> None:
    """One byte more than 8 KiB is refused in every form."""
    token = prefix + b"a" * (MAX_CREDENTIAL_BYTES + 1 - len(prefix))
    assert (code_of(token, None), code_of(None, b"Bearer " + token)) == ("invalid_credential", "invalid_credential")


@pytest.mark.parametrize(("connection_string", "authorization"), [(SEED_FORM, None), (None, b"Bearer s3cret")])
def test_printing_a_credential_tells_its_form_only(
    connection_string: bytes | None, authorization: bytes | None
) -> None:
    """A log line with it in has no secret."""
    assert repr(present(connection_string, authorization)) in ("Presented(connection_string)", "Presented(opaque)")


@pytest.mark.parametrize("authorization", [b"Bearer s3cret s3cret", b"Bearer s3cret,s3cret", b"Bearer s3cret..s3cret"])
def test_a_refusal_has_no_part_of_the_credential(authorization: bytes) -> None:
    """The error text is ours alone."""
    with pytest.raises(RequestRejected) as caught:
        present(None, authorization)
    assert "s3cret" not in str(caught.value)

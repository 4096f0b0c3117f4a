"""Addresses and names: what is taken, and what counts as the same."""

import pytest

from gateway.errors import RequestRejected
from gateway.identity.addresses import address, display_name, username


@pytest.mark.parametrize(
    ("text", "normal", "key"),
    [
        ("ada@example.org", "ada@example.org", "ada@example.org"),
        ("Ada@EXAMPLE.org", "Ada@example.org", "ada@example.org"),
        ("ada@xn--mnchen-3ya.de", "ada@münchen.de", "ada@münchen.de"),
        ("ada@localhost", "ada@localhost", "ada@localhost"),
        ("ada@corp.local", "ada@corp.local", "ada@corp.local"),
        ("ada@host.lan", "ada@host.lan", "ada@host.lan"),
        ("ada@mail.internal", "ada@mail.internal", "ada@mail.internal"),
        ("ada@example.test", "ada@example.test", "ada@example.test"),
    ],
)
def test_an_address_has_a_normal_form_and_a_key(text: str, normal: str, key: str) -> None:
    """Intranet names are names too."""
    found = address(text)
    assert (found.text, found.key) == (normal, key)


@pytest.mark.parametrize("text", ["", "ada", "@example.org", "ada@", "a b@example.org", "ada@exa mple.org", "ada@host"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """Without repeating it."""
    with pytest.raises(RequestRejected, match="not valid"):
        address(text)


@pytest.mark.parametrize("text", ["ada\u0131@example.org", "\u0430da@example.org"])
def test_a_local_part_that_looks_like_another_is_refused(text: str) -> None:
    """S-42: a dotless i, a Cyrillic a."""
    with pytest.raises(RequestRejected, match="ASCII"):
        address(text)


@pytest.mark.parametrize("text", ["ada@example.org\r\nx: y", "ada\n@example.org"])
def test_no_address_breaks_a_header(text: str) -> None:
    """An address goes into x-mycelium-email as it is."""
    with pytest.raises(RequestRejected):
        address(text)


@pytest.mark.parametrize("text", ["ada", "Ada.L", "a" * 64, "ада"])
def test_a_username_is_taken(text: str) -> None:
    """Up to 64 characters of any script."""
    assert username(text)[0] == text


@pytest.mark.parametrize("text", ["", "a" * 65, "a b", "a@b", "a\n", "a\u200bb", "a/b"])
def test_a_username_out_of_form_is_refused(text: str) -> None:
    """No space, nothing invisible, nothing that a path or an address is made of."""
    with pytest.raises(RequestRejected, match="invalid_value"):
        username(text)


def test_a_username_is_compared_without_case_and_width() -> None:
    """Full-width capitals are the same name."""
    assert username("ＡＤＡ")[1] == username("ada")[1]


@pytest.mark.parametrize("text", ["", " ", "a" * 201, "a\x00b", "a\nb"])
def test_a_display_name_out_of_form_is_refused(text: str) -> None:
    """One to 200 printable characters."""
    with pytest.raises(RequestRejected, match="invalid_value"):
        display_name(text)

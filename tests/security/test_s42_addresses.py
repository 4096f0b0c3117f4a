"""S-42: an address has one form, and another address never has the same."""

import pytest
from harness.site import Site
from identity.core.desk import Desk, seated

from gateway.errors import RequestRejected
from gateway.identity.addresses import address

# Each is refused: what one reader takes for Ada's address, and the next one does not.
ODD = (
    "ada＠example.org",
    "ada﹫example.org",
    "ada@evil.example@example.org",
    "ada@example.org@evil.example",
    "ada@example.org\0",
    "ada\0@example.org",
    "ada@exam\0ple.org",
    "ad\u200ba@example.org",
    "ada@exam\u200bple.org",
    "ada@example.org\u200b",
    "ada\u00ad@example.org",
    "\ufeffada@example.org",
    "ada@example.org ",
    " ada@example.org",
    "ada@example.org\n",
    '"ada"@example.org',
    "ada(x)@example.org",
    "Ada <ada@example.org>",
    "<ada@example.org>",
    "ada@example.org,eve@evil.example",
    "ada%evil.example@example.org ada",
    "ada@[127.0.0.1]",
    "ada@example.org.",
    "ada.@example.org",
    "ａda@example.org",
    "ada\ud800@example.org",
)
WAYS = {
    "magic-link/request": ("users/magic-link/request", {}),
    "verify": ("users/magic-link/verify", {"code": "000000"}),
    "login": ("users/login", {"password": "correct horse battery"}),
    "start-password-reset": ("users/start-password-reset", {}),
    "reset-password": ("users/reset-password", {"token": "000000", "newPassword": "another horse battery"}),
}


@pytest.mark.parametrize("text", ODD, ids=ascii)
def test_s42_what_could_be_read_in_two_ways_is_no_address(text: str) -> None:
    """Not a normal form of it, either."""
    with pytest.raises(RequestRejected, match="invalid_value"):
        address(text)


@pytest.mark.parametrize("way", WAYS)
async def test_s42_every_way_in_refuses_them(site: Site, way: str) -> None:
    """With 400, as Mycelium does, and without repeating what was sent."""
    desk: Desk = await seated(site)
    path, rest = WAYS[way]
    answers = [await desk.call("POST", path, {**rest, "email": text}) for text in ODD]
    assert {(answer.status, b"evil" in answer.body) for answer in answers} == {(400, False)}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada+x@example.org", "ada@example.org"),
        ("a.da@example.org", "ada@example.org"),
        ("ada@straße.de", "ada@strasse.de"),
        ("ada@βόλος.com", "ada@βόλοσ.com"),
        ("ada@example.org", "ada@sub.example.org"),
    ],
)
def test_s42_two_mailboxes_have_two_keys(one: str, other: str) -> None:
    """IDNA 2008 keeps ß and ς apart from what they fold to: two domains, which two people may hold."""
    assert address(one).key != address(other).key


@pytest.mark.parametrize("text", ["ADA@example.org", "ada@EXAMPLE.ORG", "ada@ＥＸＡＭＰＬＥ.org", "ada@example。org"])
def test_s42_spellings_of_a_mailbox_have_one_key(text: str) -> None:
    """UTS 46 maps the domain's; case is no difference in practice."""
    assert address(text).key == "ada@example.org"


def test_s42_a_normal_form_is_its_own_normal_form() -> None:
    """Whatever was typed: what is stored is found again."""
    typed = ("Ada@ＥＸＡＭＰＬＥ.org", "ada@xn--mnchen-3ya.de", "ada@MÜNCHEN.de", "ada+x@host.lan", "ada@straße.de")
    found = [address(text) for text in typed]
    assert [address(one.text) for one in found] == found

"""S-42 at every API: what is no address is refused wherever one is typed; what is one is stored once, in one form, and
what is mailed goes to that form.
"""

import json
from email import message_from_bytes
from email.message import Message

import pytest
from dialects.desk import Desk
from harness.people import open_people
from harness.site import Site
from identity.core.desk import ADA, BASE, BOB, seated
from identity.core.desk import Desk as Wired

from gateway.clock import Clock
from gateway.errors import RequestRejected
from gateway.identity.accounts import Accounts, NewAccount
from security.test_s42_addresses import ODD

TYPED: dict[str, dict[str, str]] = {
    "/v1/login": {"password": "correct horse battery"},
    "/user/login": {"password": "correct horse battery"},
    "/auth/login": {"username": "ada", "session_platform": "cURL"},
    "/auth/registration": {"username": "new-one", "session_platform": "cURL"},
    f"{BASE}/users/magic-link/request": {},
    f"{BASE}/users/login": {"password": "correct horse battery"},
}
SPELLINGS = ("ADA@example.org", "Ada@Example.Org", "ada@ＥＸＡＭＰＬＥ.org", "ada@example。org", "ada@EXAMPLE.ORG")


@pytest.mark.parametrize("path", TYPED)
def test_s42_no_api_takes_what_is_no_address(desk: Desk, path: str) -> None:
    """A fault of whoever typed it, never one of ours: nobody is let in, mailed or made, and nothing is repeated."""
    before = len(list((desk.host.running.people.folder / "outbox").glob("*.eml")))
    found = {}
    for text in ODD:
        desk.hand.rest()
        answer = desk.post(path, {**TYPED[path], "email": text})
        found[ascii(text)] = (400 <= answer.status < 500, b"evil" in answer.body)
    after = len(list((desk.host.running.people.folder / "outbox").glob("*.eml")))
    assert (set(found.values()), after) == ({(True, False)}, before)


async def test_s42_a_second_account_under_another_spelling_is_refused(site: Site) -> None:
    """By the table's own index: also when two are made at once, past every check in the program."""
    desk = await seated(site)
    store = await open_people(desk.running.people)
    accounts = Accounts(store.accounts, store.tenants, store.roles, Clock())
    found = []
    try:
        for text in SPELLINGS:
            with pytest.raises(RequestRejected) as caught:
                await accounts.create_account(NewAccount(text))
            found.append(caught.value.code)
        for text in ("ada+x@example.org", "a.da@example.org", "ada@sub.example.org"):
            await accounts.create_account(NewAccount(text))
    finally:
        await store.aclose()
    assert set(found) == {"conflict"}


async def test_s42_every_spelling_reaches_the_one_account(site: Site) -> None:
    """And logs in to it: one account, whatever was typed."""
    desk = await seated(site)
    await desk.give_password(ADA)
    found = set()
    for text in (ADA, *SPELLINGS):
        body = {"email": text, "password": "correct horse battery"}
        token = (await desk.done("POST", "users/login", body))["token"]
        found.add(json.loads((await desk.call("GET", "profile", token=token)).body)["accId"])
    assert found == {desk.running.people.ada.account_id}


@pytest.mark.parametrize("path", ["users/magic-link/request", "users/start-password-reset"])
async def test_s42_a_mail_goes_to_the_stored_address(site: Site, path: str) -> None:
    """Not to the spelling that somebody else has typed (CVE-2019-19844)."""
    desk = await seated(site)
    for text in SPELLINGS:
        await desk.done("POST", path, {"email": text})
    await desk.quiet()
    mails = received(desk)
    assert ({mail["To"] for mail in mails}, len(mails)) == ({ADA}, len(SPELLINGS))


@pytest.mark.parametrize(
    "text",
    ["ada+x@example.org", "a.d.a@example.org", "bob+@example.org", "ada@example.org.evil.example", "ada@example.orgb"],
)
async def test_s42_another_mailbox_gets_nothing_of_adas(site: Site, text: str) -> None:
    """A tag, dots, a longer domain: it is somebody else's, who has no account, and no mail is sent anywhere."""
    desk = await seated(site)
    await desk.done("POST", "users/magic-link/request", {"email": text})
    await desk.done("POST", "users/magic-link/request", {"email": BOB})
    await desk.quiet()
    assert [mail["To"] for mail in received(desk)] == [BOB]


async def test_s42_a_dotless_i_is_no_i(site: Site) -> None:
    """`ı` upper-cased is `I`, and `ß` is `SS`: neither is folded into an address that is somebody's."""
    desk = await seated(site)
    store = await open_people(desk.running.people)
    try:
        accounts = Accounts(store.accounts, store.tenants, store.roles, Clock())
        await accounts.create_account(NewAccount("iris@strasse.example"))
    finally:
        await store.aclose()
    typed = (
        "ıris@strasse.example",
        "IRIS@STRAẞE.example",
        "iris@straße.example",
        "ırıs@strasse.example",
        "iriſ@strasse.example",
    )
    for text in typed:
        await desk.call("POST", "users/magic-link/request", {"email": text})
    await desk.done("POST", "users/magic-link/request", {"email": "IRIS@strasse.example"})
    await desk.quiet()
    assert [mail["To"] for mail in received(desk)] == ["iris@strasse.example"]


def received(desk: Wired) -> list[Message]:
    """All mails so far."""
    return [message_from_bytes(file.read_bytes()) for file in desk.outbox.glob("*.eml")]

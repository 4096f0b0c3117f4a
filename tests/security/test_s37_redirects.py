"""S-37: the gateway sends nobody anywhere. It answers no request with a redirect, and no address that it makes comes
from what a client sent; so there is no list of allowed targets that could be got around.
"""

import json
import re
from collections.abc import Sequence
from urllib.parse import quote

import pytest
from harness.client import Answer, request
from harness.site import Site
from harness.upstream import answering
from identity.core.desk import ADA, BASE, BOB, JSON, bearer, plain, seated

EVIL = "evil.example"
TARGETS = (
    f"//{EVIL}", f"/\\{EVIL}", f"\\\\{EVIL}", f"/%09/{EVIL}", f"/\t/{EVIL}", f"/\n/{EVIL}", f"https:{EVIL}",
    f"https:/{EVIL}", f"https://{EVIL}", f"http://gateway.test@{EVIL}", f"http://gateway.test.{EVIL}",
    f"http://{EVIL}:80#gateway.test", f"http://gateway.test:80@{EVIL}/", f"/／{EVIL}", f"／／{EVIL}", f"⁄⁄{EVIL}",
    f"/%2f{EVIL}", f"/%5c{EVIL}", f"////{EVIL}", f"/.//{EVIL}", f"/x/..//{EVIL}", f"javascript:alert('{EVIL}')",
    f"data:text/html,{EVIL}", f"http://[::1].{EVIL}", f"http://gateway.test%00.{EVIL}", f"/{EVIL}/../..//{EVIL}",
    f"\u2028//{EVIL}", f"http:\\\\{EVIL}", f"HTTPS://{EVIL}", f"//{EVIL}%E3%80%82x",
)  # fmt: skip
NAMES = ("next", "redirect", "redirect_uri", "return", "returnTo", "rd", "url", "continue", "callback", "RelayState")


def leads(answer: Answer) -> bool:
    """Whether it could make a browser go elsewhere, or show a way there."""
    named = any(answer.all(name) for name in (b"location", b"refresh", b"content-location", b"link"))
    return named or 300 <= answer.status < 400 or EVIL.encode() in answer.body.lower()


def pages() -> Sequence[tuple[str, str]]:
    """Whatever people open, or a client calls to log in or out."""
    links = [("GET", f"{BASE}/users/magic-link/display"), ("POST", f"{BASE}/users/magic-link/display")]
    calls = [("POST", f"{BASE}/users/{name}") for name in ("login", "logout", "magic-link/request")]
    return [*links, *calls, ("GET", "/_adm/docs"), ("GET", f"/_adm/invitations/{'x' * 43}"), ("GET", "/nowhere")]


async def test_s37_no_parameter_leads_anywhere(site: Site) -> None:
    """In the query of every page and call, by every name that such a thing has had."""
    desk = await seated(site)
    found = []
    for method, path in pages():
        for target in TARGETS:
            query = "&".join(f"{name}={quote(target, safe='')}" for name in NAMES)
            answer = await desk.send(method, f"{path}?token={'x' * 43}&{query}", JSON, body=b"{}")
            found += [(method, path, target)] if leads(answer) else []
    assert found == []


async def test_s37_no_member_of_a_login_leads_anywhere(site: Site) -> None:
    """A whole login, with such members beside: the answer is a token, and nothing else."""
    desk = await seated(site)
    await desk.give_password(ADA)
    for target in TARGETS[:8]:
        body = {"email": ADA, "password": "correct horse battery", **dict.fromkeys(NAMES, target)}
        answer = await desk.send("POST", f"{BASE}/users/login", JSON, body=json.dumps(body).encode())
        assert (answer.status, leads(answer)) == (200, False)


@pytest.mark.parametrize("path", ["", "_adm", "secure", "nowhere", "_adm/beginners/profile"])
async def test_s37_no_path_is_made_another_by_a_redirect(site: Site, path: str) -> None:
    """Doubled and turned slashes, dots, a missing or superfluous slash at the end: an answer, or a refusal."""
    desk = await seated(site)
    forms = (f"//{EVIL}/%2e%2e", f"//{EVIL}/{path}", f"/%5c{EVIL}/{path}", f"/{path}//{EVIL}", f"/{path}/", f"/{path}")
    forms += (f"/.//{EVIL}/{path}", f"/{path}/..//{EVIL}", f"/%2f{EVIL}/{path}", f"/;//{EVIL}", f"/{path}?//{EVIL}")
    answers = [await desk.send("GET", form, bearer(desk.running.people.ada.token)) for form in forms]
    assert [form for form, answer in zip(forms, answers, strict=True) if leads(answer)] == []


async def test_s37_the_host_of_a_request_is_in_no_mail(site: Site) -> None:
    """Nor that of a forwarding field: whoever asks for another's link would send it to a server of theirs."""
    desk = await seated(site)
    fields = [
        b"X-Forwarded-Host: evil.example",
        b"Forwarded: host=evil.example;proto=http",
        b"X-Forwarded-Proto: gopher",
    ]
    fields += [b"Referer: http://evil.example/", b"Origin: http://evil.example", b"X-Original-URL: //evil.example/"]
    for path in ("magic-link/request", "start-password-reset"):
        client = await site.client(desk.running)
        body = json.dumps({"email": BOB}).encode()
        await client.send(
            request(f"{BASE}/users/{path}", JSON, *fields, method="POST", body=body, host=b"evil.example")
        )
        assert (await client.answer()).status == 200
    await desk.quiet()
    mails = [plain(file) for file in desk.outbox.glob("*.eml")]
    addresses = {address.rstrip(".,)") for mail in mails for address in re.findall(r"https?://[^/\s]+", mail)}
    assert (len(mails), addresses, EVIL in "".join(mails)) == (2, {"http://gateway.test"}, False)


async def test_s37_a_page_leads_to_nothing_of_a_request(site: Site) -> None:
    """Its form goes to the page itself, whatever `Host` said."""
    desk = await seated(site)
    token = await desk.link(BOB)
    client = await site.client(desk.running)
    await client.send(request(f"{BASE}/users/magic-link/display/{token}?next=//{EVIL}", host=EVIL.encode()))
    answer = await client.answer()
    actions = re.findall(rb'(?:action|href|src)="([^"]*)"', answer.body)
    assert (answer.status, leads(answer)) == (200, False)
    assert all(not action.startswith((b"http", b"//", b"\\")) for action in actions)


async def test_s37_a_redirect_of_a_service_is_not_followed_and_not_changed(site: Site) -> None:
    """It is the service's word to its client, also with the gateway's credentials beside."""
    for target in (b"//evil.example/", b"http://169.254.169.254/", b"/\\evil.example"):
        upstream = await site.upstream(
            answering(b"HTTP/1.1 302 Found\r\nlocation: " + target + b"\r\ncontent-length: 0\r\n\r\n")
        )
        running = await site.gateway(upstream)
        answer = await (await site.client(running)).ask("/secure/x", running.people.ada.field)
        assert (answer.status, answer.one(b"location"), len(upstream.requests)) == (302, target, 1)

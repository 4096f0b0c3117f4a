"""S-36: the one cookie that the gateway sets holds half a login of Pipelit's, for its second call. It is no session:
sessions are bearer tokens, so that no browser sends one by itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from conformance.adapters import ADAPTERS, someone
from dialects.desk import PASSWORD, Desk
from dialects.pipelit import AUTH, Booth, pipelit
from harness.people import People
from harness.site import Site
from harness.upstream import answering

from gateway.login.dialect import Endpoint

from .code_places import armed

NAME = "pipelit_mfa"
ID = "0b5f1d0e-6f0a-4c66-9a83-4a4f7f0d9b11"


@pytest.fixture(scope="module")
def https(people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    """As it is behind whoever ends TLS."""
    folder: Path = tmp_path_factory.mktemp("https")
    with pipelit(folder, people, {"public_url": "https://gateway.test"}) as found:
        yield found


def test_s36_the_cookie_is_for_one_api_and_no_script(https: Booth) -> None:
    """`Secure`, `HttpOnly`, not with another site's requests at all, without `Domain`; and gone with the browser."""
    sent = https.token(https.armed().username).headers.get_all("Set-Cookie")
    assert sent is not None
    (line,) = sent
    said = {part.strip().partition("=")[0].lower() for part in line.split(";")[1:]}
    cookie = SimpleCookie(line)[NAME]
    assert said == {"path", "httponly", "samesite", "secure"}
    assert (cookie["path"], cookie["samesite"], len(line) < 4096) == (AUTH, "Strict", True)


def test_s36_the_login_clears_it(https: Booth) -> None:
    """Under the same name, path and properties, or the browser would keep the old one; whole, as it is one piece."""
    at = https.armed()
    set_ = https.token(at.username).headers["Set-Cookie"]
    cleared = https.second(at.username, https.code(at.secret)).headers["Set-Cookie"]
    one, other = (SimpleCookie(line)[NAME] for line in (set_, cleared))
    names = ("path", "domain", "secure", "httponly", "samesite")
    assert [one[name] for name in names] == [other[name] for name in names]
    assert (other.value, other["max-age"]) == ("", "0")


def test_s36_the_cookie_is_no_credential(desk: Desk) -> None:
    """Neither alone nor as a token: not at the proxy, nor at any endpoint that wants a caller."""
    at = armed(desk)
    answer = desk.post("/api/v1/auth/token/", {"username": at.who.username, "password": PASSWORD})
    value = SimpleCookie(answer.headers["Set-Cookie"])[NAME].value
    cookie = {"Cookie": f"{NAME}={value}; session={value}; token={value}"}
    places = ["/secure/x", "/_adm/beginners/profile", *(api.mine for api in ADAPTERS if api.mine)]
    found = {path: desk.ask("GET", path, headers=cookie).status for path in places}
    found |= {f"{path} as a token": desk.ask("GET", path, token=value).status for path in places}
    assert set(found.values()) == {401}


def test_s36_a_session_in_a_cookie_is_none(desk: Desk) -> None:
    """Whatever it is called: a page of another site could have it sent along."""
    token = ADAPTERS[0].enter(desk, someone(desk))
    names = ("session", "token", "Authorization", "access_token", "jwt", "__Host-session", NAME)
    places = ["/secure/x", "/_adm/beginners/profile", *(api.mine for api in ADAPTERS if api.mine)]
    found = {
        (name, path): desk.ask("GET", path, headers={"Cookie": f"{name}={token}"}).status
        for name in names
        for path in places
    }
    assert (set(found.values()), desk.passes(token)) == ({401}, True)


def test_s36_no_other_endpoint_sets_a_cookie(desk: Desk, table: Mapping[str, Sequence[Endpoint]]) -> None:
    """None of any API, asked with nothing and with somebody's session; but for Pipelit's two steps."""
    token = ADAPTERS[0].enter(desk, someone(desk))
    found = set()
    for name, endpoints in table.items():
        for one in endpoints:
            path = one.path.replace("{tenant_id}", ID).replace("{id}", ID).replace("{auth_id}", ID)
            path = path.replace("{link}", "x" * 43).replace("{token}", "x" * 43)
            for held in (None, token):
                desk.hand.rest()
                answer = desk.ask(one.method, path, {} if one.body == "json" else None, held)
                found |= {f"{name} {one.path}"} if answer.headers.get_all("Set-Cookie") else set()
    whole = {api.name for api in ADAPTERS if api.first(desk, someone(desk), PASSWORD).headers.get_all("Set-Cookie")}
    assert (found, whole) == (set(), set())


async def test_s36_the_cookies_of_a_service_are_its_own(site: Site) -> None:
    """Each goes through as it is, in order; the gateway adds none, and takes none for its own."""
    lines = (b"Set-Cookie: a=1; Path=/", b"Set-Cookie: a=2; Secure", b"Set-Cookie: pipelit_mfa=x; Path=/")
    head = b"\r\n".join((b"HTTP/1.1 200 OK", *lines, b"content-length: 0", b"", b""))
    upstream = await site.upstream(answering(head))
    running = await site.gateway(upstream)
    answer = await (await site.client(running)).ask("/public/x", b"Cookie: a=1; b=2")
    sent = [line.removeprefix(b"Set-Cookie: ") for line in lines]
    assert (answer.all(b"set-cookie"), upstream.requests[0].all(b"cookie")) == (sent, [b"a=1; b=2"])

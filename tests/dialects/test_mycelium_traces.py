"""What a link leaves behind: in answers to HEAD, in the access log, in the application's log."""

import json
from collections.abc import Sequence

import pytest
from e2e.parts import until
from e2e.world import Answer

from .desk import LINKS, Desk

FORMS = [f"{LINKS}/display{form}" for form in ("/LINK", "/LINK/", "?token=LINK", "/?token=LINK")]
TAKEN = [(method, form) for form in FORMS for method in ("GET", "HEAD", "POST")]
# what a browser's extension, or a mail program that takes a sign too many into the link, makes of it
STRAY = [(method, FORMS[0]) for method in ("PUT", "DELETE", "OPTIONS")]
MANGLED = [("GET", FORMS[0] + tail) for tail in ("/x", "//", "/%2e", "%", "/?a=b", "'", ".")]
PARTS = ("%2Fdisplay", "%252Fdisplay", "%25255Cdisplay", "/;x/display", "/%64isplay", "/dis%70lay;x", "/display%20")
SPELT = [
    ("GET", FORMS[0].replace("/display", part)) for part in (*PARTS, "%" + "25" * 9 + "2Fdisplay", "/%C2%A0display")
]
SPELT += [("GET", FORMS[0].replace("/LINK", f"{slash}LINK")) for slash in ("%3F", "%23/", "%EF%BC%8F")]
Traces = dict[tuple[str, str], tuple[str, dict[str, object]]]


def lines(desk: Desk, answers: Sequence[Answer]) -> list[dict[str, object]]:
    """Of the access log, those of these answers, in that order. They are written within half a second."""
    ids = [answer.headers["x-mycelium-request-id"] for answer in answers]

    def written() -> list[dict[str, object]]:
        text = desk.host.access_log()
        found = {line["id"]: line for line in map(json.loads, text[: text.rfind("\n") + 1].splitlines())}
        return [found[name] for name in ids] if found.keys() >= set(ids) else []

    return until(written, "lines of the access log")


@pytest.fixture(scope="module")
def traces(shared: Desk) -> Traces:
    """By request: the live link that was in it, and its line of the access log."""
    requests, links, answers = TAKEN + STRAY + MANGLED + SPELT, [], []
    for method, form in requests:
        shared.hand.rest()
        links.append(shared.link(shared.person()))
        answers.append(shared.ask(method, form.replace("LINK", links[-1])))
    return dict(zip(requests, zip(links, lines(shared, answers), strict=True), strict=True))


@pytest.mark.parametrize("form", FORMS)
def test_head_of_the_page_is_get_without_a_body(desk: Desk, form: str) -> None:
    """The same fields, the length among them (RFC 9110 section 9.3.2)."""
    path = form.replace("LINK", desk.link(desk.person()))
    head, get = (desk.ask(method, path) for method in ("HEAD", "GET"))
    names = ("content-type", "content-length", "cache-control", "x-content-type-options", "referrer-policy")
    assert (head.status, head.body, [head.headers[name] for name in names]) == (
        200,
        b"",
        [get.headers[name] for name in names],
    )


def test_looking_at_a_page_leaves_the_link_as_it_was(desk: Desk) -> None:
    """Scanners look with HEAD and with GET before its owner does."""
    link = desk.link(desk.person())
    for method in ("HEAD", "GET", "GET"):
        desk.ask(method, f"{LINKS}/display/{link}")
    assert desk.post(f"{LINKS}/verify", {"token": link}).status == 200


@pytest.mark.parametrize("request_", TAKEN, ids=" ".join)
def test_the_access_log_has_the_template_and_no_path(traces: Traces, request_: tuple[str, str]) -> None:
    """A path or a query would hold the token."""
    method, form = request_
    _, line = traces[request_]
    template = form.partition("?")[0].replace("LINK", "{token}")
    shown = "GET" if method == "HEAD" else method
    assert (line["route"], line["path"], line["method"]) == (f"{shown} {template}", None, method)


@pytest.mark.parametrize("request_", STRAY + MANGLED + SPELT, ids=" ".join)
def test_a_request_that_no_endpoint_takes_does_not_write_the_link_down(
    traces: Traces, request_: tuple[str, str]
) -> None:
    """It is live still: whoever reads the log could log in with it."""
    link, line = traces[request_]
    assert link not in json.dumps(line)


def test_no_log_of_the_gateway_holds_a_link_or_an_address(desk: Desk) -> None:
    """Of a login from the mail to the session."""
    person = desk.person()
    link = desk.link(person)
    path = f"{LINKS}/display/{link}"
    answers = [desk.ask("GET", path), desk.ask("POST", path), desk.post(f"{LINKS}/verify", {"token": link})]
    lines(desk, answers)
    told = desk.host.access_log() + repr(desk.host.running.log.lines)
    assert [secret in told for secret in (link, person.email, str(answers[-1].json()["token"]))] == [False] * 3


def test_links_that_are_of_no_use_are_counted(desk: Desk) -> None:
    """Thirty in a minute from one network, as every vain attempt; the page says when to come back."""
    desk.hand.rest()
    answers = [desk.ask("GET", f"{LINKS}/display/{'x' * 43}") for _ in range(31)]
    desk.hand.rest()
    assert [answer.status for answer in answers] == [401] * 30 + [429]

"""Letters as messages: what they look like, and what cannot be smuggled into them."""

import re
from email.message import EmailMessage
from pathlib import Path
from typing import get_args

import pytest

from gateway.identity import letters
from gateway.identity.letters import Letter, LetterKind
from gateway.mail.render import CIRCUMSTANCES, SAMPLES, Renderer, TemplateBroken, to_ascii

KINDS = get_args(LetterKind)
AT = 1_800_000_000.0
SENDER = "gateway@example.org"
SITE = "https://gateway.example"


def render(kind: LetterKind, templates: Path | None = None, to: str = "ada@example.org", **values: str) -> EmailMessage:
    letter = Letter(kind, to, {**SAMPLES[kind], **CIRCUMSTANCES, **values})
    return Renderer(SENDER, SITE, templates)(letter, "some-id", AT)


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_two_parts_with_everything_in_it(kind: LetterKind) -> None:
    """Whichever of them is read."""
    message = render(kind)
    wanted = {*CIRCUMSTANCES.values(), *SAMPLES[kind].values(), SITE, "not you"}
    found = {name: {word for word in wanted if word in part(message, name)} for name in ("plain", "html")}
    assert found["html"] == wanted
    assert found["plain"] | {word for word in wanted if word in message["Subject"]} == wanted


@pytest.mark.parametrize("kind", KINDS)
def test_the_values_are_those_that_the_letters_promise(kind: LetterKind) -> None:
    """The comment beside the kind is the contract."""
    source = Path(letters.__file__).read_text()
    said = re.search(rf'"{kind}",  # (.*)', source)
    assert said is not None
    assert set(said[1].split(", ")) == {*SAMPLES[kind], *CIRCUMSTANCES}


@pytest.mark.parametrize("name", ["plain", "html"])
def test_what_is_not_known_is_not_told(name: str) -> None:
    """No empty line about an address that nobody saw."""
    text = part(render("mfa_enabled", when="", ip="", platform=""), name)
    assert re.search(r"When:|From the address:|With:|<ul>|\n\n\n", text) is None


def test_the_link_stands_on_its_own_line() -> None:
    """Mail programs make it clickable, and people can copy it."""
    assert "https://gateway.example/login#token" in part(render("magic_link"), "plain").splitlines()


def test_the_link_is_whole_in_the_raw_message() -> None:
    """A file of the outbox is read by people in development."""
    link = f"https://gateway.example/login#{'t' * 200}"
    assert f"\n{link}\n" in render("magic_link", link=link).as_string()


@pytest.mark.parametrize(("length", "encoding"), [(997, "8bit"), (998, "quoted-printable")])
def test_no_line_is_longer_than_mail_allows(tmp_path: Path, length: int, encoding: str) -> None:
    """RFC 5322 section 2.1.1; both sides of it."""
    (tmp_path / "mfa_enabled.txt").write_text(f"Subject\n\n{'x' * length}\n")
    body = render("mfa_enabled", tmp_path).get_body(("plain",))
    assert body is not None
    assert body["Content-Transfer-Encoding"] == encoding


def test_the_headers_of_a_message() -> None:
    """The same mail sent again has the same Message-ID and date."""
    message = render("password_changed")
    names = ("From", "To", "Date", "Message-ID", "Auto-Submitted")
    assert [message[name] for name in names] == [
        SENDER, "ada@example.org", "Fri, 15 Jan 2027 08:00:00 +0000", "<some-id@example.org>", "auto-generated",
    ]  # fmt: skip


def test_markup_in_a_value_is_text() -> None:
    """A browser's name is what its sender wrote."""
    html = part(render("mfa_enabled", platform="<script>x</script>\"'"), "html")
    assert "<script>" not in html
    assert "&lt;script&gt;x&lt;/script&gt;&#34;&#39;" in html


def test_nothing_is_fetched_when_a_mail_is_read() -> None:
    """That would tell when and where."""
    texts = "".join(part(render(kind), "html") for kind in KINDS)
    assert re.findall(r"src=|url\(|<link|@import|<img", texts) == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\x0b", "\x85", "\u2028"])
def test_a_line_end_in_a_value_makes_no_header(end: str) -> None:
    """The provider is in the subject."""
    message = render("identity_linked", provider=f"x{end}Bcc: eve@example.org")
    assert message["Bcc"] is None
    assert "Bcc: eve@example.org" in message["Subject"]


def test_a_value_makes_no_lines_of_its_own_in_the_text() -> None:
    """It could look like ours."""
    assert "Call 555" not in part(render("mfa_enabled", platform="x\n\nCall 555"), "plain").splitlines()


@pytest.mark.parametrize("to", ["ada@example.org\nBcc: eve@example.org", "ada@x.y, eve@x.y", "ada <eve@x.y>", ""])
def test_an_address_that_is_more_than_one_is_refused(to: str) -> None:
    """As a ValueError, whoever let it in."""
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own
        render("mfa_enabled", to=to)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("ada@example.org", "ada@example.org"), ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
        ("ada@straße.example", "ada@straße.example"),  # IDNA 2003 says strasse, which is somebody else's
        ("ada@faß.münchen.example", "ada@faß.münchen.example"), ("ada@ü..example", "ada@ü..example"),
    ],
)  # fmt: skip
def test_a_domain_in_other_scripts(address: str, text: str) -> None:
    """As A-labels where that is the same name."""
    assert to_ascii(address) == text


def test_a_template_of_the_operator_takes_the_place_of_ours(tmp_path: Path) -> None:
    """One of them; the rest stays."""
    (tmp_path / "mfa_enabled.txt").write_text("Moin\n\nSeen from {{ ip }}.\n")
    message = render("mfa_enabled", tmp_path)
    assert (message["Subject"], part(message, "plain")) == ("Moin", "Seen from 192.0.2.1.\n")
    assert "second factor" in render("mfa_disabled", tmp_path)["Subject"]


def test_a_layout_of_the_operator_is_around_our_texts(tmp_path: Path) -> None:
    """Their colours, without nine files."""
    (tmp_path / "layout.html").write_text("<b>Acme</b>{% block body %}{% endblock %}")
    assert part(render("mfa_enabled", tmp_path), "html").startswith("<b>Acme</b>")


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("Hi\n\n{% if %}", 3, "Expected an expression"),
        ("Hi\n\n\n{{ nam }}", 4, "'nam' is undefined"),
        ("Hi\n{% include 'none.txt' %}", 2, "none.txt"),
        ("Hi\n{{ 1 / 0 }}", 2, "ZeroDivisionError"),
        ("\n\n", 1, "subject"),
        ("Hi\n{{ ''.__class__.__mro__[1].__subclasses__() }}", 2, "unsafe"),
        ("Hi\n{{ cycler.__init__.__globals__.os.popen('id').read() }}", 2, "unsafe"),
        ("Hi\n{{ namespace.__init__['__glo' ~ 'bals__'] }}", 2, "unsafe"),
        ("Hi\n{% set x = [] %}{% set _ = x.append(1) %}", 2, "safe"),
        ("Hi\n{% for _ in range(10000000) %}{% endfor %}", 2, "OverflowError"),
        ("Hi\n{% include '../secret.txt' %}", 2, "secret.txt"),
    ],
)
def test_a_template_that_is_wrong_or_breaks_out_is_refused_at_the_start(
    tmp_path: Path, text: str, line: int, word: str
) -> None:
    """With its file and line."""
    (tmp_path / "secret.txt").write_text("secret")
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "magic_link.txt").write_text(text)
    with pytest.raises(TemplateBroken, match=word) as caught:
        Renderer(SENDER, SITE, folder)
    assert str(caught.value).startswith(f"{folder}/magic_link.txt:{line}: ")


def test_a_branch_that_is_taken_only_without_an_address_is_tried_too(tmp_path: Path) -> None:
    """Each of the circumstances may be missing."""
    (tmp_path / "magic_link.txt").write_text("Hi\n{% if not ip %}{{ nam }}{% endif %}")
    with pytest.raises(TemplateBroken, match="'nam' is undefined"):
        Renderer(SENDER, SITE, tmp_path)


def test_a_template_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """By its name."""
    (tmp_path / "magic_link.html").write_bytes(b"\xff")
    with pytest.raises(TemplateBroken, match=r"magic_link\.html: it is not UTF-8"):
        Renderer(SENDER, SITE, tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A misspelt one would else mean our templates."""
    with pytest.raises(TemplateBroken, match="no such folder"):
        Renderer(SENDER, SITE, tmp_path / "none")


def test_a_letter_that_lacks_a_value_is_refused() -> None:
    """Rather than sent with a hole in it."""
    with pytest.raises(TemplateBroken, match="'link' is undefined"):
        Renderer(SENDER, SITE)(Letter("magic_link", "ada@example.org", CIRCUMSTANCES), "some-id", AT)

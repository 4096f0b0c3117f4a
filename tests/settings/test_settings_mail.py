"""Where mails go: both sides of every form, and that no password gets into a text."""

from pathlib import Path

import pytest

from gateway.settings import values
from gateway.settings.values import MailUrl

from .conftest import Faults, Load


def smtp(host: str, port: int, starttls: bool, user: str = "", password: str = "") -> MailUrl:
    return MailUrl("smtp", Path(), host, port, starttls, user, password)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("console:", MailUrl("console")),
        ("file:var/outbox", MailUrl("file", Path("var/outbox"))), ("file:/x", MailUrl("file", Path("/x"))),
        ("smtp://localhost", smtp("localhost", 587, False)), ("smtp://[::1]:25/", smtp("::1", 25, False)),
        ("smtp://Mail.example:25", smtp("mail.example", 25, True)),
        ("smtp://mailpit:1025?starttls=off", smtp("mailpit", 1025, False)),
        ("smtp://127.0.0.1:1025?starttls=required", smtp("127.0.0.1", 1025, True)),
        ("smtp://u%40x:p%2F%3A@127.0.0.1", smtp("127.0.0.1", 587, True, "u@x", "p/:")),
        ("smtp://u@mail.example", smtp("mail.example", 587, True, "u")),
        ("smtps://u:p@mail.example", MailUrl("smtps", Path(), "mail.example", 465, False, "u", "p")),
    ],
)  # fmt: skip
def test_what_is_read(text: str, url: MailUrl) -> None:
    """The text gives the value."""
    assert values.mail_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "", "console", "console:x", "file:", "file://x", "file:///x", "file:a\nb", "mailto:s3cret@x", "SMTP://x",
        "smtp:x",
        "smtp://", "smtp://u:s3cret@", "smtp://u:s3/cret@host", "smtp://u:s3@cret@host", "smtp://u:s3:cret@host",
        "smtp://u:s3cret", "smtp://u:99999", "smtp://u:999999", "smtp://host:0", "smtp://host:65536", "smtp://h o",
        "smtp://u:s3cret@host/x", "smtp://u:s3cret@host#x", "smtp://u:s3cret@host?x=y", "smtp://u:%FF@host",
        "smtp://:s3cret@host", "smtp://u:s3cret@host?starttls=off", "smtps://host?starttls=off", "smtp://u:s3cret@9.9",
        "smtps://host?starttls=required",
    ],
)  # fmt: skip
def test_what_is_refused_without_repeating_it(text: str) -> None:
    """The text may hold a password."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each says something else
        values.mail_url(text)
    assert [word for word in ("s3", "cret", "9999") if word in str(caught.value)] == []


@pytest.mark.parametrize(
    "url", ["smtp://u:s3cret@host:x", "smtp://u:s3/cret@h", "smtp://u:s3 s3@cret@h", "smpt://u:s3/@h"]
)
def test_a_fault_shows_no_password(faults: Faults, url: str) -> None:
    """Neither in what it says nor in the line that it shows."""
    (fault,) = faults(f"mail:\n  url: {url}")
    assert [word for word in ("s3", "cret") if word in f"{fault.message}{fault.source_line}"] == []


def test_a_password_is_in_no_text_of_the_settings(loaded: Load) -> None:
    """They end up in logs and tracebacks."""
    settings = loaded("mail: { url: 'smtp://u:s3cret@host' }").settings
    assert (settings.mail.url.password, "s3cret" in repr(settings)) == ("s3cret", False)


def test_a_folder_is_relative_to_the_configuration(loaded: Load, tmp_path: Path) -> None:
    """Also the one that nobody wrote."""
    assert loaded("").settings.mail.url.folder == tmp_path / "var/outbox"
    assert loaded("mail: { url: 'file:mails' }").settings.mail.url.folder == tmp_path / "mails"


def test_a_password_beside_the_url(loaded: Load) -> None:
    """The better way."""
    mail = loaded("mail: { url: 'smtp://u@host', password: { env: SMTP } }", {"SMTP": "s3cret"}).settings.mail
    assert mail.password is not None
    assert (mail.password.get_secret_value(), "s3cret" in repr(mail)) == ("s3cret", False)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("url: 'smtp://u@host'", "the url names a user"),
        ("url: 'smtp://u:p@host', password: { env: SMTP }", "no password, as"),
        ("url: 'smtp://host', password: { env: SMTP }", "has a user"),
        ("password: { env: SMTP }", "has a user"),
        ("url: 'smtp://u@host', password: s3cret", "a secret is never in this file"),
        ("url: 'smtp://u@host', password: { env: NONE }", "'NONE' is not set"),
    ],
)
def test_a_user_has_one_password(faults: Faults, text: str, word: str) -> None:
    """In one place."""
    assert [word in fault.message for fault in faults(f"mail: {{ {text} }}", {"SMTP": "x"})] == [True]


@pytest.mark.parametrize("text", ["gateway@localhost", "a.b+c@example.org", f"{'a' * 64}@x"])
def test_an_address_that_mails_come_from(text: str) -> None:
    """Alone, without a name."""
    assert values.mail_address(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "gateway", "@x", "a@", "a b@x", "Gateway <a@x>", "a@x, b@x", "a@x\nBcc: b", ".a@x", "a..b@x", "ä@x",
        f"{'a' * 65}@x", "a@127.0.0.1", "a@[::1]", "a@::1", '"a"@x', "a@b@x", "a\n@x",
    ],
)  # fmt: skip
def test_an_address_that_is_refused(text: str) -> None:
    """It goes into a header and into SMTP."""
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        values.mail_address(text)


def test_the_address_is_called_from(faults: Faults) -> None:
    """As the file says, not as Python must."""
    (fault,) = faults("mail: { frm: a@x }")
    assert fault.message.endswith("did you mean 'from'?")
    (fault,) = faults("mail:\n  from: nobody")
    assert (fault.line, fault.column) == (2, 9)

"""A letter as a message: text and HTML from templates, which an operator may replace one by one.

A kind has `KIND.txt`, whose first line is the subject, and `KIND.html`. All of them, ours and theirs, run in Jinja's
sandbox: a template is text from a folder, and must not be able to read files or run programs.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from traceback import extract_tb
from typing import Final, get_args

from jinja2 import FileSystemLoader, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from gateway.identity.letters import Letter, LetterKind

OURS: Final = Path(__file__).parent / "templates"
LINE: Final = 998  # bytes, RFC 5322 section 2.1.1

CIRCUMSTANCES: Final = {"when": "1 June 2026, 12:00 UTC", "ip": "192.0.2.1", "platform": "Firefox on Linux"}
_BLANKS = re.compile(r"\n{3,}")  # what a part that says nothing leaves behind

# what each kind's templates get, with values to try them with; CIRCUMSTANCES besides, each of which may be ""
SAMPLES: Final[Mapping[LetterKind, Mapping[str, str]]] = {
    "magic_link": {"link": "https://gateway.example/login#token", "minutes": "15"},
    "password_reset": {"code": "123456", "minutes": "15"},
    "password_changed": {},
    "mfa_enabled": {},
    "mfa_disabled": {},
    "recovery_codes_replaced": {},
    "recovery_code_used": {"left": "3"},
    "connection_string_created": {
        "name": "nightly",
        "tenant": "Acme",
        "role": "manager",
        "expires": "1 June 2027, 12:00 UTC",
    },
    "login_approval": {"link": "https://gateway.example/confirm/token", "minutes": "15"},
    "login_denied": {},
    "email_confirmation": {"link": "https://gateway.example/confirm/token", "minutes": "60"},
    "email_changed": {},
    "identity_linked": {"provider": "acme"},
    "invitation": {
        "link": "https://gateway.example/invitations/token",
        "tenant": "Acme",
        "role": "manager",
        "expires": "1 June 2027, 12:00 UTC",
    },
}


class TemplateBroken(ValueError):  # noqa: N818 - errors are named by fault
    """A template cannot be used. The text is `FILE:LINE: what is wrong`, without any value."""


class Renderer:
    """sender: the From address. site: the public URL, as `site` in the templates.

    templates: a folder whose files take the place of ours with the same name.
    """

    def __init__(self, sender: str, site: str, templates: Path | None = None) -> None:
        """Tries every template. Raises TemplateBroken."""
        self._sender = sender
        self._domain = sender.rpartition("@")[2]
        self._folders = [OURS] if templates is None else [templates, OURS]
        if templates is not None and not templates.is_dir():
            raise TemplateBroken(f"{templates}: there is no such folder")
        self._environment = _environment(self._folders, site)
        for kind in get_args(LetterKind):
            for circumstances in (CIRCUMSTANCES, dict.fromkeys(CIRCUMSTANCES, "")):
                self._parts(Letter(kind, "ada@example.org", {**SAMPLES[kind], **circumstances}))

    def __call__(self, letter: Letter, letter_id: str, at: float) -> EmailMessage:
        """letter_id: a random one, which makes the Message-ID; the same mail sent again has the same one.

        at: seconds since the epoch. Raises TemplateBroken, and ValueError for an address that no header can hold.
        """
        subject, text, html = self._parts(letter)
        message = EmailMessage()
        message["From"] = _address(self._sender)
        message["To"] = _address(to_ascii(letter.to))
        message["Subject"] = subject
        message["Date"] = format_datetime(datetime.fromtimestamp(int(at), UTC))
        message["Message-ID"] = f"<{letter_id}@{self._domain}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no holiday answers
        message.set_content(text, cte=_encoding(text))
        message.add_alternative(html, subtype="html", cte=_encoding(html))
        return message

    def _parts(self, letter: Letter) -> tuple[str, str, str]:
        values = {name: printable(value) for name, value in letter.values.items()}
        subject, _, text = self._rendered(f"{letter.kind}.txt", values).lstrip().partition("\n")
        if not subject.strip():
            raise TemplateBroken(f"{self._place(f'{letter.kind}.txt')}:1: the first line is the subject, and is empty")
        html = self._rendered(f"{letter.kind}.html", values)
        text = _BLANKS.sub("\n\n", text.strip())
        return printable(subject).strip(), f"{text}\n", f"{html.strip()}\n"

    def _rendered(self, name: str, values: Mapping[str, str]) -> str:
        try:
            return self._environment.get_template(name).render(values)
        except TemplateSyntaxError as error:
            raise TemplateBroken(f"{error.filename or self._place(name)}:{error.lineno}: {error.message}") from error
        except TemplateNotFound as error:
            raise TemplateBroken(f"{self._where(error, name)}: there is no template {error.name!r}") from error
        except UnicodeDecodeError as error:
            raise TemplateBroken(f"{self._place(name)}: it is not UTF-8 text") from error
        except Exception as error:  # whatever an operator's expression may raise
            what = str(error) if type(error).__module__.startswith("jinja2") else type(error).__name__
            raise TemplateBroken(f"{self._where(error, name)}: {what}") from error

    def _where(self, error: Exception, name: str) -> str:
        """The innermost line of a template: Jinja puts them into tracebacks."""
        folders = tuple(str(folder) for folder in self._folders)
        lines = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(folders)]
        return f"{lines[-1].filename}:{lines[-1].lineno}" if lines else str(self._place(name))

    def _place(self, name: str) -> Path:
        return next((folder / name for folder in self._folders if (folder / name).exists()), self._folders[0] / name)


def _environment(folders: list[Path], site: str) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        autoescape=lambda name: name is None or not name.endswith(".txt"),
        auto_reload=False,  # what was tried is what is used
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["site"] = site
    return environment


def printable(text: str) -> str:
    """One line: what ends a line, steers a terminal or turns the direction of writing becomes a space."""
    return "".join(c if c.isprintable() else " " for c in text)


def _address(text: str) -> Address:
    try:
        return Address(addr_spec=text)
    except (ValueError, IndexError, HeaderParseError) as error:  # the standard library's parser lets each of them out
        raise ValueError("no header can hold the address") from error


def to_ascii(address: str) -> str:
    """The domain as A-labels, where nobody reads it otherwise: IDNA 2003, Python's, maps some letters to others."""
    local, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        label = domain.encode("idna")
        return f"{local}@{label.decode()}" if label.decode("idna") == domain else address
    except UnicodeError:
        return address


def _encoding(text: str) -> str:
    """As it is, so that a link in a file or a raw view is whole, unless a line is too long for that."""
    longest = max(len(line) for line in text.encode().split(b"\n"))
    return "8bit" if longest < LINE else "quoted-printable"

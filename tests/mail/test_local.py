"""Mails that stay here."""

import io
import stat
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from gateway.mail.delivery import Undelivered
from gateway.mail.transport import make_transport
from gateway.settings.values import mail_url

from .office import LETTER, LINK, RENDERER, TO

AT = 1_800_000_000.0


async def write(folder: Path) -> Path:
    """The one file that is there then."""
    await make_transport(mail_url(f"file:{folder}")).send(RENDERER(LETTER, "some-id", AT))
    return only(folder)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


async def test_a_mail_is_a_file_that_mail_programs_open(tmp_path: Path) -> None:
    """Named by its time and id."""
    path = await write(tmp_path / "a" / "outbox")
    message = message_from_bytes(path.read_bytes(), policy=default)
    assert (path.name, message["To"]) == ("20270115T080000Z-some-id.eml", TO)


async def test_the_file_is_for_the_gateway_alone(tmp_path: Path) -> None:
    """Whoever reads the link can log in."""
    path = await write(tmp_path / "outbox")
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o600, 0o700]


async def test_the_link_can_be_copied_from_the_file(tmp_path: Path) -> None:
    """It is not encoded."""
    assert LINK.encode() in (await write(tmp_path / "outbox")).read_bytes().split(b"\r\n")


async def test_a_mail_that_is_sent_again_is_the_same_file(tmp_path: Path) -> None:
    """And no half of one is left."""
    assert await write(tmp_path) == await write(tmp_path)


async def test_a_folder_that_cannot_be_written_is_a_failure_for_now(tmp_path: Path) -> None:
    """It is not the mail's fault."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Undelivered, match="the folder of mails: Not a directory") as caught:
        await write(tmp_path / "file" / "outbox")
    assert not caught.value.permanent


async def test_the_terminal_shows_the_text() -> None:
    """With the link, and not the markup."""
    stream = io.StringIO()
    await make_transport(mail_url("console:"), stream=stream).send(RENDERER(LETTER, "some-id", AT))
    shown = stream.getvalue().splitlines()
    assert (shown[0], LINK in shown, "<html" in stream.getvalue()) == (
        f"--- mail to {TO}: Your login link for https://gateway.example", True, False,
    )  # fmt: skip


async def test_the_terminal_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is the access log's."""
    await make_transport(mail_url("console:")).send(RENDERER(LETTER, "some-id", AT))
    captured = capsys.readouterr()
    assert (captured.out, LINK in captured.err) == ("", True)


async def test_a_terminal_that_has_gone_is_a_failure() -> None:
    """Of this mail, for now."""
    stream = io.StringIO()
    stream.close()
    with pytest.raises(Undelivered):
        await make_transport(mail_url("console:"), stream=stream).send(RENDERER(LETTER, "some-id", AT))

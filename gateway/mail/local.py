"""Mails that stay here, for development: a folder of .eml files, or the terminal."""

import asyncio
import os
import tempfile
from contextlib import suppress
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TextIO

from gateway.mail.delivery import Undelivered


class FolderTransport:
    """One file each, `TIME-ID.eml`, for the gateway's own user alone. The folder is made with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        try:
            await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise Undelivered(f"the folder of mails: {error.strerror}") from error

    def _write(self, message: EmailMessage) -> None:
        """Under another name first: whoever watches the folder sees whole files only."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".tmp")  # mode 0600
        try:
            with open(number, "wb") as file:
                file.write(message.as_bytes(policy=SMTPUTF8))
            os.replace(name, self._folder / _name(message))
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise


class StreamTransport:
    """The text part, with whom it goes to and what about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    async def send(self, message: EmailMessage) -> None:
        part = message.get_body(("plain",))
        text = part.get_content() if part is not None else ""
        try:
            self._stream.write(f"--- mail to {message['To']}: {message['Subject']}\n{text.rstrip()}\n---\n")
            self._stream.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise Undelivered(f"the terminal: {type(error).__name__}") from error


def _name(message: EmailMessage) -> str:
    at: datetime = parsedate_to_datetime(message["Date"])
    key = str(message["Message-ID"]).strip("<>").partition("@")[0]
    return f"{at:%Y%m%dT%H%M%SZ}-{key}.eml"

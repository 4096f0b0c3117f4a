"""`docs/dialects/`: each login API, tried as its own documentation shows it. The documents are the expected values.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into them instead.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .parts import LOOPBACK, Process, free_port, program, until
from .transcripts import SHOWN, Shell, commands, normal, replayed, steps
from .world import PROGRAM

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs/dialects"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
LINKS = re.compile(r"^http\S+/(?:magic-link/display|confirm)/\S+$", re.M)
CONFIG = re.compile(r"gateway account list -c (\S+)")
MAIL = re.compile(r"^--- mail to .*?^---$", re.M | re.S)

# What each document starts with, beside `gateway serve --demo`; Pipelit's makes the first account.
DEMOS = {"mycelium": [], "mployr": [], "mikrocloud": [], "pipelit": ["--empty"], "navak": []}
# The requests that the seeds show or list, in their order.
SEEDS = {
    "mycelium": (
        "/_adm/beginners/users/magic-link/request", "/_adm/beginners/users/magic-link/display/",
        "/_adm/beginners/users/magic-link/verify", "/_adm/beginners/users/totp/enable",
        "/_adm/beginners/users/totp/validate-app", "/_adm/beginners/users/totp/check-token",
        "/_adm/beginners/users/totp/disable", "/_adm/beginners/tokens", "/_adm/beginners/profile",
    ),
    "mployr": ("/v1/login", "/v1/people", "/v1/2fa/status", "/v1/2fa/setup", "/v1/2fa/enable", "/v1/2fa/verify"),
    "mikrocloud": ("/user/login", "/user/passport"),
    "pipelit": (
        "/api/v1/auth/token/", "/api/v1/auth/me/", "/api/v1/auth/setup-status/", "/api/v1/auth/setup/",
        "/api/v1/auth/mfa/setup/", "/api/v1/auth/mfa/verify/", "/api/v1/auth/mfa/disable/",
        "/api/v1/auth/mfa/status/", "/api/v1/auth/mfa/login-verify/", "/api/v1/auth/mfa/reset/",
    ),
    "navak": ("/auth/registration", "/auth/login", "/auth/session/"),
}  # fmt: skip


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[tuple[Process, str]]:
    """A demo that has greeted, and its host:port. Each document has its own, as its reader has."""
    address = f"{LOOPBACK}:{free_port()}"
    command = [PROGRAM, "serve", "--demo", *options, "--address", address, "--admin", f"{LOOPBACK}:{free_port()}"]
    with Process(command, folder, "demo") as process:
        until(lambda: "Ctrl-C" in process.printed() or process.ended(), "the greeting")
        assert not process.ended(), process.complained()
        yield process, address
        assert process.stop() == 0
        assert "Traceback" not in process.complained()


class Letters:
    """The links of the mails that a demo prints, each taken once."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._taken = 0

    def next(self) -> str:
        """Of the newest mail; waits until there is one that was not there the last time."""
        fresh = until(lambda: self._all()[self._taken :], "a mail with a link")
        self._taken += len(fresh)
        return fresh[-1]

    def _all(self) -> list[str]:
        printed = self._process.printed() + self._process.complained()
        return [link for mail in MAIL.findall(printed) for link in LINKS.findall(mail)]


def given(process: Process) -> dict[str, Callable[[], str]]:
    """What a reader copies from the demo's terminal."""
    return {"LINK": Letters(process).next, "CONFIG": lambda: CONFIG.findall(process.printed())[0]}


@pytest.mark.parametrize("name", DEMOS)
def test_a_documents_lines_get_the_answers_that_it_shows(name: str, tmp_path: Path) -> None:
    """Every line exits with 0, and prints what stands below it, but for tokens, ids and times."""
    for needed in ("curl", "oathtool", "bash"):
        program(needed)
    environ = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    path = FOLDER / f"{name}.md"
    shown = path.read_text(encoding="utf-8")
    with (
        demo(tmp_path, *DEMOS[name]) as (process, address),
        Shell(tmp_path, address, given(process), environ) as shell,
    ):
        got = replayed(shown, shell)
    if WRITE:
        path.write_text(got, encoding="utf-8")
    else:
        assert got == shown


@pytest.mark.parametrize("name", DEMOS)
def test_a_document_calls_what_the_seed_shows(name: str) -> None:
    """Each path, by a line with `curl`."""
    lines = [line for line in commands((FOLDER / f"{name}.md").read_text(encoding="utf-8")) if "curl " in line]
    called = [path for line in lines for path in re.findall(rf"http://{re.escape(SHOWN)}([^\s'\"$?]+)", line)]
    missing = [path for path in SEEDS[name] if path not in called]
    assert missing == []


def test_every_document_is_run() -> None:
    """One for each login API, and no other."""
    assert sorted(path.stem for path in FOLDER.glob("*.md")) == sorted(DEMOS)


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ('{"token":"abc","type":"Bearer"}', '{"token":"...","type":"Bearer"}'),
        ('{"key":"","requires_mfa":true}', '{"key":"","requires_mfa":true}'),
        ('{"recovery_codes":["A-B","C-D"],"x":["y"]}', '{"recovery_codes":["..."],"x":["y"]}'),
        ('{"expiration_date":1771877304}', '{"expiration_date":...}'),
        ('{"mfa_svg":"<svg a=\\"b\\"/>","message":"m"}', '{"mfa_svg":"...","message":"m"}'),
        ('{"mfa_svg":null,"expires_in":86400}', '{"mfa_svg":null,"expires_in":86400}'),
        ('{"createdAt":"2026-01-02T03:04:05Z","a":null}', '{"createdAt":"...","a":null}'),
        ('{"expiresAt":"2034-01-01T00:00:00Z"}', '{"expiresAt":"2034-01-01T00:00:00Z"}'),
        ('{"id":1,"totpUrl":"otpauth://x?secret=AB2&y"}', '{"id":1,"totpUrl":"otpauth://x?secret=...&y"}'),
        ("http://127.0.0.1:4711/x", "http://127.0.0.1:8080/x"),
    ],
)
def test_only_what_changes_is_left_out(printed: str, shown: str) -> None:
    """Names, types of members and everything that a client decides by stay."""
    assert normal(printed, "127.0.0.1:4711") == shown + "\n"


def test_a_block_is_commands_and_answers() -> None:
    """A backslash at its end continues a command; nothing is no answer."""
    found = steps("$ curl a \\\n    -d b\n{}\n$ X=1\n$ curl c\n1\n\n2\n")
    assert [(step.command, step.answer) for step in found] == [
        ("$ curl a \\\n    -d b\n", "{}\n"),
        ("$ X=1\n", ""),
        ("$ curl c\n", "1\n\n2\n"),
    ]

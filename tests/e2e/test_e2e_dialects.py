"""`docs/dialects/`: each login API, tried as its own documentation shows it. The documents are the expected values.

GATEWAY_WRITE_TRANSCRIPTS=1 writes the answers into them instead.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness.ports import free_port

from .parts import LOOPBACK, Process, program, until
from .transcripts import SHOWN, Shell, commands, normal, replayed, steps
from .world import PROGRAM

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs/dialects"
WRITE = os.environ.get("GATEWAY_WRITE_TRANSCRIPTS") == "1"
LINKS = re.compile(r"^http\S+/(?:magic-link/display|confirm)/\S+$", re.M)
CONFIG = re.compile(r"gateway account list -c (\S+)")
MAIL = re.compile(r"^--- mail to .*?^---$", re.M | re.S)

# What each document starts with, beside `gateway serve --demo`; Pipelit's makes the first account.
DEMOS = {"mycelium": [], "mployr": [], "mikrocloud": [], "pipelit": ["--empty"], "navak": []}
# The requests that the seeds show or list, in their order, and those that they leave without a path.
SEEDS = {
    "mycelium": (
        "POST /_adm/beginners/users/magic-link/request", "GET /_adm/beginners/users/magic-link/display/",
        "POST /_adm/beginners/users/magic-link/verify", "POST /_adm/beginners/users/totp/enable",
        "POST /_adm/beginners/users/totp/validate-app", "POST /_adm/beginners/users/totp/check-token",
        "POST /_adm/beginners/users/totp/disable", "POST /_adm/beginners/tokens", "GET /_adm/beginners/tokens",
        "GET /_adm/beginners/profile",
    ),
    "mployr": (
        "POST /v1/login", "GET /v1/people", "GET /v1/2fa/status", "POST /v1/2fa/setup", "POST /v1/2fa/enable",
        "POST /v1/2fa/verify", "POST /v1/refresh", "POST /v1/logout", "GET /v1/me", "POST /v1/2fa/disable",
        "POST /v1/2fa/recovery-codes",
    ),
    "mikrocloud": ("POST /user/login", "POST /user/passport"),
    "pipelit": (
        "POST /api/v1/auth/token/", "GET /api/v1/auth/me/", "GET /api/v1/auth/setup-status/",
        "POST /api/v1/auth/setup/", "POST /api/v1/auth/mfa/setup/", "POST /api/v1/auth/mfa/verify/",
        "POST /api/v1/auth/mfa/disable/", "GET /api/v1/auth/mfa/status/", "POST /api/v1/auth/mfa/login-verify/",
        "POST /api/v1/auth/mfa/reset/", "POST /api/v1/users/me/keys", "GET /api/v1/users/me/keys",
        "DELETE /api/v1/users/me/keys/",
    ),
    "navak": (
        "POST /auth/registration", "POST /auth/login", "GET /auth/session/", "PUT /auth/email", "GET /auth/sessions",
        "DELETE /auth/sessions/",
    ),
}  # fmt: skip
PATH = re.compile(rf"\bcurl [^|]*http://{re.escape(SHOWN)}([^\s'\"$?]+)")


def request(line: str) -> str:
    """The method and the path, up to what differs each time, of a line with `curl`; curl's own rule for the method."""
    path, method = PATH.search(line), re.search(r" -X ([A-Z]+)", line)
    if path is None:
        return ""
    return f"{method[1] if method else 'POST' if ' -d ' in line else 'GET'} {path[1]}"


@contextmanager
def demo(folder: Path, *options: str, admin: str = "") -> Iterator[tuple[Process, str]]:
    """A demo that has greeted, and its host:port. Each document has its own, as its reader has."""
    address = f"{LOOPBACK}:{free_port()}"
    admin = admin or f"{LOOPBACK}:{free_port()}"
    command = [PROGRAM, "serve", "--demo", *options, "--address", address, "--admin", admin]
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
    """Each method and path, by a line with `curl`."""
    called = {request(line) for line in commands((FOLDER / f"{name}.md").read_text(encoding="utf-8"))}
    assert [wanted for wanted in SEEDS[name] if wanted not in called] == []


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
        ("X-RateLimit-Limit: 60\nX-RateLimit-Reset: 1771877304", "X-RateLimit-Limit: 60\nX-RateLimit-Reset: ..."),
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

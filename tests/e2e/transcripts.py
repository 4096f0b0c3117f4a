"""Documents that show a shell session: their commands are run, and what is shown below each is what it printed.

A `console` block has lines `$ COMMAND`, ended early by a backslash where the next line goes on, and answers below them.
A line such as `$ LINK=...` takes what the reader finds in the gateway's own output; it is not run as it stands.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

SHOWN: Final = "127.0.0.1:8080"  # where the documents say that the gateway is
SHOWN_ADMIN: Final = "127.0.0.1:9901"  # and its admin listener
GIVEN: Final = re.compile(r"\$ ([A-Z]+)=\.\.\.\n")
BLOCK: Final = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
END: Final = "\x1e"  # after each command's output: RS, which no answer has

# Members whose values differ each time. Empty ones, as `"key":""`, say something and stay.
_TEXTS: Final = (
    "token|session_token|auth_token|mfa_token|auth_id|key|secret|id|account|accId|tenantId|tenant_id|accountId|"
    "roleId|business_id|sid|jti|qr_code|mfa_svg|request_id|prefix"
)
_NUMBERS: Final = "expiration_date|created_at|last_used_at|iat|exp|retry_after"
# Where, and what is shown instead. Members stand in JSON, which may have spaces after its colons.
CHANGING: Final = tuple(
    (re.compile(pattern, re.M), shown)
    for pattern, shown in (
        (rf'("(?:{_TEXTS})": ?)"(?:[^"\\]|\\.)+"', r'\1"..."'),
        (rf'("(?:{_NUMBERS})": ?)\d+', r"\1..."),
        (r'("recovery_?[cC]odes": ?)\["[^]]*\]', r'\1["..."]'),
        (r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "..."),  # UUID
        (r"\beyJ[\w-]+\.[\w-]+\.[\w-]+", "..."),  # JWT
        (r"([?&]secret=)[A-Z2-7]+", r"\1..."),
        (r"\bsig=[0-9a-f]+", "sig=..."),
        (r"\b(?!2034-)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "..."),  # but for the year that a document asks for
        (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "..."),  # as mails and pages write times
        (r"\b(?:\d+:)?[0-9a-f]{64}\b", "..."),  # SHA-256; the number of a row before it
        (r"^(rows +)\d+", r"\1..."),
        (r"\bcli:[\w.-]+ *", "cli:ops  "),  # who runs the tests
        (r"^\d+ +(?=\.\.\. )", "...  "),  # the number of a row that begins with a time
        (r"curl/[\d.]+", "curl/..."),
        (r"/[\w./-]*/gateway-demo-\w+/", ".../"),
        # The span in a traceparent, and the trace but for the one that a document sends.
        (r"\b00-(?!0af7)[0-9a-f]{32}-[0-9a-f]{16}-", "00-...-...-"),
        (r"\b(00-0af7[0-9a-f]{28})-[0-9a-f]{16}-", r"\1-...-"),
        (r"^gateway: [a-z -]+: \d+(?: of \d+)?\n", ""),  # how far it is, after five seconds: on a busy machine alone
        (r'("trace": ?)"(?!0af7)[0-9a-f]{32}"', r'\1"..."'),
        (r"^(X-RateLimit-Reset|[Rr]etry-[Aa]fter): \d+", r"\1: ..."),
        (r"^(ratelimit: .*;t=)\d+", r"\1..."),
    )
)


@dataclass(frozen=True)
class Step:
    """command: as it is written, with the dollar. answer: whole lines, or nothing."""

    command: str
    answer: str


def normal(printed: str, address: str) -> str:
    """What is the same each time of what was printed by a gateway at this address (host:port)."""
    text = printed.replace(address, SHOWN)
    for pattern, shown in CHANGING:
        text = pattern.sub(shown, text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n" if text.strip() else ""


def steps(block: str) -> list[Step]:
    """Of the text inside a block."""
    found = re.findall(r"^(\$ .*(?:(?<=\\)\n.*)*\n)((?:(?!\$ ).*\n)*)", block, re.M)
    return [Step(command, answer) for command, answer in found]


def commands(document: str) -> list[str]:
    return [step.command for block in BLOCK.findall(document) for step in steps(block)]


def replayed(document: str, shell: "Shell") -> str:
    """The document with the answers that its commands get now."""

    def run(block: re.Match[str]) -> str:
        return "```console\n" + "".join(step.command + shell.answer(step.command) for step in steps(block[1])) + "```"

    return BLOCK.sub(run, document)


class Shell:
    """One bash for a whole document, so that variables stay.

    address, admin: host:port of the gateway. given: by its variable, how to find what the reader is to put there.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        given: Mapping[str, Callable[[], str]],
        environ: Mapping[str, str],
        admin: str = SHOWN_ADMIN,
    ) -> None:
        self._address = address
        self._admin = admin
        self._given = given
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**environ, "HOME": str(folder), "LC_ALL": "C.UTF-8"},  # no .curlrc of somebody's
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        try:
            self._bash.wait(5)
        except subprocess.TimeoutExpired:
            self._bash.kill()
            self._bash.wait()
        self._bash.stdout.close()

    def answer(self, command: str) -> str:
        """Of a step's command; fails where its exit code is not 0."""
        if given := GIVEN.fullmatch(command):
            return self._run(f"{given[1]}='{self._given[given[1]]()}'")
        line = command.removeprefix("$ ").replace(SHOWN, self._address).replace(SHOWN_ADMIN, self._admin)
        return normal(self._run(line), self._address)

    def _run(self, line: str) -> str:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{line}\nprintf '\\x1e%d\\n' $?\n")
        self._bash.stdin.flush()
        printed = ""
        while END not in printed:
            read = self._bash.stdout.readline()
            assert read, f"bash ended at: {line}\n{printed}"
            printed += read
        text, _, code = printed.partition(END)
        assert int(code) == 0, f"exit code {code.strip()} of: {line}\n{text}"
        return text

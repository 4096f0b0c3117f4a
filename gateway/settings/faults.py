"""A fault of the configuration: where it is, what is wrong, what to write. How files are read is not here.

The source line is shown to people, so what stands in it where a secret belongs is masked first.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

MAX_FAULTS = 500  # more are a wrong file, not mistakes in one; each costs a search for what was meant
_NAMES = 1000  # names that a misspelt one is compared with: 3 us each
_READABLE = 4096  # of a longer line nothing is shown: the patterns below would take long over it
_SHOWN = 160  # characters of a source line: what a terminal shows without wrapping twice
# Keys that hold secrets, also misspelt. `tokens` and `secrets` are sections: only a bare value is masked there.
_GUARDED = r"""[\w.-]{0,64}(?:token|secret|passw|master|api-?key)[\w.-]{0,64}["']?"""
_HOLDS_SECRET = rf"""{_GUARDED}(?<!tokens)(?<!secrets)(?<!s["'])"""
_REFERENCE = r"\{\s*(?:env|file)\s*:[^,{}]*\}"
_SECRET = re.compile(rf"({_GUARDED}(?:\s*[:=]\s*|\s+))(?![\s{{:=])([^,}}]*)", re.IGNORECASE)  # a colon may be forgotten
_BRACED = re.compile(rf"({_HOLDS_SECRET}\s*:\s*)(?!{_REFERENCE})(\{{.*)", re.IGNORECASE)
# `forward: { authorization: true }` is no secret
_CREDENTIAL = re.compile(r"""(\bauthorization["']?\s*:(?!\s*(?:\{|true\b|false\b))\s*)([^,}]*)""", re.IGNORECASE)
_BELOW = r"\s*:\s*(?:[|>][-+0-9]*)?\s*(?:#.*)?$"
_BELOW_SECTION = re.compile(_GUARDED + _BELOW, re.IGNORECASE)
_BELOW_SECRET = re.compile(_HOLDS_SECRET + _BELOW, re.IGNORECASE)
_KEYED = re.compile(r"""\s*["']?[\w.-]+["']?\s*:(?:\s|$)""")
_KEYED_REFERENCE = re.compile(r"\s*(?:env|file)\s*:\s")
_USERINFO = re.compile(
    r"(//)(\S+)(?=@)"
)  # to the last @: a password that should have been encoded may hold one, or a /
_SMTP_USERINFO = re.compile(r"(smtps?:)(.+)(?=@)", re.IGNORECASE)  # or a space


@dataclass(frozen=True, slots=True)
class Source:
    """One file as it was read: its name as the operator knows it, and its lines."""

    name: str
    lines: Sequence[str] = field(default=(), repr=False)

    def line(self, number: int) -> str:
        """Line `number` (from 1), masked, or "" when there is none that can be shown."""
        if not 1 <= number <= len(self.lines):
            return ""
        text = self.lines[number - 1]
        above = next((self.lines[at] for at in range(number - 2, -1, -1) if self.lines[at].strip()), "")
        if max(len(text), len(above)) > _READABLE:
            return ""
        if _is_secret_below(above, text):
            return re.sub(r"\S", "*", text)
        for pattern in (_BRACED, _SECRET, _CREDENTIAL, _USERINFO, _SMTP_USERINFO):
            text = pattern.sub(_stars, text)
        return text


def _is_secret_below(above: str, text: str) -> bool:
    if _BELOW_SECRET.search(above):
        return not _KEYED_REFERENCE.match(text)
    return bool(_BELOW_SECTION.search(above)) and not _KEYED.match(text)


def _stars(found: re.Match[str]) -> str:
    return found[1] + "*" * len(found[2])


@dataclass(frozen=True, slots=True)
class Place:
    """line, column: from 1, in characters."""

    source: Source
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"

    def fault(self, code: str, message: str) -> "Fault":
        return Fault(self.source.name, self.line, self.column, code, message, self.source.line(self.line))


@dataclass(frozen=True, slots=True)
class Fault:
    file: str
    line: int
    column: int
    code: str
    message: str
    source_line: str = ""

    def as_json(self) -> dict[str, str | int]:
        """What `check --json` prints: no source line, a program has the file."""
        return {k: getattr(self, k) for k in ("file", "line", "column", "code", "message")}


class SettingsInvalid(Exception):  # noqa: N818 - errors are named by fault
    """The configuration cannot be used. faults: every one that was found, in the order of files and lines."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(render(fault) for fault in faults))
        self.faults = list(faults)


def render(fault: Fault) -> str:
    """`file:line:column: message`, then the source line and a caret below the column."""
    head = f"{fault.file}:{fault.line}:{fault.column}: {fault.message}"
    if not fault.source_line.strip():
        return head
    start = max(0, fault.column - 1 - _SHOWN // 2) if len(fault.source_line) > _SHOWN else 0
    text = "".join(c if c == "\t" or c.isprintable() else "?" for c in fault.source_line[start : start + _SHOWN])
    pad = re.sub(r"[^\t]", " ", text[: fault.column - 1 - start].ljust(fault.column - 1 - start))
    return f"{head}\n  {text.rstrip()}\n  {pad}^"


def quoted(word: object) -> str:
    """A word of the file, safe to print: 'word', cut at 60 characters."""
    text = str(word)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def suggestion(word: object, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` when one of the known words is near, else what is known if that is short, else ""."""
    names = {name.lower(): name for name in known if 0 < len(name) <= 64}
    if len(names) > _NAMES:
        return ""
    near = difflib.get_close_matches(str(word)[:64].lower(), names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {names[near[0]]!r}?"
    return f"; known: {', '.join(sorted(names.values()))}" if 0 < len(names) <= 12 else ""

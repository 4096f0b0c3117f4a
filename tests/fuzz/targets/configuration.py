"""The configuration's loader: settings, or faults that say where; and the YAML below it beside another reader of YAML.

The input is the file. What it names beside itself is not there, but for one file that it may include.
"""

import fnmatch
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from gateway.settings.faults import MAX_FAULTS, Fault, SettingsInvalid, render
from gateway.settings.load import load
from gateway.settings.yaml import MAX_BYTES, Room, plain, read

WORDS = (
    b"routes:", b"upstreams:", b"include:", b"access:", b"{ env: X }", b"{ file: x }", b"&a ", b"*a", b"<<: ",
    b"!!str ", b"- ", b"\n  ", b"\n- ", b": ", b"? ", b"|\n", b">-\n", b"'", b'"', b"\\u0000", b"\xef\xbb\xbf",
    b"\xc2\x85", b"\xe2\x80\xa8", b"---\n", b"...\n", b"%YAML 1.2\n", b"[", b"]", b"{", b"}", b"# ", b"0x1F", b"0o17",
    b".inf", b".nan", b"1e400", b"99999999999999999999", b"-1", b"1h", b"1GiB", b"true", b"null", b"~", b"more.yaml",
    b"*.yaml", b"\t", b"http://127.0.0.1:9001", b"https://[::1]:1", b"public", b"protected", b"issuers:", b"listen:",
    b"cors:", b"headers:", b"limits:", b"rate:", b"concurrency:", b"retries:", b"health:", b"outlier:", b"tracing:",
    b"login:", b"mail:", b"state:", b"redis://127.0.0.1", b"store:", b"sqlite:///x", b"token:", b"master_key:",
    b"secrets:",
)  # fmt: skip
ROOT = Path(__file__).resolve().parent.parent.parent.parent
HERE = Path("/nowhere/config.yaml")  # nothing below it is on any disk
MORE = b"upstreams: { more: { endpoints: [http://127.0.0.1:9002] } }\n"


class Memory:
    """The file, and one beside it."""

    def __init__(self, text: bytes) -> None:
        self.texts = {str(HERE): text, str(HERE.parent / "more.yaml"): MORE}

    def name(self, path: Path) -> None:
        """Nobody asks later."""

    def read(self, path: Path) -> bytes:
        if str(path) not in self.texts:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return self.texts[str(path)][: MAX_BYTES + 1]

    def names(self, pattern: str, folder: Path) -> Sequence[str]:
        return [name for name in ("more.yaml",) if fnmatch.fnmatchcase(name, pattern)]


def seeds() -> Iterator[bytes]:
    whole = (ROOT / "config.example.yaml").read_bytes()
    sections: list[bytes] = []
    for line in whole.splitlines(keepends=True):
        if line[:1].isalpha() or not sections:
            sections.append(b"")
        if line.strip() and not line.lstrip().startswith(b"#"):
            sections[-1] += line.partition(b"  #")[0].rstrip() + b"\n"
    yield from (section for section in sections if section)
    upstreams = b"upstreams: { u: { endpoints: [http://127.0.0.1:9001] } }\n"
    yield upstreams + b"routes:\n- { path: '/x/**', upstream: u, access: public }\n"
    access = b"access: { roles: [{ role: a, permission: write }] }\n"
    yield b"include: [more.yaml]\nroutes:\n- path: /x\n  upstream: more\n  " + access
    yield b"a: &a [1, 0x1F, .5, 'x', \"y\\u00e9\", ~]\nb: *a\nc: |\n  text\n  more\nd: >-\n  folded\n  text\n? e\n: f\n"
    yield b'{"public_url": "http://h", "log": {"level": "info"}}'


def once(data: bytes) -> None:
    faults = _faults(data)
    lines = _lines(data)
    for fault in faults:
        assert fault.code
        assert fault.message
        assert fault.file in (str(HERE), str(HERE.parent / "more.yaml"))
        assert fault.line >= 1
        assert fault.column >= 1
        if fault.file == str(HERE) and lines is not None:
            assert fault.line <= len(lines) + 1, "a line that there is not"
            width = len(lines[fault.line - 1]) if fault.line <= len(lines) else 0
            assert fault.column <= width + 2, "a column that there is not"
        render(fault).encode()
    assert len(faults) <= MAX_FAULTS + 1
    assert len(set(faults)) == len(faults), "told twice"
    same_as_another_reader(data)


def _faults(data: bytes) -> list[Fault]:
    try:
        loaded = load(HERE, {"X": "a value"}, Memory(data))
    except SettingsInvalid as invalid:
        assert invalid.faults
        return invalid.faults
    assert len(loaded.route_places()) == len(loaded.settings.routes)
    return []


def _lines(data: bytes) -> list[str] | None:
    """As YAML 1.1 ends them; None where the file is no text."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    for ending in ("\r\n", "\r", "\x85", "\u2028", "\u2029"):
        text = text.replace(ending, "\n")
    return text.split("\n")


def same_as_another_reader(data: bytes) -> None:
    """What is read without a fault, PyYAML's own composer reads too: the same keys, lists and texts."""
    parsed = read("x", data, Room())
    if parsed.faults or parsed.root is None:
        return
    try:
        theirs = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.CSafeLoader)
    except yaml.composer.ComposerError as error:
        assert "duplicate anchor" in str(error)  # PyYAML's own rule: one may be set anew (YAML 1.2.2, 3.2.2.2)
        return
    mine = plain(parsed.root)
    if theirs is None or (isinstance(theirs, yaml.ScalarNode) and mine == {}):
        assert mine == {}
    else:
        _same(mine, theirs)


def _same(mine: object, theirs: yaml.Node) -> None:
    match theirs:
        case yaml.MappingNode():
            assert isinstance(mine, dict)
            assert list(mine) == [key.value for key, _ in theirs.value]
            for key, value in theirs.value:
                _same(mine[key.value], value)
        case yaml.SequenceNode():
            assert isinstance(mine, tuple)
            for one, other in zip(mine, theirs.value, strict=True):
                _same(one, other)
        case _:
            _scalar(mine, theirs)


def _scalar(mine: object, theirs: yaml.ScalarNode) -> None:
    text = theirs.value
    match mine:
        case str():
            assert mine == text
        case bool() | None:
            assert text.lower() in ({True: ("true",), False: ("false",), None: ("null", "~", "")}[mine])
        case int():
            assert mine == int(text, 0 if text[:2] in ("0x", "0o") else 10)
        case float() if math.isnan(mine):
            assert text.lower() == ".nan"
        case float():
            assert mine == float(text.replace(".inf", "inf").replace(".Inf", "inf").replace(".INF", "inf"))
        case _:
            raise AssertionError(type(mine))

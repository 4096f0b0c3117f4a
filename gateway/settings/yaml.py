"""YAML 1.2 with a mark on every node, and refusals instead of surprises. Includes and the meaning of keys are not here.

Built on libyaml's events, not on its composer: nothing recurses, so depth and aliases are bounded as they are read.
The scalars are those of the YAML 1.2 core schema (chapter 10.3): `on`, `yes`, `1_000`, `12:30` and dates are text.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from gateway.settings.faults import MAX_FAULTS, Fault, Place, Source, quoted

MAX_BYTES = 1 << 20
MAX_NODES = 1_000_000  # after aliases are expanded; ten thousand full routes are a third of it
MAX_DEPTH = 32  # the model is seven deep

_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # libyaml's line breaks, so that its marks fit our lines
_INT = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: float(sign + "inf") for sign in ("", "+", "-") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


class Node:
    """value: a scalar, a list of nodes, or a dict of nodes with the place of each key in `keys`.

    weight: nodes below and here, aliases expanded. height: levels of containers.
    """

    __slots__ = ("height", "keys", "place", "value", "weight")

    def __init__(self, value: object, place: Place, keys: dict[str, Place] | None = None) -> None:
        self.value: Any = value
        self.place = place
        self.keys = keys if keys is not None else {}
        self.weight = 1
        self.height = 0


def plain(node: Node) -> Any:
    """The value without marks: dict, tuple (values are not for changing), str, int, float, bool, None."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return tuple(plain(child) for child in node.value)
    return node.value


@dataclass(slots=True)
class Room:
    """What one load may still spend, over all its files."""

    nodes: int = MAX_NODES


@dataclass(frozen=True, slots=True)
class Parsed:
    """root: None when the file cannot be read to its end. The other faults leave a tree worth checking further."""

    root: Node | None
    faults: list[Fault]


def read(name: str, data: bytes, room: Room) -> Parsed:
    """One file of UTF-8. Never raises: what is wrong is in `faults`."""
    start = Place(Source(name), 1, 1)
    if len(data) > MAX_BYTES:
        return Parsed(None, [start.fault("too_large", f"the file is larger than {MAX_BYTES >> 20} MiB")])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Parsed(None, [Place(Source(name), line, 1).fault("bad_encoding", "the file is not UTF-8")])
    source = Source(name, _BREAK.split(text))
    builder = _Builder(source, room)
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except _Stop:
        return Parsed(None, builder.faults)
    except yaml.YAMLError as error:
        return Parsed(None, [*builder.faults, _syntax(source, error)])
    return Parsed(builder.root or Node({}, Place(source, 1, 1)), builder.faults)


def _syntax(source: Source, error: yaml.YAMLError) -> Fault:
    mark = getattr(error, "problem_mark", None)
    said = [getattr(error, part, None) for part in ("context", "problem")]
    message = ", ".join(str(part) for part in said if part) or "a character that YAML does not allow"
    if mark is None:  # libyaml's reader counts bytes of the whole text, not lines
        return _unreadable(source).fault("syntax", message)
    # newer releases of libyaml stop at 1,000 levels themselves, ahead of the events that our own bound stops at
    code = "too_deep" if "maximum nesting depth" in message else "syntax"
    return Place(source, mark.line + 1, mark.column + 1).fault(code, message)


_NOT_YAML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def _unreadable(source: Source) -> Place:
    for number, line in enumerate(source.lines, 1):
        found = _NOT_YAML.search(line)
        if found:
            return Place(source, number, found.start() + 1)
    return Place(source, 1, 1)


def _resolve(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if len(text) <= 64 and _FLOAT.fullmatch(text):
        return float(text)
    return text


class _Stop(Exception):  # noqa: N818 - not an error
    """The file is not read further; why is in the faults."""


_REFUSED = object()  # stands where a key was refused: its value is read and dropped


@dataclass(slots=True)
class _Open:
    """A container whose end has not come. key: of the value to come, None where a key is next."""

    node: Node
    anchor: str | None
    key: object = None


@dataclass(slots=True)
class _Builder:
    source: Source
    room: Room
    faults: list[Fault] = field(default_factory=list)
    root: Node | None = None
    documents: int = 0
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, Node | None] = field(default_factory=dict)  # None while the anchored container is open

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        place = Place(self.source, mark.line + 1, mark.column + 1) if mark else Place(self.source, 1, 1)
        if len(self.faults) > MAX_FAULTS:
            self._stop(place, "too_many_faults", "there are too many faults above to read on")
        match event:
            case yaml.ScalarEvent():
                self._scalar(event, place)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._begin(event, place)
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event, place)
            case yaml.DocumentStartEvent():
                self.documents += 1
                if self.documents > 1:
                    self._stop(place, "many_documents", "one file holds one document; use include: for more files")
            case _:
                pass

    def _stop(self, place: Place, code: str, message: str) -> None:
        self.faults.append(place.fault(code, message))
        raise _Stop

    def _spend(self, nodes: int, place: Place) -> None:
        self.room.nodes -= nodes
        if self.room.nodes < 0:
            self._stop(place, "too_many_nodes", f"more than {MAX_NODES} values, aliases expanded")

    def _no_tag(self, tag: str | None, place: Place) -> None:
        if tag is not None:
            self.faults.append(place.fault("tag_refused", f"tags such as {quoted(tag)} are not read here; remove it"))

    def _scalar(self, event: yaml.ScalarEvent, place: Place) -> None:
        self._spend(1, place)
        self._no_tag(event.tag, place)
        is_plain = event.implicit[0]
        if is_plain and event.value == "<<" and self._wants_key():
            self.faults.append(place.fault("merge_refused", "merge keys (<<) are not read here; write the keys out"))
            self.stack[-1].key = _REFUSED
            return
        node = Node(_resolve(event.value) if is_plain else event.value, place)
        if event.anchor:
            self.anchors[event.anchor] = node
        self._attach(node, place)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, place: Place) -> None:
        self._spend(1, place)
        self._no_tag(event.tag, place)
        if len(self.stack) >= MAX_DEPTH:
            self._stop(place, "too_deep", f"more than {MAX_DEPTH} levels")
        value: object = {} if isinstance(event, yaml.MappingStartEvent) else []
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(Node(value, place), event.anchor))

    def _end(self) -> None:
        done = self.stack.pop()
        node = done.node
        children = node.value.values() if isinstance(node.value, dict) else node.value
        node.weight = 1 + sum(child.weight for child in children)
        node.height = 1 + max((child.height for child in children), default=0)
        if done.anchor:
            self.anchors[done.anchor] = node
        self._attach(node, node.place)

    def _alias(self, event: yaml.AliasEvent, place: Place) -> None:
        name = event.anchor or ""
        node = self.anchors.get(name)
        if node is None:
            why = "stands inside itself" if name in self.anchors else "has no anchor before it"
            self._stop(place, "bad_alias", f"the alias {quoted('*' + name)} {why}")
            return
        self._spend(node.weight, place)
        if len(self.stack) + node.height > MAX_DEPTH:
            self._stop(place, "too_deep", f"more than {MAX_DEPTH} levels")
        self._attach(node, place)

    def _wants_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].node.value, dict) and self.stack[-1].key is None

    def _attach(self, node: Node, place: Place) -> None:
        if not self.stack:
            self.root = None if node.value is None else node
            return
        parent = self.stack[-1]
        if self._wants_key():
            parent.key = self._key(parent.node, node, place)
            return
        key, parent.key = parent.key, None
        if key is _REFUSED:
            return
        if node.value is None:
            where = parent.node.keys[key] if isinstance(key, str) else place
            self.faults.append(where.fault("empty_value", "there is no value here; write one or remove this"))
        if isinstance(key, str):
            parent.node.value[key] = node
        else:
            parent.node.value.append(node)

    def _key(self, mapping: Node, node: Node, place: Place) -> object:
        key = node.value
        if not isinstance(key, str):
            hint = "" if isinstance(key, dict | list) else f"; write it in quotes: {str(key).lower()!r}"
            self.faults.append(place.fault("bad_key", f"a key must be text{hint}"))
            return _REFUSED
        if key in mapping.keys:
            first = mapping.keys[key]
            self.faults.append(place.fault("duplicate_key", f"{quoted(key)} is given twice, first at {first}"))
            return _REFUSED
        mapping.keys[key] = place
        return key

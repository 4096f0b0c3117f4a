"""The configuration, read: `load(path, environ)` gives the settings and where each stood, or every fault at once.

Reads the configuration's files and the secret files that they name, and nothing else.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.settings.compose import compose
from gateway.settings.crosscheck import findings
from gateway.settings.faults import MAX_FAULTS, Fault, Place, SettingsInvalid, quoted, suggestion
from gateway.settings.files import Disk, Files
from gateway.settings.model import Settings
from gateway.settings.secrets import Sources
from gateway.settings.values import Unfit
from gateway.settings.yaml import Node, plain

Keys = tuple[str | int, ...]
Detail = Mapping[str, Any]  # one row of pydantic's `errors()`

_TYPES = {
    "string_type": "must be text; a word in quotes is always text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "tuple_type": "must be a list",
    "dict_type": "must be a mapping of names",
    "mapping_type": "must be a mapping of names",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    settings: Settings
    tree: Node

    def place(self, keys: Keys) -> Place:
        """Where the value at these keys and positions stands; what is not in the files is where it would belong."""
        return place(self.tree, keys)

    def route_places(self) -> tuple[str, ...]:
        """`file:line` of each route."""
        found = (self.place(("routes", number, "path")) for number in range(len(self.settings.routes)))
        return tuple(f"{place.source.name}:{place.line}" for place in found)


def load(path: Path, environ: Mapping[str, str], source: Files | None = None) -> Loaded:
    """The settings of one file and its includes. Raises SettingsInvalid with every fault, 500 at most.

    environ: where `{env: NAME}` is looked up. Relative paths are relative to the folder of `path`. source: where the
    files are; the disk if None.
    """
    composed = compose(path, source=source)
    faults = list(composed.faults)
    settings = None
    if composed.whole:
        data = plain(composed.root)
        sources = Sources(path.absolute().parent, environ, (source or Disk()).name)
        settings, wrong = _validate(data, composed.root, sources)
        faults += wrong
        faults += _between(data, composed.root, {_spot(fault) for fault in faults})
    if faults or settings is None:
        raise SettingsInvalid(_ordered(faults))
    return Loaded(settings, composed.root)


def place(tree: Node, keys: Keys, *, key: bool = False) -> Place:
    """key: the place of the last key rather than of its value."""
    node, found = tree, tree.place
    for position, step in enumerate(keys):
        child = _child(node, step)
        if child is None:
            return found
        found = node.keys[step] if isinstance(step, str) else child.place
        node = child
        if position == len(keys) - 1 and not key:
            return node.place
    return found


def _child(node: Node, step: str | int) -> Node | None:
    value = node.value
    if isinstance(value, dict) and isinstance(step, str):
        return typing.cast("Node | None", value.get(step))
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return typing.cast(Node, value[step])
    return None


def _spot(fault: Fault) -> tuple[str, int, int]:
    return fault.file, fault.line, fault.column


def _between(data: Any, tree: Node, told: set[tuple[str, int, int]]) -> list[Fault]:
    """Faults between keys, but for values that are wrong in themselves: those stand at a place in `told`."""
    faults = []
    for finding in islice(findings(data), MAX_FAULTS + 1):
        first = "" if finding.first is None else f", first at {place(tree, finding.first)}"
        faults.append(place(tree, finding.path).fault(finding.code, finding.message + first))
    return [fault for fault in faults if _spot(fault) not in told]


def _validate(data: Any, tree: Node, sources: Sources) -> tuple[Settings | None, list[Fault]]:
    try:
        return Settings.model_validate(data, context=sources), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[: MAX_FAULTS + 1]
        return None, [_translate(detail, tree) for detail in details if not _follows(detail, details, tree)]


def _follows(detail: Detail, details: Sequence[Detail], tree: Node) -> bool:
    """Whether another fault says it already: an empty value, or a list that is too short without its faulty items."""
    keys = detail["loc"]
    if detail["type"] == "too_short":
        return any(len(other["loc"]) > len(keys) and other["loc"][: len(keys)] == keys for other in details)
    node: Node | None = tree
    for step in keys:
        node = _child(node, step) if node is not None else None
    return node is not None and node.value is None


def _translate(detail: Detail, tree: Node) -> Fault:
    """pydantic's error as a fault. Its `input` is never looked at: it may be a secret."""
    keys, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        hint = suggestion(keys[-1], _known(keys[:-1]))
        return place(tree, keys, key=True).fault("unknown_key", f"unknown key {quoted(keys[-1])}{hint}")
    if kind == "missing":
        return place(tree, keys).fault("missing_key", f"{quoted(keys[-1])} is needed here")
    if kind == "too_short":
        return place(tree, keys).fault("wrong_value", "must have at least one entry")
    if kind in _TYPES:
        return place(tree, keys).fault("wrong_type", _TYPES[kind])
    error = context.get("error")
    message = str(error) if error else detail["msg"].replace("Input should", "must").replace("String should", "must")
    code = error.code if isinstance(error, Unfit) else "wrong_value"
    if keys[-1:] == ("[key]",):
        return place(tree, keys[:-1], key=True).fault(code, message)
    # a literal secret is shown by its key: the value's line may be the secret itself
    return place(tree, keys, key=code == "literal_secret").fault(code, message)


def _known(keys: Keys) -> Sequence[str]:
    """The keys that the model has at this path."""
    kind: Any = Settings
    for step in keys:
        model = _model(kind)
        if model is not None:
            kind = model.model_fields[str(step)].annotation if str(step) in model.model_fields else None
        else:
            kind = next((part for part in reversed(typing.get_args(kind)) if part is not Ellipsis), None)
    model = _model(kind)
    fields = {} if model is None else model.model_fields
    return [field.alias or name for name, field in fields.items()]


def _model(kind: Any) -> type[BaseModel] | None:
    """The model behind an annotation: through `Annotated` and `| None`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    if typing.get_origin(kind) in (typing.Annotated, typing.Union, types.UnionType):
        return _model(typing.get_args(kind)[0])
    return None


def _ordered(faults: Sequence[Fault]) -> list[Fault]:
    """By line within a file, files in the order in which they were read or first complained of."""
    files = {name: number for number, name in enumerate(dict.fromkeys(fault.file for fault in faults))}
    ordered = sorted(dict.fromkeys(faults), key=lambda fault: (files[fault.file], fault.line, fault.column))
    if len(ordered) <= MAX_FAULTS:
        return ordered
    last = ordered[MAX_FAULTS]
    return [*ordered[:MAX_FAULTS], replace(last, code="too_many_faults", message="there are more faults from here on")]

"""The page with every key of the configuration, from the model and its JSON Schema: type, bounds, default, sentence."""

import json
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AfterValidator

from gateway.settings.fields import Model, Within
from gateway.settings.model import Settings
from gateway.settings.schema import schema_text
from gateway.settings.values import DURATION_PATTERN, SIZE_PATTERN

Schema = Mapping[str, Any]

INTRODUCTION: Final = """\
# Configuration

Every key, with what it takes and what it is when nobody says it. The file is YAML; each key is optional but where the
table says `needed`. [config.example.yaml](../config.example.yaml) has all of them in one file, and `gateway schema`
prints the JSON Schema for editors. `gateway check` names every fault with its line.

- Sizes are written as `32KiB`: a whole number and `B`, `KiB`, `MiB` or `GiB`. Durations as `30s`: with `ms`, `s`, `m`,
  `h` or `d`.
- A secret is never in the file: `{ env: NAME }` or `{ file: path }` says where it is.
- Relative paths are relative to the folder of the configuration file.
- `[]` in a key stands for each entry of a list, `*` for each name of a mapping.
- What is unknown, stands twice or is empty is a fault. A new configuration is taken
  [while the gateway runs](reload.md), or refused whole.
"""
HEAD: Final = "| key | takes | unless said | |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Key:
    """path: dotted. default: as it is written in the file; None where there is none."""

    path: str
    takes: str
    default: str | None
    needed: bool
    description: str

    def row(self) -> str:
        unless = "needed" if self.needed else f"`{self.default}`" if self.default is not None else ""
        cells = (f"`{self.path}`", self.takes, unless, _plain(self.description))
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def page() -> str:
    sections = (
        f"\n## {name}\n\n{HEAD}" + "".join(key.row() for key in keys() if re.split(r"[.\[]", key.path)[0] == name)
        for name in SCHEMA["properties"]
    )
    return INTRODUCTION + "".join(sections)


def keys() -> list[Key]:
    """In the order of the model."""
    return list(_keys(SCHEMA, Settings, ""))


def _keys(schema: Schema, model: type[Model], prefix: str) -> Iterator[Key]:
    for name, field in schema["properties"].items():
        path = prefix + name
        section = "$ref" in field
        yield Key(
            path,
            takes=_takes(field) + _bounds(model, name),
            default=_written(field["default"]) if "default" in field and not section else None,
            needed=name in schema.get("required", ()),
            description=field["description"],
        )
        for below, step in dict.fromkeys(_below(field)):
            yield from _keys(*_resolved(below), f"{path}{step}.")


def _below(field: Schema, step: str = "") -> Iterator[tuple[str, str]]:
    """References to the models inside a field, and how a key goes on to them."""
    if "$ref" in field and "properties" in _definition(field["$ref"]):
        yield field["$ref"], step
    for option in (*field.get("anyOf", ()), *field.get("oneOf", ())):
        yield from _below(option, step)
    if "items" in field:
        yield from _below(field["items"], f"{step}[]")
    for value in _named(field):
        yield from _below(value, f"{step}.*")


def _named(field: Schema) -> list[Schema]:
    """What the names of a mapping stand for; none where it is no such mapping."""
    free = field.get("additionalProperties")
    return [*field.get("patternProperties", {}).values(), *([free] if isinstance(free, dict) else [])]


def _definition(reference: str) -> Schema:
    found: Schema = SCHEMA["$defs"][reference.rpartition("/")[2]]
    return found


def _resolved(reference: str) -> tuple[Schema, type[Model]]:
    return _definition(reference), MODELS[reference.rpartition("/")[2]]


def _takes(field: Schema) -> str:
    """What may stand there, in words."""
    if "$ref" in field:
        found = _definition(field["$ref"])
        return "a mapping" if "properties" in found else _takes(found)
    if "anyOf" in field or "oneOf" in field:
        options = field.get("anyOf", ()) or field["oneOf"]
        return ", or ".join(dict.fromkeys(map(_takes, options)))
    if field.get("required") in (["env"], ["file"]):
        return "a secret"
    if "enum" in field:
        return ", ".join(f"`{word}`" for word in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    return _of_type(field)


def _of_type(field: Schema) -> str:
    match field["type"]:
        case "boolean":
            return "`true`, `false`"
        case "integer" | "number":
            kind = "a whole number" if field["type"] == "integer" else "a number"
            return f"{kind}, {field['minimum']} to {field['maximum']}" if "maximum" in field else kind
        case "array":
            least = ", at least one" if field.get("minItems") else ""
            return f"a list{least}: {_takes(field['items'])}"
        case "object":
            return f"a mapping of names: {', or '.join(map(_takes, _named(field)))}"
    if field.get("pattern") in (SIZE_PATTERN, DURATION_PATTERN):
        return "a size" if field["pattern"] == SIZE_PATTERN else "a duration"
    examples = field.get("examples", ())
    return "text" + (f", such as {' or '.join(f'`{word}`' for word in examples)}" if examples else "")


def _bounds(model: type[Model], name: str) -> str:
    """Of a size or a duration, which the schema does not have."""
    field = next(field for key, field in model.model_fields.items() if name in (key, field.alias))
    found = [*_checks(field.metadata), *_checks([field.annotation])]
    return "".join(dict.fromkeys(f", {check.low} to {check.high}" for check in found))


def _checks(parts: typing.Iterable[object]) -> Iterator[Within]:
    for part in parts:
        if isinstance(part, AfterValidator) and isinstance(part.func, Within):
            yield part.func
        elif not isinstance(part, type):
            yield from _checks((*getattr(part, "__metadata__", ()), *typing.get_args(part)))


def _written(value: object) -> str:
    """As in a file of YAML, on one line."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name}: {_written(inner)}' for name, inner in value.items())} }}" if value else "{}"
    return value if isinstance(value, str) else json.dumps(value)


def _plain(text: str) -> str:
    """A sentence that Markdown reads as it is written; code in it stays code."""
    parts = text.split("`")
    return "`".join(part if place % 2 else re.sub(r"([*<\[\]])", r"\\\1", part) for place, part in enumerate(parts))


def _models(model: type[Model]) -> Iterator[type[Model]]:
    for child in model.__subclasses__():
        yield child
        yield from _models(child)


SCHEMA: Final[Schema] = json.loads(schema_text())
MODELS: Final = {model.__name__: model for model in _models(Model)}

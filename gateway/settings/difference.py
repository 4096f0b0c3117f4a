"""Which keys two configurations, or parts of them, have differently. Secrets are compared, and shown by reference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from gateway.settings.secrets import Secret

ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """key: dotted. old, new: as text; of a secret, where it is."""

    key: str
    old: str
    new: str


def key_changes(old: object, new: object, key: str = "") -> Iterator[KeyChange]:
    """Down to the values that differ; a list is one value."""
    if isinstance(old, BaseModel) and type(old) is type(new):
        for name, said in type(old).model_fields.items():
            yield from key_changes(getattr(old, name), getattr(new, name), _below(key, said.alias or name))
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from key_changes(old.get(name), new.get(name), _below(key, str(name)))
    elif not _same(old, new):
        before, after = _text(old), _text(new)
        yield KeyChange(key, before, after if after != before else f"{after} (what is not shown differs)")


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _same(old: object, new: object) -> bool:
    if isinstance(old, Secret) and isinstance(new, Secret):
        values = [said.get_secret_value() if said.is_set else None for said in (old, new)]
        return values[0] == values[1]
    return old == new


def _text(value: object) -> str:
    match value:
        case None:
            return ABSENT
        case Secret():
            return value.reference
        case BaseModel():
            return ", ".join(f"{change.key}: {change.new}" for change in _said(value)) or "the defaults"
        case tuple() | list():
            return f"[{', '.join(map(_text, value))}]"
        case _:
            return str(value)


def _said(value: BaseModel) -> Iterator[KeyChange]:
    """What was given of it."""
    for name in sorted(value.model_fields_set):
        yield KeyChange(type(value).model_fields[name].alias or name, "", _text(getattr(value, name)))

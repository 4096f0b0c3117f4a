"""What a body must hold: each member that is wrong is told of, by name."""

from collections.abc import Mapping

from gateway.errors import RequestRejected
from gateway.login.dialect import Call


class Invalid(RequestRejected):
    """wrong: what is wrong with each member, never with a part of what was sent."""

    def __init__(self, wrong: Mapping[str, str]) -> None:
        super().__init__("invalid_value")
        self.wrong = wrong


def texts(call: Call, *names: str) -> tuple[str, ...]:
    """These members, in this order. Raises Invalid with all that are wrong."""
    found = {name: call.body.get(name) for name in names}
    wrong = {name: told for name, value in found.items() if (told := _wrong(name, value))}
    if wrong:
        raise Invalid(wrong)
    return tuple(str(value) for value in found.values())


def _wrong(name: str, value: object) -> str:
    spoken = name.replace("_", " ")
    if value is None or value == "":
        return f"The {spoken} field is required."
    return "" if isinstance(value, str) else f"The {spoken} field must be a string."

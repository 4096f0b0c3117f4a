"""A page's form as a call gets it."""

import pytest

from gateway.control.dialects import MAX_FIELDS, read_form
from gateway.errors import RequestRejected

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (b"", {}),
        (b"decision=approve&code=", {"decision": "approve", "code": ""}),
        (b"a=%C3%BC+b", {"a": "ü b"}),
        (b"&".join(b"f%d=1" % number for number in range(MAX_FIELDS)), {f"f{n}": "1" for n in range(MAX_FIELDS)}),
    ],
)
def test_fields_are_texts(data: bytes, fields: dict[str, str]) -> None:
    """Decoded, empty ones too."""
    assert read_form(FORM, data) == fields


@pytest.mark.parametrize(
    "data", [b"a=1&a=2", b"a=%ff", b"a=\xff", b"&".join(b"f%d=1" % number for number in range(MAX_FIELDS + 1))]
)
def test_what_can_be_read_in_two_ways_is_refused(data: bytes) -> None:
    """Twice the same field, no UTF-8, too many."""
    with pytest.raises(RequestRejected, match="bad_parameter"):
        read_form(FORM, data)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data", ""])
def test_another_type_has_no_fields(kind: str) -> None:
    """A button without any says nothing but that it was pressed."""
    assert read_form(kind, b"decision=approve") == {}

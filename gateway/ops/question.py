"""What an operator asks a running gateway to explain, as it goes from the admin listener to a worker."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast


@dataclass(frozen=True, slots=True)
class Question:
    """Either a request, or the id of one that was logged. fields: (name, value), its credential among them."""

    method: str = ""
    url: str = ""
    fields: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    id: str = ""

    def as_json(self) -> Mapping[str, object]:
        return {"method": self.method, "url": self.url, "fields": self.fields, "id": self.id}


def from_json(said: Mapping[str, object]) -> Question:
    fields = tuple((name, value) for name, value in cast(Sequence[tuple[str, str]], said["fields"]))
    return Question(str(said["method"]), str(said["url"]), fields, str(said["id"]))

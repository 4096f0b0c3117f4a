"""A log for tests."""

from dataclasses import dataclass, field


@dataclass
class Kept:
    """A log that keeps what it is told. lines: (level, event, fields)."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    @property
    def errors(self) -> list[tuple[str, str, dict[str, object]]]:
        return [line for line in self.lines if line[0] == "error"]

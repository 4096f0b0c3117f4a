"""What an operator changes in the header fields of a route's requests or answers. Made at load, then only read.

The gateway's own fields are put in after the rules, and the settings refuse a rule that names one of them.
"""

from gateway.wire.hops import without


class Rules:
    """gone: lower-case names, all of whose fields are taken out. lines: whole field lines that are put in after that.

    defaults: (lower-case name, whole line) of what is put in where the message has no field of that name. secret:
    lower-case names of the fields in `lines` that nobody is shown.
    """

    __slots__ = ("defaults", "gone", "lines", "secret")

    def __init__(
        self,
        gone: frozenset[bytes],
        lines: bytes = b"",
        defaults: tuple[tuple[bytes, bytes], ...] = (),
        secret: frozenset[bytes] = frozenset(),
    ) -> None:
        self.gone = gone
        self.lines = lines
        self.defaults = defaults
        self.secret = secret

    def apply(self, fields: list[bytes]) -> list[bytes]:
        """fields: as in `Request.fields`; the answer's last pieces are whole lines. The argument stays as it is."""
        changed = without(fields, self.gone)
        if self.defaults:
            there = {name.lower() for name in changed[::4]}
            lines = [line for name, line in self.defaults if name not in there]
            changed += lines
        changed.append(self.lines)
        return changed

    def remove(self, fields: list[bytes]) -> list[bytes]:
        """For a 1xx answer, which is none yet: nothing is put in, and what is to be gone is not in it either."""
        return without(fields, self.gone)

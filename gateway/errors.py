"""What can go wrong, named by whose fault it is. Status codes are not here: `wire/problems.py` has them.

Expected outcomes are values. These exceptions are for what a caller cannot expect. No text here, and none put in
here, ever holds a credential.
"""

from typing import Final

# Codes by which a request that went to an upstream, or was to, has that to blame. That an upstream may have no more of
# them (`upstream_busy`) is our own word.
UPSTREAM_FAULTS: Final = frozenset(
    ("upstream_unreachable", "upstream_bad_answer", "upstream_closed", "upstream_timeout")
)


class GatewayError(Exception):
    """Base of the two faults. `code` is a row of `wire.problems.PROBLEMS`; `detail` says what to change.

    retry_after: seconds a client should wait, or None.
    """

    def __init__(self, code: str, detail: str = "", retry_after: int | None = None) -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail
        self.retry_after = retry_after


class RequestRejected(GatewayError):  # noqa: N818 - errors are named by fault
    """Theirs: the request, or a credential in it, is wrong, or more than they may. A 4xx, or 503 for a busy route."""


class DependencyFailed(GatewayError):  # noqa: N818 - errors are named by fault
    """Ours: a store, a key server or an upstream did not do its part. A 5xx, never a pass and never a 401."""

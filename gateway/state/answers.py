"""What the answers of a server mean, and what failed connections say: an outage, a refusal, a wrong configuration."""

import re
import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

# What the library raises. A cluster none of whose nodes answers is told by an error that is none of its RedisErrors.
FAILURES: Final = (RedisError, RedisClusterException, OSError, TimeoutError)

# Answers of a server that cannot do its work now. Every other answer is about the one command that was sent: whoever
# may not publish can still count. Scripts repeat the word in the middle of their errors.
_AWAY = re.compile(
    r"\b(LOADING|READONLY|OOM|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MISCONF|NOREPLICAS|BUSY|UNKILLABLE|NOAUTH|WRONGPASS)\b"
)


def is_refusal(error: Exception) -> bool:
    """Whether a server that works has refused the command."""
    return isinstance(error, ResponseError) and not _AWAY.search(f"{error.status_code or ''} {error}")


def misconfigured(error: BaseException) -> str | None:
    """What the operator has to change, where no wait would help: the certificate, the password or the rights."""
    for each in _causes(error):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"the certificate of Redis cannot be verified with state.ca: {each.verify_message or each.reason}"
        if isinstance(each, AuthenticationError):
            return f"Redis refuses the user of state.url, or state.password: {each}"
        if isinstance(each, NoPermissionError):
            return f"Redis gives the user of state.url too few rights: {each}"
    return None


def why(error: Exception) -> str:
    return str(error) or type(error).__name__  # TimeoutError has no text


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        yield at
        at = at.__cause__ or at.__context__

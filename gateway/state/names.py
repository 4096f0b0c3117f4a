"""How the keys in Redis are called. Nobody who reads them learns an address, an account or an issuer.

The names are MACs under a key that comes from the master key, so that deployments that share a server do not meet.
"""

from collections.abc import Callable

Mac = Callable[[str, bytes], bytes]  # purpose, value -> 32 bytes (`identity.codes.Pepper`)


class Names:
    """Attempts have one hash tag: one script takes or gives back several of them (docs/decisions/0013)."""

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self._prefix = f"gw:{mac('state', b'').hex()[:12]}"
        self.channel = f"{self._prefix}:revocations"
        self.index = f"{self._prefix}:{{limits}}:index"
        self.history = f"{self._prefix}:{{limits}}:history"
        self.probe = f"{self._prefix}:{{limits}}:probe"

    def attempts(self, name: str) -> str:
        return f"{self._prefix}:{{limits}}:{self.digest(name)}"

    def known(self, account: str) -> str:
        return f"{self._prefix}:known:{self.digest(account)}"

    def calls(self, name: str) -> str:
        return f"{self._prefix}:calls:{self.digest(name)}"

    def uses(self, limit: str, key: str) -> str:
        """Those of one limit have one hash tag: one script takes many of them."""
        return f"{self._prefix}:{{uses:{self.digest(limit)}}}:{self.digest(key)}"

    def told(self, limit: str, process: str) -> str:
        """What a process has told of that limit; beside its uses, for the same script."""
        return f"{self._prefix}:{{uses:{self.digest(limit)}}}:told-by:{process}"

    def document(self, issuer: str, url: str) -> str:
        return f"{self._prefix}:keys:{self.digest(f'{issuer} {url}')}"

    def digest(self, text: str) -> str:
        """128 bits."""
        return self._mac("state key", text.encode("utf-8", "surrogatepass")).hex()[:32]

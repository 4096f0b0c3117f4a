"""The master keys that the settings name, as the store takes them."""

from gateway.settings.model import Secrets
from gateway.store.seal import master_key


def master_keys(said: Secrets) -> tuple[bytes, bytes | None]:
    """The one, and the one before it. Raises ValueError, with the name of the setting."""
    previous = said.previous_master_key
    now = _read("master_key", said.master_key.get_secret_value())
    return now, None if previous is None else _read("previous_master_key", previous.get_secret_value())


def _read(name: str, text: str) -> bytes:
    try:
        return master_key(text)
    except ValueError as error:
        raise ValueError(f"secrets.{name}: {error}") from error

"""Telegram's side of a Mini App: initData signed by Telegram's own rule, and by somebody else's program."""

import hashlib
import hmac
import json
import subprocess
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from e2e.parts import NODE, need, program

from .forge import NOW

TOKEN = "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8"
ADA: Mapping[str, object] = {"id": 279058397, "first_name": "Ada", "last_name": "Lovelace", "username": "ada"}
FIELDS: Mapping[str, str] = {"query_id": "AAHdF6IQ", "user": json.dumps(ADA), "auth_date": str(int(NOW))}


def pairs(fields: Mapping[str, str] = FIELDS, token: str = TOKEN) -> list[tuple[str, str]]:
    """The fields, and the hash over them."""
    signed = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    secret = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return [*fields.items(), ("hash", hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest())]


def init_data(token: str = TOKEN, **changes: str | None) -> str:
    """changes: fields to set, or to leave out."""
    fields = {name: value for name, value in {**FIELDS, **changes}.items() if value is not None}
    return urlencode(pairs(fields, token))


def of_user(user: object, token: str = TOKEN, at: float = NOW) -> str:
    return init_data(token, user=json.dumps(user), auth_date=str(int(at)))


def signed_elsewhere(orders: Sequence[Mapping[str, object]]) -> list[str]:
    """By the npm package. orders: see telegram.mjs."""
    node = program("node")
    package = "@telegram-apps/init-data-node"
    need((NODE / "node_modules" / package).is_dir(), f"npm's {package} (npm install in tests/node)")
    command = [node, str(NODE / "telegram.mjs")]
    done = subprocess.run(command, input=json.dumps(orders), capture_output=True, text=True, check=True, timeout=30)
    return [str(text) for text in json.loads(done.stdout)]

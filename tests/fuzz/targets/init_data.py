"""Telegram's initData: taken only if it is signed, in its window, of a user; beside a reading that splits by hand.

The first byte chooses: the rest is initData as it came, or fields that the bot's token signs first.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

from gateway.errors import RequestRejected
from gateway.identity.telegram import TelegramUser, read_init_data

WORDS = (b"hash=", b"user=", b"auth_date=1800000000", b"&", b"=", b"%0A", b"%3D", b"%26", b"+", b"%00", b"%ff", b";",
         b"%7B%22id%22%3A1%7D", b'{"id":1}', b'"id":', b"true", b"1e3", b"NaN", b"signature=", b"query_id=", b"[[",
         b"%ed%a0%80", b"\xed\xa0\x80", b"4503599627370496", b"4503599627370495", b"\\ud800")  # fmt: skip
BOT = "5768337691:AAH5YkoiEuPk8-FZa32hStHTqXiLPtAEhx8"
NOW = 1_800_000_000
ADA = '{"id":279058397,"first_name":"Ada","last_name":"Lovelace","username":"ada","language_code":"en"}'


def seeds() -> Iterator[bytes]:
    for user in (ADA, '{"id":1}', '{"id":true}', '{"id":4503599627370495,"username":null}', "[1]"):
        for at in (NOW, NOW - 300, NOW - 301, NOW + 30, NOW + 31):
            fields = f"query_id=AAHdF6IQ&user={_quoted(user)}&auth_date={at}&signature=zL-ucjNyREiHDE8aihFwpfR9aggP2xiA"
            yield b"\1" + fields.encode()
    yield b"\0" + _signed(seeded := f"user={_quoted(ADA)}&auth_date={NOW}&empty=".encode()).encode()
    yield b"\0" + seeded + b"&hash=" + b"0" * 64
    yield b"\1" + "&".join(f"f{number}=" for number in range(33)).encode()


def _quoted(text: str) -> str:
    return "".join(f"%{ord(char):02X}" if char in '{}",:[] &=+%' else char for char in text)


def once(data: bytes) -> None:
    if len(data) > 9000:
        return
    signed, rest = data[:1] > b"\x00", data[1:]
    text = _signed(rest) if signed else rest.decode("utf-8", "surrogateescape")
    expected = plainly(text)
    try:
        user = read_init_data(text, BOT, NOW)
    except RequestRejected as fault:
        assert fault.code == "invalid_telegram_init_data"
        assert expected is None, f"refused: {fault}"
        return
    assert user == expected, "taken, or read otherwise"
    for bot, now in ((BOT[:-1] + "9", float(NOW)), (BOT, NOW + 331.0), (BOT, user.auth_date - 30.5)):
        try:
            read_init_data(text, bot, now)
        except RequestRejected:
            continue
        raise AssertionError("taken by another bot, or at another time")


def _signed(fields: bytes) -> str:
    """With the hash that Telegram would have put there, over what a browser decodes of it."""
    text = fields.decode("utf-8", "surrogateescape")
    pairs = [part.partition("=") for part in text.split("&") if part]
    return f"{text}&hash={_hash({_decoded(name) or '': _decoded(value) or '' for name, _, value in pairs})}"


def _hash(fields: dict[str, str]) -> str:
    said = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    secret = hmac.new(b"WebAppData", BOT.encode(), hashlib.sha256).digest()
    return hmac.new(secret, said.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def _decoded(text: str) -> str | None:
    try:
        return unquote_to_bytes(text.replace("+", " ").encode()).decode()
    except ValueError:
        return None


# the rules, read plainly


def plainly(text: str) -> TelegramUser | None:
    try:
        if len(text.encode()) > 8192:
            return None
    except UnicodeEncodeError:
        return None
    fields: dict[str, str] = {}
    parts = text.split("&")
    if len(parts) > 32:
        return None
    for part in parts:
        name, mark, value = part.partition("=")
        key, said = _decoded(name), _decoded(value)
        if not mark or key is None or said is None or key in fields or {"\n", "="} & set(key) or "\n" in said:
            return None
        fields[key] = said
    presented = fields.pop("hash", "")
    if presented != _hash(fields) or not 0 < len(at := fields.get("auth_date", "")) < 13 or set(at) - set("0123456789"):
        return None
    if at[0] == "0" or not NOW - 300 <= int(at) <= NOW + 30:
        return None
    return _user(fields.get("user", ""), int(at))


def _user(text: str, at: int) -> TelegramUser | None:
    try:
        user = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(user, dict) or type(user.get("id")) is not int or not 0 < user["id"] < 1 << 52:
        return None
    names = [user.get(name) for name in ("username", "first_name", "last_name")]
    if any(name is not None and not isinstance(name, str) for name in names):
        return None
    return TelegramUser(user["id"], *names, at)

"""initData: what a bot believes of it, and what not."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from gateway.errors import RequestRejected
from gateway.identity.telegram import TelegramUser, read_init_data

from .forge import NOW
from .mini_app import ADA, FIELDS, TOKEN, init_data, of_user, pairs, signed_elsewhere

USER = TelegramUser(279058397, "ada", "Ada", "Lovelace", int(NOW))

ELSEWHERE: list[Mapping[str, object]] = [
    {"user": ADA},
    {"user": ADA, "query_id": "AAHdF6IQAAAAAN0XohDhrOrc"},
    {"user": ADA, "signature": "TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau"},
    {"user": ADA, "chat_instance": "8134722200314281151", "chat_type": "private", "start_param": "a_b-1"},
    {"user": {**ADA, "photo_url": "https://t.me/i/userpic/320/x.svg", "is_premium": True, "language_code": "en"}},
    {"user": ADA, "chat": {"id": -1001234567890, "type": "group", "title": "A & B = C + ü"}, "can_send_after": 10},
]


def refused(text: str, token: str = TOKEN, now: float = NOW, window: float = 300.0) -> str:
    """The rule that failed."""
    with pytest.raises(RequestRejected) as caught:
        read_init_data(text, token, now, window)
    assert caught.value.code == "invalid_telegram_init_data"
    return caught.value.detail


def test_what_the_package_of_others_signs_is_read() -> None:
    """With and without `signature`, which is signed too, and with every kind of field."""
    signed = signed_elsewhere([{"token": TOKEN, "authDate": int(NOW), "data": data} for data in ELSEWHERE])
    assert [read_init_data(text, TOKEN, NOW) for text in signed] == [USER] * len(ELSEWHERE)


def test_what_the_package_signs_for_another_bot_is_refused() -> None:
    """A bot's token is the key."""
    (text,) = signed_elsewhere([{"token": TOKEN[:-1] + "9", "authDate": int(NOW), "data": {"user": ADA}}])
    assert refused(text) == "hash is wrong"


def test_names_in_all_scripts_come_back_as_they_are() -> None:
    """From the package of others, through the query and the JSON."""
    name = "Ада + & = % \n\u202e 🚀"
    data = {"user": {"id": 1, "first_name": name}}
    (text,) = signed_elsewhere([{"token": TOKEN, "authDate": int(NOW), "data": data}])
    assert read_init_data(text, TOKEN, NOW) == TelegramUser(1, None, name, None, int(NOW))


def test_a_signed_field_that_nobody_knows_is_no_fault() -> None:
    """Telegram adds fields from time to time."""
    assert read_init_data(init_data(some_new_field2=""), TOKEN, NOW) == USER


@pytest.mark.parametrize("field", ["query_id", "user", "auth_date"])
def test_a_changed_field_is_refused(field: str) -> None:
    """All of them are signed."""
    changed = [(name, value + "1" if name == field else value) for name, value in pairs()]
    assert refused(urlencode(changed)) == "hash is wrong"


def test_a_field_that_was_added_or_taken_away_is_refused() -> None:
    """The set of fields is signed too, `signature` as any other."""
    assert refused(init_data() + "&signature=x") == "hash is wrong"
    assert refused(urlencode(pairs()[1:])) == "hash is wrong"


@pytest.mark.parametrize("value", [None, "", "0" * 63, "0" * 65, "g" * 64, "é" * 64])
def test_a_hash_that_is_none_is_refused(value: str | None) -> None:
    """Missing, empty, of another length, not hexadecimal."""
    fields = [*FIELDS.items()] + ([] if value is None else [("hash", value)])
    assert refused(urlencode(fields)).startswith("hash is missing")


def test_an_upper_case_hash_is_refused() -> None:
    """One value has one spelling."""
    fields = dict(pairs())
    assert refused(urlencode({**fields, "hash": fields["hash"].upper()})).startswith("hash is missing")


@pytest.mark.parametrize("again", ["hash", "user", "auth_date", "query_id"])
def test_a_field_that_appears_twice_is_refused(again: str) -> None:
    """Two readers may take either."""
    assert refused(init_data() + "&" + urlencode({again: dict(pairs())[again]})) == "a field appears twice"


def test_a_line_feed_cannot_pass_for_the_next_field() -> None:
    """Two fields folded into one have the same text to be signed, and another meaning."""
    folded = {"auth_date": FIELDS["auth_date"] + "\nquery_id=" + FIELDS["query_id"], "user": FIELDS["user"]}
    assert refused(urlencode({**folded, "hash": dict(pairs())["hash"]})) == "a field has a line feed"


@pytest.mark.parametrize(("name", "value"), [("a\nb", "c"), ("a=b", "c"), ("a", "\n")])
def test_a_name_that_could_be_more_than_one_field_is_refused(name: str, value: str) -> None:
    """Signed or not."""
    assert refused(init_data(**{name: value})) == "a field has a line feed"


@pytest.mark.parametrize("age", [300, 0, -30])
def test_an_auth_date_at_a_bound_is_taken(age: int) -> None:
    """Five minutes old, now, half a minute ahead."""
    assert read_init_data(of_user(ADA, at=NOW - age), TOKEN, NOW).auth_date == NOW - age


@pytest.mark.parametrize("age", [301, -31])
def test_an_auth_date_beyond_a_bound_is_refused(age: int) -> None:
    """On both sides."""
    assert refused(of_user(ADA, at=NOW - age)) == "auth_date is too old, or in the future"


@pytest.mark.parametrize("value", [None, "", "0", "-1", "1e9", "1800000000.0", " 1800000000", "١٨٠٠٠٠٠٠٠٠", "9" * 5000])
def test_an_auth_date_that_is_no_time_is_refused(value: str | None) -> None:
    """Without one, nothing would ever be too old."""
    assert refused(init_data(auth_date=value)) == "auth_date is missing or not a time"


@pytest.mark.parametrize("user", [1, 2**52 - 1])
def test_an_id_at_a_bound_is_taken(user: int) -> None:
    """Telegram's have up to 52 bits."""
    assert read_init_data(of_user({"id": user}), TOKEN, NOW).id == user


@pytest.mark.parametrize("user", [0, -1, 2**52, True, 1.0, "1", None, [1]])
def test_an_id_that_is_none_is_refused(user: object) -> None:
    """A bool is an int for Python, and a float may be one for others."""
    assert refused(of_user({"id": user})) == "user.id is not a Telegram id"


@pytest.mark.parametrize("text", [None, "", "{", "[" * 2000, "NaN1", '{"id": ' + "9" * 5000 + "}"])
def test_a_user_that_is_not_json_is_refused(text: str | None) -> None:
    """Whoever holds the bot's token can sign that."""
    assert refused(init_data(user=text)) == "user is missing or not JSON"


@pytest.mark.parametrize("user", [[], "ada", 1, None])
def test_a_user_that_is_not_an_object_is_refused(user: object) -> None:
    """JSON of another kind."""
    assert refused(of_user(user)) == "user is not an object"


@pytest.mark.parametrize("name", ["username", "first_name", "last_name"])
def test_a_name_that_is_not_a_text_is_refused(name: str) -> None:
    """It would be taken for one later."""
    assert refused(of_user({**ADA, name: 1})) == "a name of user is not a text"


@pytest.mark.parametrize(
    ("size", "rule"), [(8192, "hash is missing or not 64 hexadecimal digits"), (8193, "it is too long")]
)
def test_the_size_is_bounded(size: int, rule: str) -> None:
    """Both sides of it, in bytes."""
    assert refused("a=" + "x" * (size - 2)) == rule


def test_the_number_of_fields_is_bounded() -> None:
    """Sorting thousands of them is work for nothing."""
    assert refused("&".join(f"a{n}=" for n in range(33))) == "it is not a query string"


@pytest.mark.parametrize("text", ["x", "&", "user", "user=%FF", "user=\ud800", json.dumps(ADA)])
def test_what_is_no_query_string_is_refused(text: str) -> None:
    """Bytes that are not UTF-8 and half a surrogate pair among it."""
    assert refused(text) == "it is not a query string"


def test_no_refusal_tells_what_was_sent() -> None:
    """Nor the bot's token: the text is for logs and for the sender."""
    assert TOKEN not in refused(init_data(TOKEN + "x"))
    assert "Ada" not in refused(of_user({"first_name": "Ada"}))

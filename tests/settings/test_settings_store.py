"""The store's key: what a URL may say, where its files are, and that no password is in it."""

from pathlib import Path

import pytest

from gateway.settings.store_url import store_url

from .conftest import Faults, Load

SERVER = "postgresql+asyncpg://gateway@db.example:5432/gateway"


@pytest.mark.parametrize(
    "text",
    [
        SERVER, f"{SERVER}?sslmode=require", "postgresql+asyncpg://a@[::1]/b",
        "postgresql+asyncpg://a@/b?host=/run/postgresql",
        "postgresql+asyncpg://a@:5433/b?host=/run/postgresql", "postgresql+asyncpg://a%40b@127.0.0.1/c",
        f"{SERVER}?sslmode=verify-full&sslrootcert=/a.pem&sslcert=/b.pem&sslkey=/c.pem",
    ],
)  # fmt: skip
def test_a_server_is_read_as_it_is_written(text: str) -> None:
    """By name, address or socket."""
    assert store_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://a@b/c", "postgresql+psycopg://a@b/c", "postgresql+asyncpg://b/c", "postgresql+asyncpg://a@b",
        "postgresql+asyncpg://a@b/", "postgresql+asyncpg://a@/c", "postgresql+asyncpg://a@b:0/c",
        "postgresql+asyncpg://a@b:65536/c", "postgresql+asyncpg://a@b/c/d", "postgresql+asyncpg://a@b/c#d",
        "postgresql+asyncpg://a@b,c/d", "postgresql+asyncpg://a@b/c?sslmode=prefer", "postgresql+asyncpg://a@b/c?sslmode=",
        "postgresql+asyncpg://a@b/c?host=d", "postgresql+asyncpg://a@b/c?password=d", "postgresql+asyncpg://a@b/c?x",
        "postgresql+asyncpg://a@b/c?sslkey=/k", "postgresql+asyncpg://a@b/c?sslmode=require&sslmode=disable",
        "postgresql+asyncpg://a @b/c", "postgresql+asyncpg://", "postgresql+asyncpg://a@b/c?host=/run/postgresql",
        "postgresql+asyncpg://a@b/c?sslmode=disable&sslrootcert=/a.pem",
        "postgresql+asyncpg://a@b/c?sslmode=disable&sslcert=/a.pem",
    ],
)  # fmt: skip
def test_another_server_is_refused(text: str) -> None:
    """No mode lets the network choose whether there is TLS."""
    with pytest.raises(ValueError, match=r"\S"):
        store_url(text)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_another_spelling_is_told_the_one_that_is_read(scheme: str) -> None:
    """And not the whole grammar."""
    with pytest.raises(ValueError, match=r"^write postgresql\+asyncpg://"):
        store_url(f"{scheme}://a:s3cret@b/c")


@pytest.mark.parametrize("url", ["postgresql+asyncpg://u:s3cret@h/d", "postgresql+asyncpg://u:s3@cret@h/d"])
def test_a_password_in_the_url_is_refused_and_not_shown(faults: Faults, url: str) -> None:
    """In no message, and in no line of the file."""
    (fault,) = faults(f"store:\n  url: {url}")
    assert "password: { env: NAME }" in fault.message
    assert [word for word in ("s3", "cret") if word in f"{fault.message}{fault.source_line}"] == []


def test_a_password_stands_beside_the_url(loaded: Load) -> None:
    """And in no text of the settings."""
    store = loaded(f"store: {{ url: {SERVER}, password: {{ env: DB }} }}", {"DB": "s3cret"}).settings.store
    assert (store.secret, "s3cret" in repr(store)) == ("s3cret", False)


def test_a_server_may_need_no_password(loaded: Load) -> None:
    """By a certificate, or by the user of a socket."""
    assert loaded(f"store: {{ url: {SERVER} }}").settings.store.secret == ""


def test_sqlite_has_no_password(faults: Faults) -> None:
    """A file is its owner's."""
    (fault,) = faults("store:\n  password: { env: DB }", {"DB": "x"})
    assert "SQLite has none" in fault.message


def test_files_are_relative_to_the_configuration(loaded: Load, tmp_path: Path) -> None:
    """As everywhere."""
    said = loaded(f"store: {{ url: '{SERVER}?sslmode=verify-full&sslrootcert=ca.pem' }}").settings.store.url
    assert said == f"{SERVER}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"

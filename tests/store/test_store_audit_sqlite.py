"""What a column of SQLite holds, whatever its type, and PostgreSQL refuses: the audit trail bears it."""

from pathlib import Path

import pytest

from gateway.store.schema import migrate

from .trail import FORGED, Book


@pytest.fixture(params=["sqlite"])
async def url(tmp_path: Path) -> str:
    """Of a database with the newest tables and nothing in them."""
    address = f"sqlite:///{tmp_path}/gateway.db"
    await migrate(address)
    return address


async def test_text_that_is_none_is_set_aside(book: Book) -> None:
    """The rows beside it are read, sealed and listed."""
    await book.tamper(FORGED.format(seq="NULL"), "UPDATE audit_event SET actor = CAST(x'ff' AS TEXT) WHERE seq IS NULL")
    await book.write(1)
    verdict = await book.verify()
    assert verdict.broken is not None
    assert (verdict.broken.what, verdict.rows, verdict.waiting) == ("forged", 11, 0)
    assert len(await book.rows()) == 12
    assert len((await book.world.store.changes().audit_pages.page(50, None)).items) == 12


@pytest.mark.parametrize("junk", ["at = 'soon'", "detail = x'00ff'", "tag = 'text'", "mac = 7", "seq = '5x'"])
async def test_what_only_sqlite_can_hold_is_found_too(book: Book, junk: str) -> None:
    """Its columns take any type; the walk does not fall over one."""
    await book.tamper(f"UPDATE audit_event SET {junk} WHERE seq = 5")
    fault = await book.fault()
    assert fault is not None
    assert fault[0] == 5
    assert len(await book.rows()) == 10

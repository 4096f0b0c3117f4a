"""What is an outage, and what is a mistake of this program: each is told as what it is."""

import pytest
from harness.postgres import Postgres

from gateway.errors import DependencyFailed
from gateway.store.engines import engine_of
from gateway.store.outages import OUTAGES, failed
from gateway.store.postgres.address import parse
from gateway.store.postgres.reader import Reader

from .world import World

SECRET = "s3cret-value"


class ForeignError(Exception):
    """As PostgreSQL's driver raises them."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"text of it with {SECRET}")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "sqlstate",
    [
        *(state.ljust(5, "0") for state in OUTAGES),
        "08P01",
        "53300",
        "57P01",
        "57P03",
        "57014",
        "40P01",
        "40001",
        "28P01",
    ],
)
def test_an_outage_may_be_over_soon(sqlstate: str) -> None:
    """503, and when to ask again."""
    with pytest.raises(DependencyFailed) as caught:
        failed(ForeignError(sqlstate), "why")
    found = caught.value
    assert (found.code, found.detail, found.retry_after) == ("store_unavailable", "why", 1)


@pytest.mark.parametrize("sqlstate", ["22003", "22P02", "23502", "25001", "26000", "54000", "55006", "XX000", "P0001"])
def test_the_rest_is_our_mistake(sqlstate: str) -> None:
    """500, with the SQLSTATE for the log and nothing that a text may hold."""
    with pytest.raises(DependencyFailed) as caught:
        failed(ForeignError(sqlstate), f"detail with {SECRET}")
    found = caught.value
    assert (found.code, found.retry_after, sqlstate in found.detail) == ("internal_error", None, True)
    assert (SECRET in str(found), found.__cause__, found.__suppress_context__) == (False, None, True)


@pytest.mark.parametrize("statement", ["SELECT nothing FROM account", "SELECT 1 FROM nowhere", "SELEC 1"])
async def test_a_statement_that_is_wrong_is_no_outage(world: World, statement: str) -> None:
    """On either engine, reading or writing."""
    database, reader = engine_of(world.url).database(), engine_of(world.url).reader()

    async def write() -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql(statement)

    codes = []
    for call in (write(), reader.rows(statement)):
        with pytest.raises(DependencyFailed) as caught:
            await call
        codes.append((caught.value.code, caught.value.retry_after))
    await reader.aclose()
    await database.aclose()
    assert codes == [("internal_error", None)] * 2


async def test_a_value_of_the_wrong_type_is_not_shown(postgres: Postgres) -> None:
    """PostgreSQL's driver refuses it and shows it; SQLite takes it."""
    reader = Reader(parse(postgres.url("postgres")))
    with pytest.raises(DependencyFailed) as caught:
        await reader.rows("SELECT 1 WHERE 1 = $1", (SECRET,))
    await reader.aclose()
    assert (caught.value.code, SECRET in f"{caught.value!r} {caught.value.__cause__!r}") == ("internal_error", False)

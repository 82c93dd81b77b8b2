"""SQL over the stored files: DuckDB reads them where they lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from parquet_store.errors import Usage
from parquet_store.layout import PART
from parquet_store.schema import BARS

if TYPE_CHECKING:
    import duckdb

_NAMED = ("venue", "symbol", "timeframe", "month")


def connect(root: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory with the view ``bars``: every row with its venue, symbol, timeframe, month."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    if any((root / BARS.name).glob(f"venue=*/symbol=*/timeframe=*/month=*/{PART}")):
        escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(root)).replace("'", "''")
        files = f"{escaped}/{BARS.name}/*/*/*/*/{PART}"
        source = f"read_parquet('{files}', hive_partitioning = true, hive_types_autocast = false)"
        columns = ", ".join([*BARS.names, *_NAMED])
    else:
        source = "(select 1) where false"
        types = {"time": "timestamptz", "number": "double"}
        columns = ", ".join(
            [f"null::{types[field.kind]} as {field.name}" for field in BARS.fields]
            + [f"null::varchar as {name}" for name in _NAMED]
        )
    connection.execute(f"create view bars as select {columns} from {source}")
    return connection


def run(connection: duckdb.DuckDBPyConnection, query: str) -> duckdb.DuckDBPyRelation:
    """Return the relation of one reading query.

    Raises
    ------
    Usage
        If the text is not one statement, does more than read, or names what is not there.
    """
    import duckdb

    try:
        statements = connection.extract_statements(query)
        if len(statements) != 1:
            raise Usage(f"{len(statements)} statements given: expected one query, as in select count(*) from TABLE")
        if statements[0].type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
            raise Usage(f"a query only reads: expected select ..., found {statements[0].type.name.lower()}")
        relation = connection.sql(query)
    except duckdb.Error as error:
        raise Usage(f"the query cannot be run: {error}") from error
    assert relation is not None  # so it is for every statement that reads
    return relation

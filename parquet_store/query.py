"""SQL over the stored files: DuckDB reads them where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parquet_store.errors import Usage
from parquet_store.layout import PART
from parquet_store.repairs import NAME as REPAIRS
from parquet_store.schema import BARS, FUNDING, TRADES, Dataset

if TYPE_CHECKING:
    import duckdb

_TYPES = {"time": "timestamptz", "number": "double", "whole": "bigint"}


@dataclass(frozen=True)
class _View:
    """A view: the files of its rows below the root, the columns in them, and what their folders add."""

    name: str
    files: str
    columns: dict[str, str]
    named: tuple[str, ...]


def _columns(dataset: Dataset) -> dict[str, str]:
    return {field.name: _TYPES[field.kind] for field in dataset.fields}


_SERIES = ("venue", "symbol", "timeframe")
_VIEWS = (
    _View("bars", f"{BARS.name}/*/*/*/*/{PART}", _columns(BARS), (*_SERIES, "month")),
    _View(
        "repairs",
        f"{BARS.name}/*/*/*/{REPAIRS}",
        _columns(BARS) | {"source": "varchar", "repaired_at": "timestamptz"},
        _SERIES,
    ),
    *(
        _View(dataset.name, f"{dataset.name}/*/*/*/{PART}", _columns(dataset), ("venue", "symbol", dataset.period))
        for dataset in (FUNDING, TRADES)
    ),
)


def connect(root: Path) -> duckdb.DuckDBPyConnection:
    """Return a connection in memory with the views ``bars``, ``repairs``, ``funding`` and ``trades``."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    escaped = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(root)).replace("'", "''")
    for view in _VIEWS:
        if any(root.glob(view.files)):
            files = f"{escaped}/{view.files}"
            source = f"read_parquet('{files}', hive_partitioning = true, hive_types_autocast = false)"
            columns = ", ".join([*view.columns, *view.named])
        else:
            source = "(select 1) where false"
            types = view.columns | dict.fromkeys(view.named, "varchar")
            columns = ", ".join(f"null::{kind} as {name}" for name, kind in types.items())
        connection.execute(f"create view {view.name} as select {columns} from {source}")
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

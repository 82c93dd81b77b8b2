"""Fetch what a SQL query found, as plain rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from parquet_store.errors import Failed

if TYPE_CHECKING:
    import duckdb


def fetch(relation: duckdb.DuckDBPyRelation) -> tuple[list[str], list[list[Any]]]:
    """Return the columns, each name once, and the rows of a relation.

    Raises
    ------
    Failed
        The query fails while it runs: a stored file is damaged, a value cannot be converted, memory is short.
    """
    import duckdb

    try:
        table = relation.to_arrow_table()
    except duckdb.Error as error:
        raise Failed(f"the query failed: {error}") from error
    names: list[str] = []
    for name in table.column_names:
        made, count = name, 2
        while made in names:
            made, count = f"{name}_{count}", count + 1
        names.append(made)
    columns = [column.to_pylist() for column in table.columns]
    return names, [list(row) for row in zip(*columns, strict=True)]

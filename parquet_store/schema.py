"""What a stored row is: one schema a dataset, with names, types, units and a version, in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class Field:
    """One column: ``kind`` is ``time`` (ms since the Unix epoch, UTC), ``number`` (float64) or ``whole`` (int64)."""

    name: str
    kind: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Dataset:
    """The columns of one kind of data; ``version`` rises when their meaning changes.

    The first ``unique`` fields are the key: rows of one series are unique in it and sorted by it.  ``period`` is what
    one file holds, a month or a day.
    """

    name: str
    version: int
    fields: tuple[Field, ...]
    unique: int = 1
    period: Literal["month", "day"] = "month"

    @property
    def key(self) -> str:
        """Name of the column rows are sorted by first."""
        return self.fields[0].name

    @property
    def keys(self) -> list[str]:
        """Names of the columns in which rows are unique, and by which they are sorted."""
        return self.names[: self.unique]

    @property
    def names(self) -> list[str]:
        """Column names in stored order."""
        return [field.name for field in self.fields]

    @property
    def numbers(self) -> list[str]:
        """Names of the float64 columns in stored order."""
        return [field.name for field in self.fields if field.kind == "number"]

    def polars(self) -> pl.Schema:
        """Return the schema of a frame read from the store."""
        import polars as pl

        types = {"time": pl.Datetime("ms", "UTC"), "number": pl.Float64(), "whole": pl.Int64()}
        return pl.Schema({field.name: types[field.kind] for field in self.fields})

    def arrow(self, **about: str) -> pa.Schema:
        """Return the Arrow schema of a file, units and version included.

        Parameters
        ----------
        **about : str
            Further metadata of the file, such as the series it belongs to.
        """
        import pyarrow as pa

        types = {"time": pa.timestamp("ms", tz="UTC"), "number": pa.float64(), "whole": pa.int64()}
        fields = [
            pa.field(field.name, types[field.kind], metadata={"unit": field.unit, "meaning": field.meaning})
            for field in self.fields
        ]
        return pa.schema(fields, metadata={"dataset": self.name, "schema_version": str(self.version), **about})


BARS = Dataset(
    name="bars",
    version=1,
    fields=(
        Field("ts", "time", "ms since 1970-01-01 UTC", "open time; a session's date at 00:00 for daily bars"),
        Field("open", "number", "quote currency", "first price"),
        Field("high", "number", "quote currency", "highest price"),
        Field("low", "number", "quote currency", "lowest price"),
        Field("close", "number", "quote currency", "last price"),
        Field("volume", "number", "base currency or shares", "quantity traded; 0 where the source has none"),
    ),
)

FUNDING = Dataset(
    name="funding",
    version=1,
    fields=(
        Field("ts", "time", "ms since 1970-01-01 UTC", "when the rate is paid"),
        Field("funding_rate", "number", "fraction of the notional", "positive: longs pay shorts"),
    ),
)

TRADES = Dataset(
    name="trades",
    version=1,
    fields=(
        Field("ts", "time", "ms since 1970-01-01 UTC", "when it was traded"),
        Field("trade_id", "whole", "none", "the venue's number; rises with time"),
        Field("price", "number", "quote currency", "price"),
        Field("quantity", "number", "base currency", "quantity traded"),
        Field("side", "whole", "none", "the taker's: 1 bought, -1 sold, 0 not known"),
    ),
    unique=2,
    period="day",
)

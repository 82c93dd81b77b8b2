"""What a stored row is: one schema a dataset, with names, types, units and a version, in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


@dataclass(frozen=True)
class Field:
    """One column: ``kind`` is ``time`` (milliseconds since the Unix epoch, UTC) or ``number`` (float64)."""

    name: str
    kind: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Dataset:
    """The columns of one kind of data; ``version`` rises when their meaning changes.

    The first field is the key: rows of one series are unique in it and sorted by it.
    """

    name: str
    version: int
    fields: tuple[Field, ...]

    @property
    def key(self) -> str:
        """Name of the column rows are sorted by."""
        return self.fields[0].name

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

        types = {"time": pl.Datetime("ms", "UTC"), "number": pl.Float64()}
        return pl.Schema({field.name: types[field.kind] for field in self.fields})

    def arrow(self, **about: str) -> pa.Schema:
        """Return the Arrow schema of a file, units and version included.

        Parameters
        ----------
        **about : str
            Further metadata of the file, such as the series it belongs to.
        """
        import pyarrow as pa

        types = {"time": pa.timestamp("ms", tz="UTC"), "number": pa.float64()}
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

"""The files of a sweep: its plan, and its table in parts, each a Parquet file written whole or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from parquet_store.errors import Failed

__all__ = ["LIST", "PLAN", "PLAN_KEY", "SUMS", "Parts", "Scores"]

PLAN, FOLDER = "plan.json", "results"
PLAN_KEY = b"lockstep.plan"
LIST = "trade_list"
SUMS = "block_sums"


@dataclass(frozen=True)
class Scores:
    """What is known of every combination of a series, in the order of their numbers.

    Attributes
    ----------
    combo : ndarray of int64, shape (m,)
    sharpe : ndarray of float64, shape (m,)
        Annualised; NaN where undefined.
    lists : ndarray of uint64, shape (m,)
        Equal where two combinations make the same trades, 0 without a trade.
    """

    combo: NDArray[np.int64]
    sharpe: NDArray[np.float64]
    lists: NDArray[np.uint64]


class Parts:
    """A sweep on disk, finished or not.

    Attributes
    ----------
    name : str
    folder : Path
    plan : dict
        What is run: strategy, space, sources with fingerprints, costs, sizing, backend, kernels, parts, digest.
    """

    def __init__(self, folder: Path) -> None:
        self.name, self.folder = folder.name, folder
        path = folder / PLAN
        try:
            self.plan: dict[str, Any] = json.loads(path.read_text())
            self.plan["digest"], self.plan["parts"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Failed(
                f"{path}: not the plan of a sweep ({error}); run the sweep again under another name"
            ) from error

    def part(self, number: int) -> Path:
        """Return the file of one part."""
        return self.folder / FOLDER / f"part-{number:06d}.parquet"

    @property
    def done(self) -> set[int]:
        """The parts that are there."""
        found = (self.folder / FOLDER).glob("part-*.parquet")
        return {int(path.stem.removeprefix("part-")) for path in found if path.stem[5:].isdigit()}

    def rows_there(self) -> int:
        """Return how many rows the parts that are there have."""
        return sum(pq.read_metadata(self.part(number)).num_rows for number in self.done)

    @property
    def finished(self) -> bool:
        """Whether every part is there."""
        return self.done >= set(range(sum(self.plan["parts"])))

    @property
    def files(self) -> list[Path]:
        """The table's files, in the order of the series and the combinations."""
        return [self.part(number) for number in range(sum(self.plan["parts"]))]

    def files_of(self, source: str) -> list[Path]:
        """Return the files that hold one series."""
        at = self.sources.index(source)
        before = sum(self.plan["parts"][:at])
        return [self.part(before + k) for k in range(self.plan["parts"][at])]

    def check(self) -> None:
        """Refuse files that cannot be read or belong to another plan."""
        again = f"remove the file and run `lockstep sweep --resume {self.name}`"
        for path in self.files:
            try:
                told = (pq.read_schema(path).metadata or {}).get(PLAN_KEY, b"").decode()
            except (OSError, pa.ArrowInvalid) as error:
                raise Failed(f"{path}: not a result table ({error}); {again}") from error
            if told != self.plan["digest"]:
                raise Failed(f"{path}: belongs to another plan; {again}")

    @property
    def sources(self) -> list[str]:
        """The series it covered."""
        return [item["source"] for item in self.plan["sources"]]

    @cached_property
    def schema(self) -> pa.Schema:
        """The schema of the table."""
        return pq.read_schema(self.part(0))

    @property
    def columns(self) -> list[str]:
        """The names of the table's columns."""
        return [name for name in self.schema.names if name != SUMS]

    def scores(self, source: str) -> Scores:
        """Return what is known of every combination of a series."""
        table = pa.concat_tables(
            pq.read_table(path, columns=["combo", "sharpe", LIST]) for path in self.files_of(source)
        )
        columns = (table.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in table.column_names)
        return Scores(*columns)

    def block_sums(self, source: str, combos: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the block sums of some combinations, shape (k, blocks, 2), in the order asked for."""
        wanted = np.sort(np.asarray(combos, np.int64))
        numbers, found = [], []
        for path in self.files_of(source):
            with pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    here = file.read_row_group(group, columns=["combo"]).column(0).to_numpy()
                    at = np.searchsorted(wanted, here)
                    rows = np.flatnonzero(wanted[np.minimum(at, wanted.size - 1)] == here)
                    if rows.size == 0:
                        continue
                    column = file.read_row_group(group, columns=[SUMS]).column(0).combine_chunks()
                    width = column.type.list_size
                    values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
                    numbers.append(here[rows])
                    found.append(values[rows].astype(np.float64))
        known = np.concatenate(numbers)
        sums = np.concatenate(found)
        order = np.argsort(known)
        place = order[np.searchsorted(known, combos, sorter=order)]
        return sums[place].reshape(len(combos), -1, 2)

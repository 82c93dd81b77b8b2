"""A digest of what rows say, whatever files, row groups or compression they lie in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from parquet_store.schema import BARS, Dataset


def fingerprint(columns: Sequence[npt.NDArray[Any]], dataset: Dataset = BARS) -> str:
    """Return the content digest of rows.

    Parameters
    ----------
    columns : sequence of arrays
        The dataset's columns in its order, equally long: int64 milliseconds for times, int64 for whole numbers,
        float64 for the others.
    dataset : Dataset
        Whose name and version go into the digest.

    Returns
    -------
    str
        SHA-256 in hexadecimal over dataset, version, row count and each column's little-endian bytes.
    """
    types = ["<f8" if field.kind == "number" else "<i8" for field in dataset.fields]
    packed = [np.ascontiguousarray(column, dtype=kind) for column, kind in zip(columns, types, strict=True)]
    rows = len(packed[0])
    if any(column.shape != (rows,) for column in packed):
        raise ValueError(f"columns differ in length: {[column.shape for column in packed]}")
    if rows < 50_000:  # hashing releases the lock, but a thread costs more than a small column
        digests = [_digest(column) for column in packed]
    else:
        with ThreadPoolExecutor(len(packed)) as pool:
            digests = list(pool.map(_digest, packed))
    head = f"{dataset.name} {dataset.version} {rows} {' '.join(dataset.names)}\n".encode()
    return hashlib.sha256(head + b"".join(digests)).hexdigest()


def _digest(column: npt.NDArray[Any]) -> bytes:
    return hashlib.sha256(column.data).digest()

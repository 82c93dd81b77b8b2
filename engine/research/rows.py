"""The rows of a result table: their schema, and a shard's worth of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from engine.graph.strategy import Strategy
from engine.research.parts import LIST, PLAN_KEY, SUMS
from engine.research.sweep import Found
from engine.simulate import METRICS
from engine.simulate.tally import WHOLE_METRICS

__all__ = ["batch", "table_schema"]


def table_schema(strategy: type[Strategy], blocks: int, digest: str) -> pa.Schema:
    """Return the schema of a result table.

    ``source`` and ``combo`` (the combination's number in its space), one column for each parameter, one for each
    metric (fractions, NaN where undefined), ``trade_list`` (a hash, equal where two combinations trade alike, 0
    without a trade), ``block_sums`` (for each block of bars the sum of the returns and of their squares).  The
    metadata holds the digest of the plan.
    """
    fields = [pa.field("source", pa.dictionary(pa.int32(), pa.string())), pa.field("combo", pa.int64())]
    for name, param in strategy.params.items():
        fields.append(pa.field(name, pa.int64() if param.whole else pa.float64()))
    for name in METRICS:
        kind = pa.int64() if name in WHOLE_METRICS else pa.bool_() if name == "open_trade" else pa.float64()
        fields.append(pa.field(name, kind))
    fields += [pa.field(LIST, pa.uint64()), pa.field(SUMS, pa.list_(pa.float32(), 2 * blocks))]
    return pa.schema(fields, metadata={PLAN_KEY: digest.encode()})


def batch(source: str, found: Found, schema: pa.Schema, strategy: type[Strategy]) -> pa.RecordBatch:
    """Return a shard's rows."""
    shard, size = found.shard, len(found.shard)
    arrays: list[Any] = [
        pa.DictionaryArray.from_arrays(
            arrow(np.zeros(size, np.int32)), pl.Series([source]).to_arrow().cast(pa.string())
        ),
        arrow(shard.combo),
    ]
    for name in strategy.params:
        arrays.append(arrow(shard.column(name)).cast(schema.field(name).type))
    for k, name in enumerate(METRICS):
        column = found.metrics[:, k]
        kind = schema.field(name).type
        arrays.append(arrow(column != 0.0) if pa.types.is_boolean(kind) else arrow(column).cast(kind))
    arrays.append(arrow(found.lists))
    flat = arrow(found.sums.reshape(-1).astype(np.float32))
    arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=schema.field(SUMS).type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def arrow(values: NDArray[Any]) -> pa.Array:
    """Return an Arrow array; by way of Polars, since PyArrow imports pandas to look at a NumPy array."""
    return pl.Series(np.ascontiguousarray(values)).to_arrow()

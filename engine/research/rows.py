"""The rows of a result table: their schema, with the plan in its metadata, and a shard's worth of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from engine.graph.strategy import Strategy
from engine.research.space import Shard
from engine.research.table import PLAN_KEY
from engine.simulate import METRICS
from engine.simulate.tally import WHOLE_METRICS

__all__ = ["batch", "table_schema"]


def table_schema(strategy: type[Strategy], plan: Mapping[str, Any]) -> pa.Schema:
    """Return the schema of a result table.

    ``source`` and ``combo`` (the combination's number in the space before constraints), one column for each
    parameter, one for each metric; fractions, NaN where undefined.
    """
    fields = [pa.field("source", pa.dictionary(pa.int32(), pa.string())), pa.field("combo", pa.int64())]
    for name, param in strategy.params.items():
        fields.append(pa.field(name, pa.int64() if param.whole else pa.float64()))
    for name in METRICS:
        kind = pa.int64() if name in WHOLE_METRICS else pa.bool_() if name == "open_trade" else pa.float64()
        fields.append(pa.field(name, kind))
    text = json.dumps(plan, allow_nan=False)  # in the order of the parameters, which numbers the combinations
    return pa.schema(fields, metadata={PLAN_KEY: text.encode()})


def batch(source: str, shard: Shard, found: Any, schema: pa.Schema, strategy: Any) -> pa.RecordBatch:
    """Return a shard's rows."""
    size = len(shard)
    arrays: list[Any] = [
        pa.DictionaryArray.from_arrays(
            arrow(np.zeros(size, np.int32)), pl.Series([source]).to_arrow().cast(pa.string())
        ),
        arrow(shard.combo),
    ]
    for name in strategy.params:
        arrays.append(arrow(shard.column(name)).cast(schema.field(name).type))
    for k, name in enumerate(METRICS):
        column = found[:, k]
        kind = schema.field(name).type
        arrays.append(arrow(column != 0.0) if pa.types.is_boolean(kind) else arrow(column).cast(kind))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def arrow(values: NDArray[Any]) -> pa.Array:
    """Return an Arrow array; by way of Polars, since PyArrow imports pandas to look at a NumPy array."""
    return pl.Series(np.ascontiguousarray(values)).to_arrow()

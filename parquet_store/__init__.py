"""What the data is and where it lies: schema, layout, writing, reading, audit and the errors of every package.

Nothing heavy is imported before it is used: errors and names alone cost milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parquet_store.append import Appended
    from parquet_store.digest import fingerprint
    from parquet_store.errors import Failed, Halt, LockstepError, Refuse, Retry, Usage, unknown
    from parquet_store.events import Events
    from parquet_store.findings import Finding, audit
    from parquet_store.gaps import Gap
    from parquet_store.meta import SeriesMeta
    from parquet_store.moments import Moment
    from parquet_store.schema import BARS, FUNDING, TRADES, Dataset
    from parquet_store.series import Series
    from parquet_store.store import Span, Store
    from parquet_store.timeframe import Timeframe

__all__ = [
    "BARS",
    "FUNDING",
    "TRADES",
    "Appended",
    "Dataset",
    "Events",
    "Failed",
    "Finding",
    "Gap",
    "Halt",
    "LockstepError",
    "Moment",
    "Refuse",
    "Retry",
    "Series",
    "SeriesMeta",
    "Span",
    "Store",
    "Timeframe",
    "Usage",
    "audit",
    "fingerprint",
    "unknown",
]

_HOME = {
    "BARS": "schema",
    "FUNDING": "schema",
    "TRADES": "schema",
    "Appended": "append",
    "Dataset": "schema",
    "Events": "events",
    "Failed": "errors",
    "Finding": "findings",
    "Gap": "gaps",
    "Halt": "errors",
    "LockstepError": "errors",
    "Moment": "moments",
    "Refuse": "errors",
    "Retry": "errors",
    "Series": "series",
    "SeriesMeta": "meta",
    "Span": "store",
    "Store": "store",
    "Timeframe": "timeframe",
    "Usage": "errors",
    "audit": "findings",
    "fingerprint": "digest",
    "unknown": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'parquet_store' has no attribute '{name}'")
    value = getattr(import_module(f"parquet_store.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

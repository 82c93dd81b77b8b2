"""Between the store and the engine: imports of files, samples, resampling, and bars as arrays.  Imports no engine."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines import sample
    from pipelines.bars import Bars, load_bars
    from pipelines.files import Imported, import_file
    from pipelines.resampling import ensure_timeframe, resample
    from pipelines.session import Session

__all__ = ["Bars", "Imported", "Session", "ensure_timeframe", "import_file", "load_bars", "resample", "sample"]

_HOME = {
    "Bars": "bars",
    "Imported": "files",
    "Session": "session",
    "ensure_timeframe": "resampling",
    "import_file": "files",
    "load_bars": "bars",
    "resample": "resampling",
}


def __getattr__(name: str) -> Any:
    if name == "sample":
        return import_module("pipelines.sample")
    if name not in _HOME:
        raise AttributeError(f"module 'pipelines' has no attribute '{name}'")
    value = getattr(import_module(f"pipelines.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__

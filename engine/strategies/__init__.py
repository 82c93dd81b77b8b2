"""The strategies that come with the engine, and how a user's own is found."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

from engine.graph.strategy import Strategy
from engine.strategies.buy_and_hold import BuyAndHold
from engine.strategies.ibs_band import IbsBand
from engine.strategies.mean_reversion import MeanReversion
from parquet_store.errors import Failed, LockstepError, Usage, unknown

__all__ = ["STRATEGIES", "BuyAndHold", "IbsBand", "MeanReversion", "find_strategy", "load_module"]

STRATEGIES: dict[str, type[Strategy]] = {made.name: made for made in (BuyAndHold, IbsBand, MeanReversion)}


def load_module(path: Path) -> object:
    """Import a user's Python file once and return it.

    Raises
    ------
    Usage
        The file is absent, or another module of its name is loaded.
    Failed
        It fails while it is imported.
    """
    path = path.resolve()
    if not path.is_file():
        raise Usage(f"{path}: no such file; expected a Python file with strategies or steps")
    name = path.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    if known is not None:
        raise Usage(f"{path}: a module named {name} is already loaded from elsewhere; rename the file")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except LockstepError:
        sys.modules.pop(name, None)
        raise
    except Exception as error:
        sys.modules.pop(name, None)
        raise Failed(f"{path}: {type(error).__name__} while importing it: {error}") from error
    return module


def find_strategy(name: str) -> type[Strategy]:
    """Return a strategy by its name, or a user's as ``path/to/file.py:ClassName``.

    Raises
    ------
    Usage
        No strategy of that name; the nearest one is offered.
    """
    path, colon, attribute = name.rpartition(":")
    if not colon or not path.endswith(".py"):
        if name.endswith(".py"):
            raise Usage(f"{name}: which strategy of the file? expected {name}:ClassName")
        if name not in STRATEGIES:
            raise unknown("strategy", name, STRATEGIES)
        return STRATEGIES[name]
    found = vars(load_module(Path(path)))
    classes = {k: v for k, v in found.items() if isinstance(v, type) and issubclass(v, Strategy) and v is not Strategy}
    if attribute not in classes:
        raise unknown(f"strategy in {path}", attribute, classes)
    return classes[attribute]

"""The simulation's formulas in plain Python: a venue fills a few orders, and need not wait for a compiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["plainly"]


def plainly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the Python function behind a compiled one; both do the same operations in the same order."""
    made: Callable[..., Any] = getattr(function, "py_func", function)
    return made

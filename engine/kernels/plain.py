"""Compiled functions as plain Python: what a step's source says, without the compiler."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["codes", "is_foreign", "plain"]

FOREIGN = frozenset({"builtins", "llvmlite", "math", "numba", "numpy"})


def is_foreign(value: Any) -> bool:
    """Return whether a function or module belongs to the tools rather than to the engine or a user."""
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None) or ""
    return name.split(".")[0] in FOREIGN


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield the code of a function and of all functions written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with every compiled function it calls, near or far, replaced by its Python body."""
    made: Callable[..., Any] = _rebuilt(function, {})
    return made


def _rebuilt(function: Any, done: dict[Any, Any]) -> Any:
    if function in done:
        return done[function]
    names = {name for code in codes(function.__code__) for name in code.co_names}
    known = dict(function.__globals__)
    cells = tuple(types.CellType(None) for _ in function.__closure__ or ())
    made = types.FunctionType(function.__code__, known, function.__name__, function.__defaults__, cells or None)
    made.__kwdefaults__ = function.__kwdefaults__
    done[function] = made
    for name in names & known.keys():
        known[name] = _replaced(known[name], names, done)
    for cell, old in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = _replaced(old.cell_contents, names, done)
    return made


def _replaced(value: Any, names: set[str], done: dict[Any, Any]) -> Any:
    if isinstance(value, types.ModuleType) and not is_foreign(value):
        copy = types.ModuleType(value.__name__)
        copy.__dict__.update(value.__dict__)
        for name in names & value.__dict__.keys():
            if not isinstance(value.__dict__[name], types.ModuleType):
                copy.__dict__[name] = _replaced(value.__dict__[name], names, done)
        return copy
    inner = getattr(value, "py_func", value)
    if isinstance(inner, types.FunctionType) and not is_foreign(inner):
        return _rebuilt(inner, done)
    return value

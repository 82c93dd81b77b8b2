"""What a step means, as a digest: its syntax tree, those of the functions it calls, the constants they read.

Comments, docstrings and layout do not count; an edit of anything that can change a result does.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from engine.jit import FLAGS
from engine.kernels.plain import codes, is_foreign
from parquet_store.errors import Usage

__all__ = ["meaning", "source_of"]


def meaning(function: Callable[..., Any], others: Mapping[str, Callable[..., Any] | None], declared: object) -> str:
    """Return the SHA-256 of a step's function, its other functions, what was declared of it, the compiler flags."""
    seen: dict[str, str] = {}
    _reach(function, seen)
    parts = [repr((declared, sorted(FLAGS.items()))), *seen.values()]
    for name, other in others.items():
        if other is not None:
            called: dict[str, str] = {}
            body = getattr(other, "py_func", other)
            _reach_called(body, called)
            parts += [name, *_words(body.__code__), *called.values()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def source_of(function: Callable[..., Any]) -> str:
    """Return the text of a function, or the error that it cannot be read."""
    try:
        return textwrap.dedent(inspect.getsource(function))
    except OSError:
        raise Usage(f"{function.__qualname__}: its source cannot be read; write the step in a file") from None


def _syntax(function: Callable[..., Any]) -> str:
    node = ast.parse(source_of(function)).body[0]
    if not isinstance(node, ast.FunctionDef):
        raise Usage(f"{function.__qualname__}: a step and what it calls are plain functions, written with def")
    node.decorator_list = []
    if ast.get_docstring(node) is not None:
        node.body = node.body[1:]
    return ast.dump(node)


def _words(code: types.CodeType) -> list[str]:
    """Describe a function that may be a lambda, whose text cannot be cut out of its line."""
    return [
        repr((c.co_code.hex(), c.co_names, [k for k in c.co_consts if not isinstance(k, types.CodeType)]))
        for c in codes(code)
    ]


def _reach(function: Any, seen: dict[str, str]) -> None:
    # by identity: functions of one factory share a name and differ in what they close over
    if seen.setdefault(f"id {id(function)}", "") == "":
        seen[f"id {id(function)}"] = f"{function.__module__}.{function.__qualname__} {_syntax(function)}"
        _reach_called(function, seen)


def _reach_called(function: Any, seen: dict[str, str]) -> None:
    where = f"{id(function)}"
    names = [name for code in codes(function.__code__) for name in code.co_names]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        _note(f"{where}<{name}>", name, cell.cell_contents, names, seen)
    for name in names:
        if name in function.__globals__:
            _note(f"{function.__module__}.{name}", name, function.__globals__[name], names, seen)


def _note(where: str, name: str, value: Any, names: list[str], seen: dict[str, str]) -> None:
    inner = getattr(value, "py_func", value)
    if isinstance(inner, types.FunctionType):
        if not is_foreign(inner):
            _reach(inner, seen)
    elif isinstance(value, types.ModuleType):
        if not is_foreign(value):
            for attribute in names:
                found = value.__dict__.get(attribute)
                if not isinstance(found, types.ModuleType):
                    _note(f"{value.__name__}.{attribute}", attribute, found, names, seen)
    elif isinstance(value, np.ndarray):
        seen[where] = f"{name}={value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    elif isinstance(value, int | float | str | bool | tuple | np.generic):
        seen[where] = f"{name}={value!r}"

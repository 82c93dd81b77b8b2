"""Constraints between parameters: SQL conditions, evaluated for many combinations at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from parquet_store.errors import Usage, unknown

__all__ = ["holds", "read_condition"]

KEPT = "is it kept"  # no parameter's name
# what may stand before a bracket in a constraint: functions of one combination alone, and words of the language
ROWWISE = (
    *("abs", "ceil", "coalesce", "exp", "floor", "greatest", "if", "least", "ln", "log10", "log2"),
    *("mod", "nullif", "pow", "power", "round", "sign", "sqrt"),
)
WORDS = ("and", "between", "case", "else", "in", "not", "or", "then", "when")


def read_condition(text: str, names: Iterable[str]) -> pl.Expr:
    """Return a condition as an expression over parameters.

    Raises
    ------
    Usage
        It cannot be read, names no parameter of ``names``, or looks at more than one combination at a time.
    """
    try:
        found = pl.sql_expr(text)
        roots = found.meta.root_names()
    except Exception as error:  # polars raises several kinds
        raise Usage(
            f"constraint {text!r} cannot be read ({str(error)[:60]}...); expected for example 'fast < slow'"
        ) from error
    for name in roots:
        if name not in (known := list(names)):
            raise unknown(f"parameter in constraint {text!r}", name, known)
    # a maximum over combinations would depend on how they are cut into blocks
    for name in re.findall(r"([A-Za-z_]\w*)\s*\(", text):
        if name.lower() not in (*ROWWISE, *WORDS):
            raise unknown(f"function in constraint {text!r}", name, ROWWISE)
    return found


def holds(text: str, condition: pl.Expr, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
    """Return for each row whether the condition holds, unknown being false, shape (m,).

    Raises
    ------
    Usage
        The condition is not true or false.
    """
    try:
        mask = pl.DataFrame(dict(columns)).with_columns(condition.alias(KEPT))[KEPT]
    except Exception as error:  # polars raises several kinds
        told = str(error).splitlines()[0]
        raise Usage(
            f"constraint {text!r} is not true or false ({told}); expected a comparison such as 'fast < slow'"
        ) from error
    if mask.dtype not in (pl.Boolean, pl.Null):
        raise Usage(f"constraint {text!r} is not true or false: expected a comparison such as 'fast < slow'")
    return mask.cast(pl.Boolean).fill_null(False).to_numpy().astype(np.bool_)

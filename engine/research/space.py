"""The parameter space of a sweep: values of each parameter, constraints between them, enumerated in shards."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.graph.scalar import tidy
from engine.graph.strategy import Strategy
from parquet_store.errors import Usage, unknown

__all__ = ["Shard", "Space", "parse_values"]

MANY = 10**9
LONGEST = 10**6
BLOCK = 1 << 18
COUNTED = 10**8
KEPT = "is it kept"  # no parameter's name
# what may stand before a bracket in a constraint: functions of one combination alone, and words of the language
ROWWISE = (
    *("abs", "ceil", "coalesce", "exp", "floor", "greatest", "if", "least", "ln", "log10", "log2"),
    *("mod", "nullif", "pow", "power", "round", "sign", "sqrt"),
)
WORDS = ("and", "between", "case", "else", "in", "not", "or", "then", "when")


def parse_values(text: str) -> list[float]:
    """Return the values of ``14,21``, ``20:40:5`` (start:stop:step, stop included) or a mixture of both.

    A range has floor((stop - start) / step + 1e-9) + 1 values, start + i * step rounded to 12 digits.

    Raises
    ------
    Usage
        Not a number, a range without values, more than 10^6 values in all.
    """
    out: list[float] = []
    for part in text.split(","):
        pieces = part.split(":")
        try:
            numbers = [float(piece) for piece in pieces]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 3) or not all(math.isfinite(x) for x in numbers):
            raise Usage(f'values "{part.strip()}": expected a number or start:stop:step, as in 14,21 or 20:40:5')
        if len(numbers) == 1:
            out += numbers
            continue
        start, stop, stride = numbers
        if stride <= 0 or stop < start:
            raise Usage(f'range "{part}": has no values; expected start <= stop and step > 0')
        reach = (stop - start) / stride  # infinite where it is beyond all numbers
        if len(out) + reach >= LONGEST:
            many = f"{math.floor(reach + 1e-9) + 1:,}" if reach < 1e15 else f"{reach:.0e}"
            raise Usage(f'range "{part}": {many} values; expected at most {LONGEST:,} for one parameter')
        count = math.floor(reach + 1e-9) + 1
        out += [round(start + i * stride, 12) for i in range(count)]
    return out


@dataclass(frozen=True)
class Shard:
    """Some combinations of a space.

    Attributes
    ----------
    combo : ndarray of int64, shape (m,)
        Their numbers in the unconstrained space, increasing.
    digits : dict of str to ndarray of int64, shape (m,)
        For each parameter, which of its values.
    values : dict of str to ndarray of float64
        The values of each parameter.
    """

    combo: NDArray[np.int64]
    digits: dict[str, NDArray[np.int64]]
    values: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return self.combo.size

    def part(self, start: int, stop: int) -> Shard:
        """Return some of its combinations."""
        return self.take(slice(start, stop))

    def take(self, places: Any) -> Shard:
        """Return the combinations at these places: a slice, indices or a mask."""
        return Shard(self.combo[places], {name: d[places] for name, d in self.digits.items()}, self.values)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return the parameter's value of each combination, shape (m,)."""
        return self.values[name][self.digits[name]]


@dataclass(frozen=True)
class Space:
    """Values of every parameter of a strategy and constraints between them.

    Attributes
    ----------
    values : dict of str to ndarray of float64
        One entry for every parameter, in the strategy's order; the last one varies fastest.
    where : tuple of str
        SQL conditions over parameter names, as in ``fast < slow``.
    """

    values: dict[str, NDArray[np.float64]]
    where: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        strategy: type[Strategy],
        given: Mapping[str, Sequence[float]],
        where: Sequence[str] = (),
        yes: bool = False,
    ) -> Space:
        """Return the space of a strategy: the given values, checked, and one default for every other parameter.

        Raises
        ------
        Usage
            Unknown parameter (nearest name), value out of bounds, more than 10^9 combinations without ``yes``, no
            combination at all, a constraint that cannot be read.
        """
        for name in given:
            strategy.param(name)
        size = math.prod(len(v) for v in given.values())
        if size > MANY and not yes:
            raise Usage(f"{size:,} combinations: more than 10^9; narrow the ranges, or say --yes if you mean it")
        values: dict[str, NDArray[np.float64]] = {}
        for name, param in strategy.params.items():
            wanted = list(dict.fromkeys(given.get(name, (param.default,))))
            if not wanted:
                raise Usage(f"parameter {name}: no values given, expected at least one")
            values[name] = np.array([param.check(v) for v in wanted])
        made = cls(values, tuple(where))
        if next(made.shards(), None) is None:
            raise Usage(f"no combination is left: {size:,} before, 0 after --where {' and '.join(where)!r}")
        return made

    @property
    def size(self) -> int:
        """Combinations before constraints."""
        return math.prod(v.size for v in self.values.values())

    @cached_property
    def condition(self) -> pl.Expr | None:
        """The constraints as one expression."""
        found: pl.Expr | None = None
        for text in self.where:
            try:
                one = pl.sql_expr(text)
                roots = one.meta.root_names()
            except Exception as error:  # polars raises several kinds
                raise Usage(
                    f"constraint {text!r} cannot be read ({str(error)[:60]}...); expected for example 'fast < slow'"
                ) from error
            for name in roots:
                if name not in self.values:
                    raise unknown(f"parameter in constraint {text!r}", name, self.values)
            _refuse_aggregates(text)
            found = one if found is None else found & one
        return found

    def shards(self, block: int = BLOCK) -> Iterator[Shard]:
        """Yield the combinations that keep the constraints, ``block`` of the unconstrained space at a time."""
        for start in range(0, self.size, block):
            combo = np.arange(start, min(self.size, start + block), dtype=np.int64)
            shard = self.shard_of(combo)
            keep = self._kept(shard)
            if keep is not None:
                shard = shard.take(keep)
            if len(shard):
                yield shard

    def shard_of(self, combos: Sequence[int] | NDArray[np.int64]) -> Shard:
        """Return these combinations, by their numbers, constraints or not."""
        rest = combo = np.asarray(combos, np.int64)
        digits: dict[str, NDArray[np.int64]] = {}
        for name in reversed(self.values):
            rest, digits[name] = _split(rest, self.values[name].size)
        return Shard(combo, {name: digits[name] for name in self.values}, self.values)

    def _kept(self, shard: Shard) -> NDArray[np.bool_] | None:
        if self.condition is None:
            return None
        frame = pl.DataFrame({name: shard.column(name) for name in self.values})
        text = " and ".join(self.where)
        try:
            mask = frame.with_columns(self.condition.alias(KEPT))[KEPT]
        except Exception as error:  # polars raises several kinds
            raise Usage(f"constraint {text!r} is not true or false: {error}") from error
        if mask.dtype not in (pl.Boolean, pl.Null):
            raise Usage(f"constraint {text!r} is not true or false: expected a comparison such as 'fast < slow'")
        return mask.cast(pl.Boolean).fill_null(False).to_numpy().astype(np.bool_)

    def count(self) -> int:
        """Return how many combinations keep the constraints; before constraints where that would take long."""
        if not self.where or self.size > COUNTED:
            return self.size
        return sum(len(shard) for shard in self.shards())

    def row(self, combo: int) -> dict[str, float]:
        """Return the parameters of one combination."""
        out: dict[str, float] = {}
        for name in reversed(self.values):
            combo, digit = divmod(combo, self.values[name].size)
            out[name] = float(self.values[name][digit])
        return {name: out[name] for name in self.values}

    def as_json(self) -> dict[str, object]:
        """Return plain data."""
        return {"values": {k: [tidy(x) for x in v.tolist()] for k, v in self.values.items()}, "where": list(self.where)}


def _split(numbers: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.divmod(numbers, count) if count > 1 else (numbers, np.zeros_like(numbers))


def _refuse_aggregates(text: str) -> None:
    # a maximum over combinations would depend on how they are cut into blocks
    for name in re.findall(r"([A-Za-z_]\w*)\s*\(", text):
        if name.lower() not in (*ROWWISE, *WORDS):
            raise unknown(f"function in constraint {text!r}", name, ROWWISE)

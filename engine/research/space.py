"""The parameter space of a sweep: a grid or a drawn part of it, with constraints, enumerated in shards.

A combination has a number: its place in the whole grid (the last parameter varies fastest), or in the sample where
parameters are drawn from intervals.  Positions count what is visited: all numbers of a grid, or those drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.graph.scalar import tidy
from engine.graph.strategy import Strategy
from engine.research.constraint import holds, read_condition
from engine.research.shard import Shard
from parquet_store.errors import Usage

__all__ = ["Draw", "Shard", "Space"]

MANY = 10**9
BLOCK = 1 << 18
ROWS = 1 << 16
COUNTED = 10**8
TRIES = 100  # drawn for each combination wanted, before a constraint is said to keep too few


@dataclass(frozen=True)
class Draw:
    """A random part of a space.

    Attributes
    ----------
    count : int
        Combinations to draw, all different in a grid.
    seed : int
    intervals : dict of str to (low, high)
        Parameters drawn evenly from an interval instead of from their list of values.
    """

    count: int
    seed: int
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Space:
    """Values of every parameter of a strategy and constraints between them.

    Attributes
    ----------
    values : dict of str to ndarray of float64
        One entry for every parameter, in the strategy's order; the last one varies fastest.
    where : tuple of str
        SQL conditions over parameter names, as in ``fast < slow``.
    when : tuple of (str, str)
        (parameter, condition): where the condition does not hold the parameter stays at its first value.
    draw : Draw, optional
        Visit a random part only.
    whole : frozenset of str
        Parameters that are whole numbers.
    """

    values: dict[str, NDArray[np.float64]]
    where: tuple[str, ...] = ()
    when: tuple[tuple[str, str], ...] = ()
    draw: Draw | None = None
    whole: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        strategy: type[Strategy],
        given: Mapping[str, Sequence[float]],
        where: Sequence[str] = (),
        yes: bool = False,
        *,
        when: Sequence[tuple[str, str]] = (),
        draw: Draw | None = None,
    ) -> Space:
        """Return the space of a strategy: the given values, checked, and one default for every other parameter.

        Raises
        ------
        Usage
            Unknown parameter (nearest name), value out of bounds, more than 10^9 combinations without ``yes``, no
            combination at all, a constraint that cannot be read.
        """
        intervals = draw.intervals if draw is not None else {}
        for name in (*given, *intervals, *(name for name, _ in when)):
            strategy.param(name)
        for name in intervals:
            if name in given:
                raise Usage(f"parameter {name}: given as values and as an interval; expected one of them")
            param, (low, high) = strategy.param(name), intervals[name]
            if param.whole and math.ceil(low) > math.floor(high):
                raise Usage(f"parameter {name}: no whole number from {low:g} to {high:g}; give a wider interval")
            for end in (math.ceil(low), math.floor(high)) if param.whole else (low, high):
                param.check(end)
        size = math.prod(len(v) for v in given.values())
        visited = size if draw is None else draw.count
        if visited > MANY and not yes:
            raise Usage(f"{visited:,} combinations: more than 10^9; narrow the ranges, or say --yes if you mean it")
        if size >= 1 << 62:
            raise Usage(f"{size:,} combinations: more than can be numbered; narrow the ranges")
        values: dict[str, NDArray[np.float64]] = {}
        for name, param in strategy.params.items():
            wanted = list(dict.fromkeys(given.get(name, (param.default,))))
            if not wanted:
                raise Usage(f"parameter {name}: no values given, expected at least one")
            values[name] = np.array([param.check(v) for v in wanted])
        whole = frozenset(name for name, param in strategy.params.items() if param.whole)
        made = cls(values, tuple(where), tuple(when), draw, whole)
        if next(made.shards(), None) is None:
            texts, kept = " and ".join(where), f"{size:,} before"
            if made.free:
                kept = f"{TRIES * visited:,} points drawn"
            raise Usage(f"no combination is left: {kept}, 0 after --where {texts!r}")
        return made

    @property
    def size(self) -> int:
        """Combinations of the grid before constraints."""
        return math.prod(v.size for v in self.values.values())

    @property
    def positions(self) -> int:
        """Combinations that are visited, before constraints where nothing is drawn."""
        return self.size if self.draw is None else len(self.drawn)

    @cached_property
    def conditions(self) -> list[tuple[str, pl.Expr]]:
        """The constraints, read; those of ``when`` too where they keep or drop combinations of a grid."""
        texts = list(self.where)
        if not self.free:
            for name, text in self.when:
                first = {other: values[:1] for other, values in self.values.items()}
                holds(text, read_condition(text, self.values), first)  # told by itself, not as a part of what follows
                texts.append(f"({text}) or {name} = {float(self.values[name][0])!r}")
        return [(text, read_condition(text, self.values)) for text in texts]

    @property
    def free(self) -> bool:
        """Whether parameters are drawn from intervals, so that points have no place in a grid."""
        return self.draw is not None and bool(self.draw.intervals)

    @cached_property
    def drawn(self) -> Shard:
        """The combinations drawn, in the order of their numbers."""
        assert self.draw is not None
        rng = np.random.default_rng(self.draw.seed)
        return self._points(rng, self.draw) if self.free else self._numbers(rng, self.draw)

    def _numbers(self, rng: np.random.Generator, draw: Draw) -> Shard:
        if self.size <= max(ROWS, 4 * draw.count):
            kept = np.concatenate([shard.combo for shard in self._blocks(self.size, self.shard_of, BLOCK)] or [_NONE])
            found = rng.permutation(kept)[: draw.count]
        else:
            found = _NONE
            for _ in range(TRIES):
                more = self.shard_of(rng.integers(0, self.size, max(draw.count, 1024)))
                found = np.concatenate([found, more.take(self._kept(more)).combo])
                _, first = np.unique(found, return_index=True)
                found = found[np.sort(first)][: draw.count]  # in the order they were drawn
                if found.size == draw.count:
                    break
        return self.shard_of(np.sort(found))

    def _points(self, rng: np.random.Generator, draw: Draw) -> Shard:
        parts: list[dict[str, NDArray[np.float64]]] = []
        found = 0
        for _ in range(TRIES):
            columns: dict[str, NDArray[np.float64]] = {}
            for name, values in self.values.items():
                low, high = draw.intervals.get(name, (0.0, 0.0))
                if name not in draw.intervals:
                    columns[name] = values[rng.integers(0, values.size, draw.count)]
                elif name in self.whole:
                    columns[name] = rng.integers(math.ceil(low), math.floor(high) + 1, draw.count).astype(np.float64)
                else:
                    columns[name] = np.round(rng.uniform(low, high, draw.count), 12)
            for name, text in self.when:
                off = ~holds(text, read_condition(text, self.values), columns)
                columns[name] = np.where(off, self.values[name][0], columns[name])
            keep = self._kept(Shard.of_points(np.arange(draw.count), columns))
            parts.append({name: column[keep] for name, column in columns.items()})
            found += int(keep.sum())
            if found >= draw.count or not self.where:
                break
        joined = {name: np.concatenate([part[name] for part in parts])[: draw.count] for name in self.values}
        return Shard.of_points(np.arange(min(found, draw.count)), joined)

    def shards(self, start: int = 0, stop: int | None = None, block: int = ROWS) -> Iterator[Shard]:
        """Yield the combinations of some positions that keep the constraints, up to ``block`` in a shard."""
        first, last = start, self.positions if stop is None else min(stop, self.positions)
        if self.draw is not None:
            for at in range(first, last, block):
                yield self.drawn.part(at, min(last, at + block))
            return
        yield from self._blocks(last, self.shard_of, block, first)

    def _blocks(self, last: int, make: Any, block: int, first: int = 0) -> Iterator[Shard]:
        held, count = [_NONE], 0
        for at in range(first, last, block):
            shard = make(np.arange(at, min(last, at + block), dtype=np.int64))
            combo = shard.combo[self._kept(shard)] if self.conditions else shard.combo
            if count and count + combo.size > block:
                yield make(np.concatenate(held))
                held, count = [_NONE], 0
            held.append(combo)
            count += combo.size
        if count:
            yield make(np.concatenate(held))

    def shard_of(self, combos: Sequence[int] | NDArray[np.int64]) -> Shard:
        """Return these combinations, by their numbers, constraints or not."""
        if self.free:
            return self.drawn.take(np.asarray(combos, np.int64))
        rest = combo = np.asarray(combos, np.int64)
        digits: dict[str, NDArray[np.int64]] = {}
        for name in reversed(self.values):
            rest, digits[name] = _split(rest, self.values[name].size)
        return Shard(combo, {name: digits[name] for name in self.values}, self.values)

    def _kept(self, shard: Shard) -> NDArray[np.bool_]:
        columns = {name: shard.column(name) for name in self.values}
        mask = np.ones(len(shard), np.bool_)
        for text, condition in self.conditions:
            mask &= holds(text, condition, columns)
        return mask

    def count(self) -> int:
        """Return how many combinations keep the constraints; before constraints where that would take long."""
        if self.draw is not None or not self.conditions or self.size > COUNTED:
            return self.positions
        return sum(len(shard) for shard in self.shards())

    def row(self, combo: int) -> dict[str, float]:
        """Return the parameters of one combination."""
        shard = self.shard_of([combo])
        return {name: float(shard.column(name)[0]) for name in self.values}

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        draw = self.draw
        return {
            "values": {k: [tidy(x) for x in v.tolist()] for k, v in self.values.items()},
            "where": list(self.where),
            "when": [list(pair) for pair in self.when],
            "draw": None
            if draw is None
            else {
                "count": draw.count,
                "seed": draw.seed,
                "intervals": {name: list(ends) for name, ends in draw.intervals.items()},
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], whole: frozenset[str] = frozenset()) -> Space:
        """Return the space of plain data, as a plan holds it."""
        values = {name: np.array(v, np.float64) for name, v in data["values"].items()}
        said = data["draw"]
        draw = None
        if said is not None:
            intervals = {name: (float(low), float(high)) for name, (low, high) in said["intervals"].items()}
            draw = Draw(int(said["count"]), int(said["seed"]), intervals)
        return cls(values, tuple(data["where"]), tuple((a, b) for a, b in data["when"]), draw, whole)


_NONE = np.zeros(0, np.int64)


def _split(numbers: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.divmod(numbers, count) if count > 1 else (numbers, np.zeros_like(numbers))

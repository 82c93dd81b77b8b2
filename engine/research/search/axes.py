"""The axes of a search: each parameter as Optuna samples it, and trials turned back into columns of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.research.constraint import holds, read_condition
from engine.research.shard import Shard
from engine.research.space import Space

__all__ = ["Axes"]


@dataclass(frozen=True)
class Axes:
    """How points of a space are sampled, checked and numbered.

    Evenly spaced values, three or more, are an ordered axis; other lists are choices without order; intervals are
    continuous, or the whole numbers in them for whole parameters.  Parameters with one value are not sampled.

    Attributes
    ----------
    space : Space
        Its ``draw`` holds the intervals, if there are any.
    """

    space: Space

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The ends of the parameters that are drawn from an interval."""
        return self.space.draw.intervals if self.space.draw is not None else {}

    @property
    def sampled(self) -> list[str]:
        """The parameters that vary, in the strategy's order."""
        return [name for name, v in self.space.values.items() if v.size > 1 or name in self.intervals]

    def distributions(self) -> dict[str, Any]:
        """Return Optuna's distribution of each parameter that varies."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, Any] = {}
        for name in self.sampled:
            whole = name in self.space.whole
            if name in self.intervals:
                low, high = self.intervals[name]
                found[name] = (
                    IntDistribution(math.ceil(low), math.floor(high)) if whole else FloatDistribution(low, high)
                )
                continue
            values = self.space.values[name]
            stride = even(values)
            if stride is None:
                found[name] = CategoricalDistribution([int(v) if whole else float(v) for v in values])
            elif whole:
                found[name] = IntDistribution(int(values[0]), int(values[-1]), step=int(stride))
            else:
                found[name] = FloatDistribution(float(values[0]), float(values[-1]), step=stride)
        return found

    def columns(self, trials: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
        """Return each parameter's value of each point, shape (m,), given what Optuna sampled.

        Values of a list are exactly the list's; where the condition of ``when`` does not hold a parameter stays at
        its first value.
        """
        found: dict[str, NDArray[np.float64]] = {}
        sampled = set(self.sampled)
        for name, values in self.space.values.items():
            if name not in sampled:
                found[name] = np.full(len(trials), values[0])
                continue
            column = np.array([float(trial[name]) for trial in trials])
            if name in self.intervals:
                found[name] = np.round(column, 12)
            else:
                found[name] = values[np.abs(column[:, None] - values).argmin(axis=1)]
        for name, text in self.space.when:
            off = ~holds(text, read_condition(text, self.space.values), found)
            found[name] = np.where(off, self.space.values[name][0], found[name])
        return found

    def kept(self, columns: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Return which points keep the constraints, shape (m,)."""
        mask = np.ones(len(next(iter(columns.values()))), np.bool_)
        for text in self.space.where:
            mask &= holds(text, read_condition(text, self.space.values), columns)
        return mask

    def shard(self, columns: Mapping[str, NDArray[np.float64]]) -> tuple[Shard, NDArray[np.int64]]:
        """Return distinct points as a shard, and the place of each of its combinations among them.

        Points of a grid have their number in it; others are numbered in their order.
        """
        count = len(next(iter(columns.values())))
        if self.intervals:
            return Shard.of_points(np.arange(count), columns), np.arange(count)
        combo = np.zeros(count, np.int64)
        for name, values in self.space.values.items():
            combo = combo * values.size + np.abs(columns[name][:, None] - values).argmin(axis=1)
        order = np.argsort(combo, kind="stable")
        return self.space.shard_of(combo[order]), order


def even(values: NDArray[np.float64]) -> float | None:
    """Return the step of values that are increasing and evenly spaced, at least three; None for others."""
    if values.size < 3:
        return None
    steps = np.diff(values)
    stride = round(float(steps[0]), 12)
    return stride if stride > 0 and bool(np.allclose(steps, stride, rtol=0.0, atol=1e-9)) else None

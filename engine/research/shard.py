"""Some combinations of a space, as columns: what is planned, run and written at one time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Shard"]


@dataclass(frozen=True)
class Shard:
    """Some combinations of a space.

    Attributes
    ----------
    combo : ndarray of int64, shape (m,)
        Their numbers, increasing.
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

    @classmethod
    def of_points(cls, combo: NDArray[np.int64], columns: Mapping[str, NDArray[np.float64]]) -> Shard:
        """Return a shard of free points: ``columns`` holds each parameter's value of each point."""
        values, digits = {}, {}
        for name, column in columns.items():
            values[name], digits[name] = np.unique(column, return_inverse=True)
        return cls(combo, {name: place.astype(np.int64) for name, place in digits.items()}, values)

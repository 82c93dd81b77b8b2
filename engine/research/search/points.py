"""The space of a search that has run: the points it visited, which are those of its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from engine.research.shard import Shard
from engine.research.space import Space

__all__ = ["Visited", "visited_space"]


@dataclass(frozen=True)
class Visited(Space):
    """A space of which some points were visited; ``shards`` yields those alone.

    Attributes
    ----------
    points : Shard
        In the order of their numbers.
    """

    points: Shard | None = None

    @property
    def drawn(self) -> Shard:
        """The points visited."""
        assert self.points is not None
        return self.points


def visited_space(plan: dict[str, Any], files: list[Path]) -> Visited:
    """Return the space of a search's run, its points read from the run's table."""
    space = Space.from_json(plan["space"], frozenset(plan["whole"]))
    names = list(space.values)
    tables = [pq.read_table(path, columns=["combo", *names]) for path in files]

    def column(name: str) -> Any:
        return np.concatenate([t.column(name).combine_chunks().to_numpy(zero_copy_only=False) for t in tables])

    columns = {name: column(name).astype(np.float64) for name in names}
    points = Shard.of_points(column("combo"), columns)
    return Visited(space.values, space.where, space.when, space.draw, space.whole, points)

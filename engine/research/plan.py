"""From a shard of combinations to the distinct work it asks for: every column, bitmap and stream once.

Each node of the strategy's shape is given its instances: the distinct ways its own and its inputs' parameters come
out over the shard.  Number nodes become the nodes of one merged program, conditions become tasks for bitmaps.  What
hardly any two combinations share becomes a recipe instead, and is made when the combination runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import Level, Node, Out, ordered
from engine.graph.program import Program
from engine.graph.program import max_hold as whole_bars
from engine.graph.resolve import ROLES, Shape
from engine.kernels.step import find_step
from engine.research import words
from engine.research.bitmap import words_of
from engine.research.instances import Ids, Instances, Instantiated
from engine.research.merged import Merged
from engine.research.private import Recipe
from engine.research.recipe import COMPARISONS, LOGIC, RecipeWriter, logic_below
from engine.research.space import Shard
from parquet_store.errors import Usage

__all__ = ["Work", "plan"]

SIGNALS = ROLES[:4]
FEW = 64
WORKBENCH = 1 << 23


@dataclass(frozen=True)
class Work:
    """What a shard asks for.

    A column has a code: a field of the bar its place in ``FIELDS``, output k of the program ``len(FIELDS) + k``.

    Attributes
    ----------
    program : Program
        Every distinct number node; no roles.
    tasks, levels : ndarray
        What ``bitmap.fill_bitmaps`` takes, in an order in which inputs come first; columns are codes.
    kept : tuple of int
        Codes of the columns that combinations read, ``ONES`` for a column of 1.0; row k of ``Prepared.values`` each.
    streams : ndarray of int64, shape (m, 4)
        Rows of the bitmaps; from ``len(tasks)`` on a number that only equal private streams share.
    distances : ndarray of int64, shape (m, 2)
        Places in ``kept`` for stop and target, -1: none.
    factors : ndarray of float64, shape (m, 2)
        What the distances are multiplied by.
    rules : ndarray of int64, shape (m, 2)
        Trailing, max_hold.
    sizings : ndarray of float64, shape (m, 2)
    configs : ndarray of int64, shape (m,)
        Equal where distances, factors, rules and sizings are.
    recipe : Recipe
        How private streams are made.
    outputs : int
        Of the program.
    owned : dict of str to float
        For each parameter, how much of the memory depends on it, in bars of bitmaps.
    """

    program: Program
    tasks: NDArray[np.int64]
    levels: NDArray[np.float64]
    kept: tuple[int, ...]
    streams: Ids
    distances: Ids
    factors: NDArray[np.float64]
    rules: Ids
    sizings: NDArray[np.float64]
    configs: Ids
    recipe: Recipe
    outputs: int
    owned: dict[str, float]

    def visited(self) -> Ids | None:
        """Return an order of the combinations in which those that read the same columns follow each other."""
        columns = self.recipe.columns
        return np.lexsort(columns.T[::-1]) if columns.shape[1] else None

    def taken(self, order: Ids) -> Work:
        """Return the work with its combinations in another order, private streams numbered as they come in it."""
        recipe = self.recipe._replace(
            columns=self.recipe.columns[order], levels=self.recipe.levels[order], rows=self.recipe.rows[order]
        )
        streams = self.streams[order].T.copy()
        private = streams >= len(self.tasks)
        _, first, place = np.unique(streams[private], return_index=True, return_inverse=True)
        rank = np.empty(first.size, np.int64)
        rank[np.argsort(first)] = np.arange(first.size)
        streams[private] = len(self.tasks) + rank[place]
        others = {name: getattr(self, name)[order] for name in ("distances", "factors", "rules", "sizings", "configs")}
        return replace(self, recipe=recipe, streams=streams.T.copy(), **others)

    def tile(self, bars: int) -> int:
        """Return how many bars of all its columns are computed at a time, a multiple of 64."""
        fit = WORKBENCH // (8 * max(1, self.outputs)) // 64 * 64
        return min(max(1024, min(fit, 16_384)), 64 * words_of(bars))

    def bytes(self, bars: int) -> int:
        """Return the memory its columns and bitmaps take."""
        steps = [find_step(node.step) for node in self.program.nodes]
        whole = len(self.kept) + sum(len(step.outputs) for step in steps if step.compiled is None)
        columns = 64 * whole * words_of(bars) + self.outputs * self.tile(bars)
        return 8 * (columns + len(self.tasks) * words_of(bars))


class _Planner:
    """Collects instances; one use a shard."""

    def __init__(self, shard: Shard, room: float) -> None:
        self.known, self.size, self.room = Instantiated(shard), len(shard), room
        self.limit = max(FEW, self.size // 2)
        self.merged = Merged(self.known)
        self.private: set[Node] = set()
        self.shared: dict[Node, Ids] = {}
        self.tasks: list[NDArray[np.int64]] = []
        self.levels: list[NDArray[np.float64]] = []
        self.rows = 0

    def choose_private(self, roots: Sequence[Node]) -> None:
        """Decide which conditions are not worth a row for each instance, or have no room for it."""
        nodes = list(dict.fromkeys(node for root in roots for node in ordered(root, logic_below)))
        counts = {node: self.known.node(node).count for node in nodes}
        self.private = {node for node in nodes if counts[node] > self.limit}
        rows = sum(counts[node] for node in nodes if node not in self.private)
        # the largest first, and what reads before what is read
        for node in sorted(reversed(nodes), key=lambda x: -counts[x]):
            if rows > self.room and counts[node] > 1 and logic_below(node) and node not in self.private:
                self.private.add(node)
                rows -= counts[node]

    def share(self, root: Node) -> None:
        """Give every instance of the shared conditions of a stream its row."""
        for node in ordered(root, logic_below):
            if node not in self.private and node not in self.shared:
                found = self.known.node(node)
                self.merged.own(found, found.count)
                self.shared[node] = self._rows(node, found)

    def _rows(self, node: Node, found: Instances) -> Ids:
        sides, levels = np.full((found.count, 2), -1, np.int64), np.zeros((found.count, 2))
        op, inputs = words.NONZERO, [node]
        if isinstance(node, Out) and node.call.step in LOGIC:
            for side, read in enumerate(node.call.inputs):
                sides[:, side] = self.shared[read][self.known.node(read).ids[found.first]]
            return self._emit(LOGIC[node.call.step], sides, levels)
        if isinstance(node, Out) and node.call.step in COMPARISONS:
            op, inputs = COMPARISONS[node.call.step], list(node.call.inputs)
        elif isinstance(node, Level):
            op = words.CONSTANT
        for side, read in enumerate(inputs):
            ids = self.known.node(read).ids[found.first]
            if isinstance(read, Level):
                levels[:, side] = self.merged.values(read)[ids]
            else:
                sides[:, side] = self.merged.codes(read)[ids]
        return self._emit(op, sides, levels)

    def _emit(self, op: int, sides: Ids, levels: NDArray[np.float64]) -> Ids:
        rows = np.arange(self.rows, self.rows + len(sides))
        self.rows += len(sides)
        self.tasks.append(np.column_stack([np.full(len(sides), op), sides, rows]).astype(np.int64))
        self.levels.append(levels)
        return rows

    def streams(self, roots: Sequence[Node]) -> tuple[Ids, Recipe]:
        """Return the stream of each combination by role, and how the private ones are made."""
        self.choose_private(roots)
        for root in roots:
            self.share(root)
        writer = RecipeWriter(self.merged, self.private, self.shared, self.limit)
        streams, beyond = np.empty((self.size, len(roots)), np.int64), self.rows
        begins: dict[Node, int] = {}
        for k, root in enumerate(roots):
            found = self.known.node(root)
            if root in self.shared:
                streams[:, k] = self.shared[root][found.ids]
            elif root not in begins:
                begins[root], beyond = beyond, beyond + found.count
            if root in begins:
                streams[:, k] = begins[root] + found.ids
            writer.stream(root)
        return streams, writer.recipe()


def plan(shard: Shard, shape: Shape, room: float = np.inf) -> Work:
    """Return the distinct work of a shard whose combinations all have this shape.

    Parameters
    ----------
    shard : Shard
    shape : Shape
    room : float
        For how many rows of bitmaps there is memory; beyond, AND and OR of conditions become private.

    Raises
    ------
    Usage
        For some combination a length or ``max_hold`` does not come out whole, or a number of the size rule is not
        above 0.
    """
    planner, m = _Planner(shard, room), len(shard)
    merged = planner.merged
    settings: list[Instances] = []
    distances, factors = np.full((m, 2), -1, np.int64), np.ones((m, 2))
    for k, role in enumerate(ROLES[4:]):
        if role in shape.nodes:
            distances[:, k], factors[:, k] = merged.distance(shape.nodes[role])
            settings.append(planner.known.node(shape.nodes[role]))
    streams, recipe = planner.streams([shape.nodes[role] for role in SIGNALS])
    rules = np.zeros((m, 2), np.int64)
    found, values = planner.known.scalar(shape.trailing)
    rules[:, 0] = (values != 0.0)[found.ids]
    settings.append(found)
    found, values = planner.known.scalar(shape.max_hold)
    rules[:, 1] = np.array([whole_bars(v) for v in values.tolist()])[found.ids]
    settings.append(found)
    sizings = np.zeros((m, 2))
    for k, (name, item) in enumerate(shape.size.numbers):
        found, values = planner.known.scalar(item)
        for value in values[~(np.isfinite(values) & (values > 0.0))].tolist():
            raise Usage(f"sizing {shape.size.kind}: {name} is {value:g}, expected a number above 0")
        sizings[:, k] = values[found.ids]
        settings.append(found)
    return Work(
        Program(tuple(merged.nodes), ()),
        np.concatenate(planner.tasks) if planner.tasks else np.zeros((0, 4), np.int64),
        np.concatenate(planner.levels) if planner.levels else np.zeros((0, 2)),
        tuple(merged.kept),
        streams,
        distances,
        factors,
        rules,
        sizings,
        planner.known.joint(settings).ids,
        recipe,
        merged.first_output[-1],
        merged.owned,
    )

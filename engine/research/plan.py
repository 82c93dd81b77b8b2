"""From a shard of combinations to the distinct work it asks for: every column, bitmap and stream once.

Each node of the strategy's shape is given its instances: the distinct ways its own and its inputs' parameters come
out over the shard.  Number nodes become the nodes of one merged program, conditions become tasks for bitmaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import Field, Level, Node, Out, ordered
from engine.graph.program import Program, ProgramNode, Ref, constant
from engine.graph.program import max_hold as whole_bars
from engine.graph.resolve import ROLES, Shape
from engine.graph.scalar import Scalar
from engine.kernels.step import find_step
from engine.research import bitmap
from engine.research.space import Shard
from parquet_store.errors import Usage

__all__ = ["Work", "plan"]

COMPARISONS = {
    "less": bitmap.LESS,
    "less_equal": bitmap.LESS_EQUAL,
    "equal": bitmap.EQUAL,
    "not_equal": bitmap.NOT_EQUAL,
}
LOGIC = {"both": bitmap.BOTH, "either": bitmap.EITHER}
SIGNALS = ROLES[:4]
TABLE = 1 << 22

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """What a shard asks for.

    Attributes
    ----------
    program : Program
        Every distinct number node; no roles.
    tasks, levels : ndarray
        What ``bitmap.fill_bitmaps`` takes, in an order in which inputs come first; columns are places in ``columns``.
    columns : tuple of Ref
        What each column of ``values`` holds.
    streams : ndarray of int64, shape (m, 4)
    distances : ndarray of int64, shape (m, 2)
    rules : ndarray of int64, shape (m, 2)
    sizings : ndarray of float64, shape (m, 2)
    """

    program: Program
    tasks: NDArray[np.int64]
    levels: NDArray[np.float64]
    stages: tuple[int, ...]
    columns: tuple[Ref, ...]
    streams: Ids
    distances: Ids
    rules: Ids
    sizings: NDArray[np.float64]

    def bytes(self, bars: int) -> int:
        """Return the memory its columns and bitmaps take."""
        outputs = sum(len(find_step(node.step).outputs) for node in self.program.nodes)
        copied = sum(not isinstance(ref, tuple) for ref in self.columns)
        return 8 * (outputs + copied) * bars + 8 * len(self.tasks) * bitmap.words_of(bars)


def compress(parts: list[tuple[Ids, int]], size: int) -> tuple[Ids, int, Ids]:
    """Return (instance of each combination, instances, a combination of each instance) of joint ids."""
    ids, count = np.zeros(size, np.int64), 1
    for part, levels in parts:
        if levels == 1:
            continue
        ids, count = ids * levels + part, count * levels
        if count > TABLE:
            ids, count = _dense(ids, count)
    ids, count = _dense(ids, count)
    first = np.empty(count, np.int64)
    first[ids[::-1]] = np.arange(size - 1, -1, -1)
    return ids, count, first


def _dense(ids: Ids, count: int) -> tuple[Ids, int]:
    if count == 1:
        return ids, 1
    if count <= max(TABLE, 4 * ids.size):
        present = np.zeros(count, np.bool_)
        present[ids] = True
        place = np.cumsum(present) - 1
        return place[ids], int(place[-1]) + 1
    kept, dense = np.unique(ids, return_inverse=True)
    return dense.astype(np.int64), kept.size


class _Planner:
    """Collects instances; one use a shard."""

    def __init__(self, shard: Shard) -> None:
        self.shard, self.size = shard, len(shard)
        self.scalars: dict[str, tuple[Ids, NDArray[np.float64]]] = {}
        self.numbers: dict[Node, tuple[Ids, list[Ref]]] = {}
        self.calls: dict[Node, tuple[Ids, list[int]]] = {}
        self.conditions: dict[Node, tuple[Ids, Ids]] = {}
        self.nodes: list[ProgramNode] = []
        self.placed: dict[ProgramNode, int] = {}
        self.columns: dict[Ref, int] = {}
        self.tasks: list[NDArray[np.int64]] = []
        self.levels: list[NDArray[np.float64]] = []
        self.bitmaps = 0

    def scalar(self, item: Scalar) -> tuple[Ids, NDArray[np.float64]]:
        """Return (instance of each combination, value of each instance)."""
        if item.key not in self.scalars:
            names = sorted(item.names())
            parts = [(self.shard.digits[n], self.shard.values[n].size) for n in names]
            ids, _, first = compress(parts, self.size)
            known = {n: self.shard.values[n][self.shard.digits[n][first]] for n in names}
            with np.errstate(all="ignore"):  # what is not finite is refused where it is used
                found = np.asarray(item.evaluate(known), np.float64)
            values = np.broadcast_to(found, first.shape)
            kept, place = np.unique(values, return_inverse=True)
            self.scalars[item.key] = place[ids], kept
        return self.scalars[item.key]

    def call(self, node: Out) -> tuple[Ids, list[int]]:
        """Return (instance of each combination, program node of each instance)."""
        made = node.call
        if made not in self.calls:
            inputs = [self.number(x) for x in made.inputs]
            params = [self.scalar(s) for s in made.params]
            parts = [(ids, len(refs)) for ids, refs in inputs] + [(ids, values.size) for ids, values in params]
            ids, _, first = compress(parts, self.size)
            step, places = find_step(made.step), []
            for combo in first.tolist():
                refs = tuple(refs[ids[combo]] for ids, refs in inputs)
                settings = step.check([float(values[ids[combo]]) for ids, values in params])
                node_here = ProgramNode(made.step, refs, settings)
                if node_here not in self.placed:  # another call of the step may have asked for it already
                    self.placed[node_here] = len(self.nodes)
                    self.nodes.append(node_here)
                places.append(self.placed[node_here])
            self.calls[made] = ids, places
        return self.calls[made]

    def number(self, node: Node) -> tuple[Ids, list[Ref]]:
        """Return (instance of each combination, reference of each instance)."""
        if node not in self.numbers:
            if isinstance(node, Field):
                found: tuple[Ids, list[Ref]] = np.zeros(self.size, np.int64), [node.name]
            elif isinstance(node, Level):
                ids, values = self.scalar(node.scalar)
                found = ids, [constant(v) for v in values.tolist()]
            else:
                assert isinstance(node, Out)
                ids, places = self.call(node)
                found = ids, [(place, node.index) for place in places]
            self.numbers[node] = found
        return self.numbers[node]

    def number_at(self, root: Node) -> tuple[Ids, list[Ref]]:
        """Do as ``number``, inputs first, so that no chain is too long."""
        for node in ordered(root):
            self.number(node)
        return self.number(root)

    def condition_at(self, root: Node) -> tuple[Ids, Ids]:
        """Do as ``condition``, inputs first, so that no chain is too long."""
        for node in ordered(root, _logic_below):
            if isinstance(node, Out) and node.call.step in COMPARISONS:
                for side in node.call.inputs:
                    self.number_at(side)
            elif not _logic_below(node):
                self.number_at(node)
            self.condition(node)
        return self.condition(root)

    def column(self, ref: Ref) -> int:
        """Return the place of a column that comparisons or distances read."""
        return self.columns.setdefault(ref, len(self.columns))

    def condition(self, node: Node) -> tuple[Ids, Ids]:
        """Return (instance of each combination, bitmap row of each instance)."""
        if node not in self.conditions:
            self.conditions[node] = self._condition(node)
        return self.conditions[node]

    def _condition(self, node: Node) -> tuple[Ids, Ids]:
        if isinstance(node, Out) and node.call.step in LOGIC:
            (left, lrows), (right, rrows) = (self.condition(x) for x in node.call.inputs)
            ids, count, first = compress([(left, lrows.size), (right, rrows.size)], self.size)
            sides = np.column_stack([lrows[left[first]], rrows[right[first]]])
            return ids, self._emit(np.full(count, LOGIC[node.call.step]), sides, np.zeros((count, 2)))
        if isinstance(node, Out) and node.call.step in COMPARISONS:
            (left, lrefs), (right, rrefs) = (self.number(x) for x in node.call.inputs)
            ids, count, first = compress([(left, len(lrefs)), (right, len(rrefs))], self.size)
            sides, levels = np.full((count, 2), -1, np.int64), np.zeros((count, 2))
            for k, combo in enumerate(first.tolist()):
                for side, ref in enumerate((lrefs[left[combo]], rrefs[right[combo]])):
                    if isinstance(ref, float):
                        levels[k, side] = ref
                    else:
                        sides[k, side] = self.column(ref)
            return ids, self._emit(np.full(count, COMPARISONS[node.call.step]), sides, levels)
        ids, refs = self.number(node)
        sides, levels = np.full((len(refs), 2), -1, np.int64), np.zeros((len(refs), 2))
        ops = np.full(len(refs), bitmap.NONZERO)
        for k, ref in enumerate(refs):
            if isinstance(ref, float):
                ops[k], levels[k, 0] = bitmap.CONSTANT, ref
            else:
                sides[k, 0] = self.column(ref)
        return ids, self._emit(ops, sides, levels)

    def _emit(self, ops: NDArray[np.int64], sides: Ids, levels: NDArray[np.float64]) -> Ids:
        rows = np.arange(self.bitmaps, self.bitmaps + ops.size)
        self.bitmaps += ops.size
        self.tasks.append(np.column_stack([ops, sides, rows]).astype(np.int64))
        self.levels.append(levels)
        return rows


def _logic_below(node: Node) -> Sequence[Node]:
    return node.call.inputs if isinstance(node, Out) and node.call.step in LOGIC else ()


def plan(shard: Shard, shape: Shape) -> Work:
    """Return the distinct work of a shard whose combinations all have this shape.

    Raises
    ------
    Usage
        For some combination a length or ``max_hold`` does not come out whole, or a number of the size rule is not
        above 0.
    """
    planner = _Planner(shard)
    streams = np.empty((len(shard), 4), np.int64)
    for k, role in enumerate(SIGNALS):
        ids, rows = planner.condition_at(shape.nodes[role])
        streams[:, k] = rows[ids]
    distances = np.full((len(shard), 2), -1, np.int64)
    for k, role in enumerate(ROLES[4:]):
        if role in shape.nodes:
            ids, refs = planner.number_at(shape.nodes[role])
            distances[:, k] = np.array([planner.column(ref) for ref in refs])[ids]
    ids, values = planner.scalar(shape.trailing)
    rules = np.zeros((len(shard), 2), np.int64)
    rules[:, 0] = (values != 0.0)[ids]
    ids, values = planner.scalar(shape.max_hold)
    rules[:, 1] = np.array([whole_bars(v) for v in values.tolist()])[ids]
    sizings = np.zeros((len(shard), 2))
    for k, (name, item) in enumerate(shape.size.numbers):
        ids, values = planner.scalar(item)
        for value in values[~(np.isfinite(values) & (values > 0.0))].tolist():
            raise Usage(f"sizing {shape.size.kind}: {name} is {value:g}, expected a number above 0")
        sizings[:, k] = values[ids]
    return Work(
        Program(tuple(planner.nodes), ()),
        np.concatenate(planner.tasks),
        np.concatenate(planner.levels),
        tuple(len(t) for t in planner.tasks),
        tuple(planner.columns),
        streams,
        distances,
        rules,
        sizings,
    )

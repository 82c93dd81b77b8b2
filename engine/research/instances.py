"""Instances: the distinct ways a node's parameters, and those of all it reads, come out over a shard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import Level, Node, Out, ordered
from engine.graph.scalar import Scalar
from engine.research.space import Shard

__all__ = ["Ids", "Instances", "Instantiated", "compress"]

TABLE = 1 << 22

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Instances:
    """Which combinations agree on something.

    Attributes
    ----------
    ids : ndarray of int64, shape (m,)
        The instance of each combination, 0 to ``count - 1``, each taken by some combination.
    count : int
    names : frozenset of str
        The parameters it depends on.
    """

    ids: Ids
    count: int
    names: frozenset[str]

    @cached_property
    def first(self) -> Ids:
        """The first combination of each instance, shape (count,)."""
        return _first(self.ids, self.count)


def compress(parts: Sequence[tuple[Ids, int]], size: int) -> tuple[Ids, int]:
    """Return (instance of each combination, instances) of joint ids."""
    ids, count = np.zeros(size, np.int64), 1
    for part, levels in parts:
        if levels == 1:
            continue
        ids, count = (ids * levels + part, count * levels) if count > 1 else (part, levels)
        if count > TABLE:
            ids, count = _dense(ids, count)
    return _dense(ids, count)


def _first(ids: Ids, count: int) -> Ids:
    first = np.empty(count, np.int64)
    first[ids[::-1]] = np.arange(ids.size - 1, -1, -1)
    return first


def _dense(ids: Ids, count: int) -> tuple[Ids, int]:
    if count == 1:
        return ids, 1
    if count <= max(TABLE, 4 * ids.size):
        present = np.zeros(count, np.bool_)
        present[ids] = True
        if present.all():
            return ids, count
        place = np.cumsum(present) - 1
        return place[ids], int(place[-1]) + 1
    kept, dense = np.unique(ids, return_inverse=True)
    return dense.astype(np.int64), kept.size


class Instantiated:
    """The instances of scalars and nodes over one shard, each found once."""

    def __init__(self, shard: Shard) -> None:
        self.shard, self.size = shard, len(shard)
        self.single = Instances(np.zeros(self.size, np.int64), 1, frozenset())
        self._scalars: dict[str, tuple[Instances, NDArray[np.float64]]] = {}
        self._nodes: dict[Node, Instances] = {}
        self._joint: dict[frozenset[int], Instances] = {}
        self._digits: dict[str, Instances] = {}

    def joint(self, parts: Sequence[Instances]) -> Instances:
        """Return the instances of several things together."""
        varying = list({id(part): part for part in parts if part.count > 1}.values())
        if not varying:
            return self.single
        if len(varying) == 1:
            return varying[0]
        key = frozenset(map(id, varying))
        if key not in self._joint:
            names = frozenset[str]().union(*(part.names for part in varying))
            finest = max(varying, key=lambda part: part.count)
            ids, count = finest.ids, finest.count
            if count < self.size:
                ids, count = compress([(part.ids, part.count) for part in varying], self.size)
            self._joint[key] = Instances(ids, count, names)
        return self._joint[key]

    def scalar(self, item: Scalar) -> tuple[Instances, NDArray[np.float64]]:
        """Return the instances of a scalar, and the value of each."""
        if item.key not in self._scalars:
            self._scalars[item.key] = self._scalar(item)
        return self._scalars[item.key]

    def _scalar(self, item: Scalar) -> tuple[Instances, NDArray[np.float64]]:
        names = sorted(item.names())
        found = self.joint([self._digit(name) for name in names])
        known = {n: self.shard.values[n][self.shard.digits[n][found.first]] for n in names}
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            values = np.asarray(item.evaluate(known), np.float64)
        values = np.broadcast_to(values, found.count)
        kept, place = np.unique(values, return_inverse=True)
        if kept.size == values.size:
            return found, values
        ids = place.astype(np.int64)[found.ids]
        return (Instances(ids, kept.size, found.names) if kept.size > 1 else self.single), kept

    def _digit(self, name: str) -> Instances:
        if name not in self._digits:
            ids, count = compress([(self.shard.digits[name], self.shard.values[name].size)], self.size)
            self._digits[name] = Instances(ids, count, frozenset((name,))) if count > 1 else self.single
        return self._digits[name]

    def node(self, root: Node) -> Instances:
        """Return the instances of a node; inputs first, so that no chain is too long."""
        if root not in self._nodes:
            for node in ordered(root):
                if node not in self._nodes:
                    self._nodes[node] = self._node(node)
        return self._nodes[root]

    def _node(self, node: Node) -> Instances:
        if isinstance(node, Level):
            return self.scalar(node.scalar)[0]
        if not isinstance(node, Out):
            return self.single
        inputs = [self._nodes[x] for x in node.call.inputs]
        return self.joint([*inputs, *(self.scalar(s)[0] for s in node.call.params)])

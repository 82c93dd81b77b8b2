"""The number nodes of a shard as one program: every distinct node once, and which columns combinations read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import FIELDS, Call, Field, Level, Node, Out, ordered
from engine.graph.program import ProgramNode, Ref, constant
from engine.kernels.step import find_step
from engine.research.instances import Ids, Instances, Instantiated

__all__ = ["ONES", "Merged"]

ONES = -1  # the code of a column of 1.0


class Merged:
    """Collects nodes and columns; one use a shard.

    Attributes
    ----------
    nodes : list of ProgramNode
    first_output : list of int
        For each node the place of its first output among all outputs, and at the end their number.
    kept : dict of int to int
        The columns that combinations read: code to place.
    owned : dict of str to float
        See ``plan.Work``.
    """

    def __init__(self, known: Instantiated) -> None:
        self.known = known
        self.nodes: list[ProgramNode] = []
        self.first_output: list[int] = [0]
        self.kept: dict[int, int] = {}
        self.owned: dict[str, float] = {}
        self.placed: dict[ProgramNode, int] = {}
        self.places: dict[Call, list[int]] = {}

    def refs(self, node: Node) -> list[Ref]:
        """Return the reference of each instance of a number node."""
        if isinstance(node, Field):
            return [node.name]
        if isinstance(node, Level):
            return list(self.values(node).tolist())
        assert isinstance(node, Out)
        return [(place, node.index) for place in self.call(node.call, self.known.node(node))]

    def call(self, made: Call, found: Instances) -> list[int]:
        """Return the program node of each instance of a call whose inputs have theirs."""
        if made not in self.places:
            step, places = find_step(made.step), []
            inputs = [(self.known.node(x).ids[found.first].tolist(), self.refs(x)) for x in made.inputs]
            scalars = [self.known.scalar(s) for s in made.params]
            params = [values[ids.ids[found.first]].tolist() for ids, values in scalars]
            for k in range(found.count):
                settings = step.check([values[k] for values in params])
                node = ProgramNode(made.step, tuple(refs[ids[k]] for ids, refs in inputs), settings)
                if node not in self.placed:  # another call of the step may have asked for it already
                    self.placed[node] = len(self.nodes)
                    self.nodes.append(node)
                    self.first_output.append(self.first_output[-1] + len(step.outputs))
                places.append(self.placed[node])
            self.places[made] = places
            # a step of another library has no tiles: its columns exist whole
            self.own(found, found.count * (64.0 * len(step.outputs) if step.compiled is None else 1.0))
        return self.places[made]

    def codes(self, root: Node) -> Ids:
        """Return the column of each instance of a number node that is no level; inputs are planned first."""
        if isinstance(root, Field):
            return np.array([FIELDS.index(root.name)])
        for node in ordered(root):
            if isinstance(node, Out):
                self.call(node.call, self.known.node(node))
        assert isinstance(root, Out)
        return len(FIELDS) + np.array(self.first_output)[self.places[root.call]] + root.index

    def values(self, node: Level) -> NDArray[np.float64]:
        """Return the number of each instance of a level.

        Raises
        ------
        Usage
            One is not finite.
        """
        found = self.known.scalar(node.scalar)[1]
        for value in found[~np.isfinite(found)].tolist():
            constant(value)
        return found + 0.0

    def keep(self, root: Node) -> Ids:
        """Return for each combination the place in ``kept`` of a number node's column."""
        found = self.known.node(root)
        codes = self.codes(root)
        distinct = np.unique(codes).tolist()
        self.own(found, 64.0 * len(distinct))
        places = np.array([self.kept.setdefault(code, len(self.kept)) for code in distinct])
        return places[np.searchsorted(distinct, codes)][found.ids]

    def own(self, found: Instances, rows: float) -> None:
        """Note that some memory depends on these parameters."""
        for name in found.names:
            self.owned[name] = self.owned.get(name, 0.0) + rows

    def distance(self, node: Node) -> tuple[Ids, NDArray[np.float64]]:
        """Return for each combination the place in ``kept`` and the factor of a distance."""
        if isinstance(node, Level):
            return np.full(self.known.size, self.kept.setdefault(ONES, len(self.kept))), self.numbers(node)
        if isinstance(node, Out) and node.call.step == "multiply":
            left, right = node.call.inputs
            if isinstance(left, Level) and not isinstance(right, Level):
                return self.keep(right), self.numbers(left)
            if isinstance(right, Level) and not isinstance(left, Level):
                return self.keep(left), self.numbers(right)
        return self.keep(node), np.ones(self.known.size)

    def numbers(self, node: Level) -> NDArray[np.float64]:
        """Return the number of each combination of a level."""
        return self.values(node)[self.known.node(node).ids]

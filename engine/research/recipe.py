"""Writing down how private streams are made: one list of steps, and what each combination's steps read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.graph.node import Level, Node, Out, ordered
from engine.research import words
from engine.research.instances import Ids
from engine.research.merged import Merged
from engine.research.private import COLUMN, LEVEL, NUMBER, ROW, STREAMS, WORDS, Recipe

__all__ = ["COMPARISONS", "LOGIC", "POINTWISE", "RecipeWriter", "logic_below"]

COMPARISONS = {
    "less": words.LESS,
    "less_equal": words.LESS_EQUAL,
    "equal": words.EQUAL,
    "not_equal": words.NOT_EQUAL,
}
LOGIC = {"both": words.BOTH, "either": words.EITHER}
POINTWISE = {
    "add": words.ADD,
    "subtract": words.SUBTRACT,
    "multiply": words.MULTIPLY,
    "divide": words.DIVIDE,
    "minimum": words.MINIMUM,
    "maximum": words.MAXIMUM,
    "negate": words.NEGATE,
    "absolute": words.ABSOLUTE,
}
SCALED = {"add": words.ADD_SCALED, "subtract": words.SUBTRACT_SCALED}
Operand = tuple[int, int]  # kind and place


def logic_below(node: Node) -> Sequence[Node]:
    """Return the conditions a condition combines."""
    return node.call.inputs if isinstance(node, Out) and node.call.step in LOGIC else ()


class RecipeWriter:
    """Collects the steps of a shard's private streams, in the order of the streams.

    Parameters
    ----------
    merged : Merged
        The columns, and what is known of the shard.
    private : set of Node
        The conditions that have no rows.
    rows : mapping of Node to ndarray of int64
        The row of each instance of the others.
    limit : int
        Arithmetic with more instances than this is a step, with fewer a column.
    """

    def __init__(
        self,
        merged: Merged,
        private: set[Node],
        rows: Mapping[Node, Ids],
        limit: int,
    ) -> None:
        self.merged, self.known = merged, merged.known
        self.private, self.rows, self.limit = private, rows, limit
        self.steps: list[tuple[int, ...]] = []
        self.spans, self.roots = [0], list[int]()
        self.read: dict[int, dict[Node, NDArray[Any]]] = {COLUMN: {}, LEVEL: {}, ROW: {}}
        self.made: dict[int, int] = {NUMBER: 0, WORDS: 0}
        self.begun: dict[Node, int] = {}

    def stream(self, root: Node) -> None:
        """Add the next stream: steps if it is private and no stream before is the same."""
        if root in self.private and root not in self.begun:
            here: dict[Node, Operand] = {}  # a stream may be skipped, so none reads what another one made
            self.flats: dict[Node, Operand] = {}
            for node in ordered(root, lambda x: logic_below(x) if x in self.private else ()):
                here[node] = self._condition(node, here) if node in self.private else self._read(ROW, node)
            self.begun[root] = here[root][1]
        self.roots.append(self.begun.get(root, -1))
        self.spans.append(len(self.steps))

    def recipe(self) -> Recipe:
        """Return all that was added."""
        spans = self.spans + [self.spans[-1]] * (STREAMS + 1 - len(self.spans))
        return Recipe(
            np.array(self.steps, np.int64).reshape(-1, 7),
            np.array(spans, np.int64),
            np.array(self.roots + [-1] * (STREAMS - len(self.roots)), np.int64),
            self._table(COLUMN, np.int64),
            self._table(LEVEL, np.float64),
            self._table(ROW, np.int64),
            np.array([self.made[NUMBER], self.made[WORDS]], np.int64),
        )

    def _table(self, kind: int, dtype: type) -> NDArray[Any]:
        columns = list(self.read[kind].values())
        return np.array(columns, dtype).reshape(len(columns), self.known.size).T.copy()

    def _read(self, kind: int, node: Node) -> Operand:
        known = self.read[kind]
        if node not in known:
            if kind == ROW:
                known[node] = self.rows[node][self.known.node(node).ids]
            else:
                known[node] = self.merged.numbers(node) if isinstance(node, Level) else self.merged.keep(node)
        return kind, list(known).index(node)

    def _write(self, kind: int, op: int, left: Operand, right: Operand, level: int = -1) -> Operand:
        place, self.made[kind] = self.made[kind], self.made[kind] + 1
        self.steps.append((op, *left, *right, place, level))
        return kind, place

    def _condition(self, node: Node, here: dict[Node, Operand]) -> Operand:
        assert isinstance(node, Out)
        if node.call.step in LOGIC:
            left, right = (here[x] for x in node.call.inputs)
            return self._write(WORDS, LOGIC[node.call.step], left, right)
        if node.call.step not in COMPARISONS:
            operand = self._number(node, here)
            return self._write(WORDS, words.NONZERO, operand, operand)
        left, right = (self._number(x, here) for x in node.call.inputs)
        if left[0] == right[0] == LEVEL:
            right = self._flat(node.call.inputs[1], right)
        return self._write(WORDS, COMPARISONS[node.call.step], left, right)

    def _number(self, root: Node, here: dict[Node, Operand]) -> Operand:
        for node in ordered(root, self._arithmetic_below):
            below = self._arithmetic_below(node)
            if node in here:
                continue
            if not below:
                here[node] = self._read(LEVEL if isinstance(node, Level) else COLUMN, node)
                continue
            assert isinstance(node, Out)
            scaled = self._scaled(node)
            if scaled is not None:
                base, column, level = scaled
                place = self._read(LEVEL, level)[1]
                here[node] = self._write(NUMBER, SCALED[node.call.step], here[base], here[column], place)
                continue
            sides = [self._flat(x, here[x]) if here[x][0] == LEVEL else here[x] for x in below]
            here[node] = self._write(NUMBER, POINTWISE[node.call.step], sides[0], sides[-1])
        return here[root]

    def _flat(self, node: Node, level: Operand) -> Operand:
        """Return a level as a NUMBER: the same value at every bar of a tile."""
        if node not in self.flats:
            self.flats[node] = self._write(NUMBER, words.FLAT, level, level)
        return self.flats[node]

    def _arithmetic_below(self, node: Node) -> Sequence[Node]:
        """Return what a node's step reads, nothing where the node is a column or a level."""
        scaled = self._scaled(node)
        if scaled is not None:
            return scaled[:2]
        return node.call.inputs if isinstance(node, Out) and self._is_step(node) else ()

    def _is_step(self, node: Node) -> bool:
        pointwise = isinstance(node, Out) and node.call.step in POINTWISE
        return pointwise and self.known.node(node).count > self.limit

    def _scaled(self, node: Node) -> tuple[Node, Node, Level] | None:
        """Return (base, column, level) of base + level * column and base - level * column, one step for two nodes."""
        if not (isinstance(node, Out) and node.call.step in SCALED and self._is_step(node)):
            return None
        base, product = node.call.inputs
        if isinstance(base, Level) or not (
            isinstance(product, Out) and product.call.step == "multiply" and self._is_step(product)
        ):
            return None
        left, right = product.call.inputs
        if isinstance(left, Level) == isinstance(right, Level):
            return None
        return (base, right, left) if isinstance(left, Level) else (base, left, right)  # type: ignore[return-value]

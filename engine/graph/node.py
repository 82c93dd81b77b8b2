"""Nodes: what expressions are made of, immutable and known by their digest; none can look at a later bar.

Every walk over nodes is a loop and visits each node once, so a graph may be deep and its parts shared.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from engine.graph.scalar import Fixed, Scalar
from parquet_store.errors import Usage

__all__ = [
    "FIELDS",
    "NEGATED",
    "Call",
    "Choice",
    "Field",
    "Level",
    "Node",
    "Out",
    "inputs_of",
    "negate",
    "ordered",
    "out",
]

FIELDS = ("open", "high", "low", "close", "volume")
# the step that is true where another is false and its inputs are known, and whether its inputs change places
NEGATED: dict[str, tuple[str, bool]] = {
    "less": ("less_equal", True),
    "less_equal": ("less", True),
    "equal": ("not_equal", False),
    "not_equal": ("equal", False),
    "both": ("either", False),
    "either": ("both", False),
}


class Node:
    """One immutable node; equal and hashed by digest."""

    __slots__ = ("digest", "opposite")
    digest: str
    opposite: Node | None  # its negation, once that has been asked for

    def __init__(self, *parts: object) -> None:
        text = repr((type(self).__name__, *(p.digest if isinstance(p, Node) else p for p in parts)))
        self.opposite = None
        self.digest = hashlib.sha256(text.encode()).hexdigest()[:32]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class Field(Node):
    """A field of the bar."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Level(Node):
    """A number that is the same on every bar; 1 and 0 serve as true and false."""

    __slots__ = ("scalar",)

    def __init__(self, value: Scalar) -> None:
        self.scalar = value
        super().__init__(value.key)


class Call(Node):
    """A step with its inputs and parameters; its values are reached through ``Out``."""

    __slots__ = ("inputs", "params", "step")

    def __init__(self, step: str, inputs: tuple[Node, ...], params: tuple[Scalar, ...]) -> None:
        self.step, self.inputs, self.params = step, inputs, params
        super().__init__(step, *inputs, *(p.key for p in params))


class Out(Node):
    """One output of a call."""

    __slots__ = ("call", "index")

    def __init__(self, made: Call, index: int) -> None:
        self.call, self.index = made, index
        super().__init__(made, index)


class Choice(Node):
    """One of two nodes, chosen when the parameters are known: ``then`` where the scalar is not 0."""

    __slots__ = ("otherwise", "scalar", "then")

    def __init__(self, value: Scalar, then: Node, otherwise: Node) -> None:
        self.scalar, self.then, self.otherwise = value, then, otherwise
        super().__init__(value.key, then, otherwise)


def out(step: str, inputs: tuple[Node, ...], params: tuple[Scalar, ...] = (), index: int = 0) -> Out:
    """Return the node of one output of a step."""
    return Out(Call(step, inputs, params), index)


def inputs_of(node: Node) -> Sequence[Node]:
    """Return what a node reads: both sides of a choice, the inputs of the step."""
    if isinstance(node, Choice):
        return node.then, node.otherwise
    return node.call.inputs if isinstance(node, Out) else ()


def ordered(root: Node, below: Callable[[Node], Sequence[Node]] = inputs_of) -> list[Node]:
    """Return a node and all that it reads, each once, what is read first."""
    done: dict[Node, None] = {}
    stack = [(root, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            done[node] = None
        elif node not in done:
            stack.append((node, True))
            stack += [(x, False) for x in reversed(below(node))]
    return list(done)


def negate(node: Node) -> Node:
    """Push a negation down to the comparisons, so that what is unknown stays false."""
    done: dict[Node, Node] = {}  # equal nodes may be different objects
    for part in ordered(node, _not_yet_negated):
        if part.opposite is None:
            part.opposite = _negated(part, done)
            part.opposite.opposite = part
        done[part] = part.opposite
    return done[node]


def _not_yet_negated(node: Node) -> Sequence[Node]:
    inner = isinstance(node, Out) and node.call.step in ("both", "either", "shift_condition")
    return inputs_of(node) if node.opposite is None and (inner or isinstance(node, Choice)) else ()


def _negated(node: Node, done: dict[Node, Node]) -> Node:
    if isinstance(node, Level):
        return Level(Fixed(0.0 if node.scalar.evaluate({}) else 1.0))
    if isinstance(node, Choice):
        return Choice(node.scalar, done[node.then], done[node.otherwise])
    if isinstance(node, Out) and node.call.step == "shift_condition":
        return out("shift_condition", (done[node.call.inputs[0]],), node.call.params)
    if isinstance(node, Out) and node.call.step in NEGATED:
        step, swapped = NEGATED[node.call.step]
        left, right = (done[x] if step in ("both", "either") else x for x in node.call.inputs)
        return out(step, (right, left) if swapped else (left, right))
    raise Usage("~ of something that is no comparison; compare a number first, as in ~(x > 0)")

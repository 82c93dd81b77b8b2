"""From drawn signals to one concrete shape: every switch decided, every constant condition folded away."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.graph.expression import Option, condition_node, number_node
from engine.graph.node import Call, Choice, Level, Node, Out, inputs_of, ordered
from engine.graph.scalar import Fixed, Scalar, scalar
from engine.graph.strategy import Signals, Size
from engine.kernels.step import find_step
from parquet_store.errors import Usage

__all__ = ["ROLES", "Shape", "resolve", "signals_digest", "steps_of", "switches"]

ROLES = ("entry", "exit", "short_entry", "short_exit", "stop", "target")
TRUE, FALSE = Level(Fixed(1.0)), Level(Fixed(0.0))


@dataclass(frozen=True)
class Shape:
    """Signals without switches: nodes by role, and what is not a node."""

    nodes: dict[str, Node]
    trailing: Scalar
    max_hold: Scalar
    size: Size


def parts(signals: Signals) -> Iterator[Option | Node]:
    """Yield every option and every node of the signals once, both sides of each choice."""
    seen: set[Node] = set()
    queue: list[Any] = [getattr(signals, role) for role in (*ROLES, "trailing", "max_hold", "size")]
    while queue:
        item = queue.pop()
        if isinstance(item, Option):
            yield item
            queue += [item.then, item.otherwise]
        node = item if isinstance(item, Node) else condition_node(item) or number_node(item)
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        queue += inputs_of(node)


def switches(signals: Signals) -> dict[str, Scalar]:
    """Return every scalar a switch depends on, by key."""
    found = {item.scalar.key: item.scalar for item in parts(signals) if isinstance(item, Option | Choice)}
    return dict(sorted(found.items()))


def steps_of(signals: Signals) -> dict[str, str]:
    """Return the digest of every step the signals can use, by name."""
    names = {item.call.step for item in parts(signals) if isinstance(item, Out)}
    return {name: find_step(name).digest for name in sorted(names)}


def signals_digest(signals: Signals) -> str:
    """Return the SHA-256 of everything the signals say, steps by name."""

    def said(item: Any) -> Any:
        if isinstance(item, Option):
            return "when", item.scalar.key, said(item.then), said(item.otherwise)
        if isinstance(item, Size):
            return "size", item.kind, [(name, value.key) for name, value in item.numbers]
        node = condition_node(item) or number_node(item)
        return repr(item) if node is None else node.digest

    told = [(role, said(getattr(signals, role))) for role in (*ROLES, "trailing", "max_hold", "size")]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def resolve(signals: Signals, is_on: Callable[[Scalar], bool]) -> Shape:
    """Return the shape the signals have when ``is_on`` answers each switch.

    Raises
    ------
    Usage
        A field of the signals is neither a condition, a number nor a size, as its role asks.
    """
    done: dict[Node, Node] = {}

    def taken(node: Node) -> Sequence[Node]:
        if isinstance(node, Choice):
            return (node.then if is_on(node.scalar) else node.otherwise,)
        return inputs_of(node)

    def chosen(item: Any) -> Any:
        while isinstance(item, Option):
            item = item.then if is_on(item.scalar) else item.otherwise
        return item

    nodes: dict[str, Node] = {}
    for role in ROLES:
        item = chosen(getattr(signals, role))
        distance = role in ("stop", "target")
        if distance and item is None:
            continue
        node = (number_node if distance else condition_node)(item)
        if node is None:
            raise Usage(f"signals: {role} is {item!r}, expected a {'number' if distance else 'condition'}")
        for part in ordered(node, taken):
            if part not in done:
                done[part] = _rebuilt(part, [done[x] for x in taken(part)])
        nodes[role] = done[node]
    size = chosen(signals.size)
    if not isinstance(size, Size | None):
        raise Usage(f"signals: size is {size!r}, expected Size.all_in(), Size.kelly(), ...")
    rules = []
    for name, expected in (("trailing", "True, False or a parameter"), ("max_hold", "a number of bars or a parameter")):
        item = chosen(getattr(signals, name))
        if not isinstance(item, Scalar | int | float):
            raise Usage(f"signals: {name} is {item!r}, expected {expected}")
        rules.append(scalar(item))
    return Shape(nodes, rules[0], rules[1], size or Size.all_in())


def _rebuilt(node: Node, inputs: Sequence[Node]) -> Node:
    if isinstance(node, Choice):
        return inputs[0]
    if not isinstance(node, Out):
        return node
    folded = None
    if node.call.step == "both":
        folded = _fold(inputs, neutral=TRUE, decides=FALSE)
    elif node.call.step == "either":
        folded = _fold(inputs, neutral=FALSE, decides=TRUE)
    return folded or Out(Call(node.call.step, tuple(inputs), node.call.params), node.index)


def _fold(inputs: Sequence[Node], neutral: Node, decides: Node) -> Node | None:
    left, right = inputs
    if decides in inputs:
        return decides
    if left == neutral:
        return right
    return left if right in (neutral, left) else None

"""Expressions over bars: what the operators and indicators of a strategy build.

A node is immutable and known by its digest; no node can look at a later bar.  ``Number`` and ``Condition`` are the
two faces a strategy works with; both hold a node.
"""

from __future__ import annotations

import hashlib
from typing import Any, NoReturn

import numpy as np

from engine.graph.scalar import Fixed, Scalar, scalar
from engine.kernels.step import find_step
from parquet_store.errors import Usage

__all__ = [
    "FIELDS",
    "Bar",
    "Call",
    "Choice",
    "Condition",
    "Field",
    "Level",
    "Node",
    "Number",
    "Option",
    "Out",
    "call",
    "when",
]

FIELDS = ("open", "high", "low", "close", "volume")


class Node:
    """One immutable node; equal and hashed by digest."""

    __slots__ = ("digest",)

    def __init__(self, *parts: object) -> None:
        text = repr((type(self).__name__, *(p.digest if isinstance(p, Node) else p for p in parts)))
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


class Option:
    """A choice between things that are no nodes: a stop or none, one size rule or another."""

    def __init__(self, value: Scalar, then: Any, otherwise: Any) -> None:
        self.scalar, self.then, self.otherwise = value, then, otherwise


class Expression:
    """What both faces share: no truth, no iteration, identity by digest of the node."""

    __slots__ = ("node",)
    __hash__ = object.__hash__

    def __init__(self, node: Node) -> None:
        self.node = node

    def _refuse(self, what: str) -> NoReturn:
        raise Usage(
            f"{what} of a {type(self).__name__.lower()}: a graph is built once, before any bar is known; "
            "combine conditions with & | ~ and choose between numbers with ta.where(condition, a, b)"
        )

    def __bool__(self) -> NoReturn:
        self._refuse("the truth")

    def __int__(self) -> NoReturn:
        self._refuse("the whole number")

    def __float__(self) -> NoReturn:
        self._refuse("the value")

    def __iter__(self) -> NoReturn:
        self._refuse("the iteration")

    def __len__(self) -> NoReturn:
        self._refuse("the length")


Operand = Any  # Number, Scalar or a plain number; the dunder methods answer NotImplemented for anything else


def number_node(value: Operand) -> Node | None:
    """Return the node of a number, a parameter or a plain number, None for anything else."""
    if isinstance(value, Number):
        return value.node
    if isinstance(value, bool):
        return None
    if isinstance(value, Scalar | int | float | np.number):
        return Level(scalar(value))
    return None


def out(step: str, inputs: tuple[Node, ...], params: tuple[Scalar, ...] = (), index: int = 0) -> Out:
    """Return the node of one output of a step."""
    return Out(Call(step, inputs, params), index)


class Number(Expression):
    """A number a bar; NaN is unknown."""

    __slots__ = ()

    def _with(self, step: str, other: Operand, swapped: bool = False) -> Any:
        node = number_node(other)
        if node is None:
            return NotImplemented
        pair = (node, self.node) if swapped else (self.node, node)
        face = Condition if step in NEGATED else Number
        return face(out(step, pair))

    def __add__(self, other: Operand) -> Number:
        return self._with("add", other)

    def __radd__(self, other: Operand) -> Number:
        return self._with("add", other, True)

    def __sub__(self, other: Operand) -> Number:
        return self._with("subtract", other)

    def __rsub__(self, other: Operand) -> Number:
        return self._with("subtract", other, True)

    def __mul__(self, other: Operand) -> Number:
        return self._with("multiply", other)

    def __rmul__(self, other: Operand) -> Number:
        return self._with("multiply", other, True)

    def __truediv__(self, other: Operand) -> Number:
        return self._with("divide", other)

    def __rtruediv__(self, other: Operand) -> Number:
        return self._with("divide", other, True)

    def __neg__(self) -> Number:
        return Number(out("negate", (self.node,)))

    def __abs__(self) -> Number:
        return Number(out("absolute", (self.node,)))

    def __lt__(self, other: Operand) -> Condition:
        return self._with("less", other)

    def __gt__(self, other: Operand) -> Condition:
        return self._with("less", other, True)

    def __le__(self, other: Operand) -> Condition:
        return self._with("less_equal", other)

    def __ge__(self, other: Operand) -> Condition:
        return self._with("less_equal", other, True)

    def __eq__(self, other: Operand) -> Condition:  # type: ignore[override]
        return self._with("equal", other)

    def __ne__(self, other: Operand) -> Condition:  # type: ignore[override]
        return self._with("not_equal", other)

    __hash__ = object.__hash__

    def shift(self, length: int | Scalar) -> Number:
        """Return the value ``length`` bars ago, counted in bars present; a negative shift would look ahead."""
        if not isinstance(length, Scalar) and (isinstance(length, bool) or length != int(length) or length < 0):
            raise Usage(f"shift({length}): expected a whole number of bars, 0 or more; a later bar is never visible")
        if not isinstance(length, Scalar) and length == 0:
            return self
        if isinstance(self.node, Level):
            return self
        return Number(out("shift", (self.node,), (scalar(length),)))

    def crossed_above(self, other: Operand) -> Condition:
        """Return whether it is above ``other`` now and was at or below it a bar ago; false where one is unknown."""
        that = _number(other)
        return (self > that) & (self.shift(1) <= that.shift(1))

    def crossed_below(self, other: Operand) -> Condition:
        """Return whether it is below ``other`` now and was at or above it a bar ago; false where one is unknown."""
        that = _number(other)
        return (self < that) & (self.shift(1) >= that.shift(1))


NEGATED: dict[str, tuple[str, bool]] = {
    "less": ("less_equal", True),
    "less_equal": ("less", True),
    "equal": ("not_equal", False),
    "not_equal": ("equal", False),
    "both": ("either", False),
    "either": ("both", False),
}


def negate(node: Node) -> Node:
    """Push a negation down to the comparisons, so that what is unknown stays false."""
    if isinstance(node, Level):
        return Level(Fixed(0.0 if node.scalar.evaluate({}) else 1.0))
    if isinstance(node, Choice):
        return Choice(node.scalar, negate(node.then), negate(node.otherwise))
    if isinstance(node, Out) and node.call.step == "shift_condition":
        return out("shift_condition", (negate(node.call.inputs[0]),), node.call.params)
    if isinstance(node, Out) and node.call.step in NEGATED:
        step, swapped = NEGATED[node.call.step]
        left, right = node.call.inputs
        if node.call.step in ("both", "either"):
            left, right = negate(left), negate(right)
        return out(step, (right, left) if swapped else (left, right))
    raise Usage("~ of something that is no comparison; compare a number first, as in ~(x > 0)")


class Condition(Expression):
    """True or false a bar; what is unknown is false."""

    __slots__ = ()

    def _with(self, step: str, other: Any) -> Any:
        node = condition_node(other)
        return NotImplemented if node is None else Condition(out(step, (self.node, node)))

    def __and__(self, other: Condition | bool) -> Condition:
        return self._with("both", other)

    def __or__(self, other: Condition | bool) -> Condition:
        return self._with("either", other)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Condition:
        return Condition(negate(self.node))

    def shift(self, length: int | Scalar) -> Condition:
        """Return the condition ``length`` bars ago; false for the first ``length`` bars."""
        if not isinstance(length, Scalar) and (isinstance(length, bool) or length != int(length) or length < 0):
            raise Usage(f"shift({length}): expected a whole number of bars, 0 or more; a later bar is never visible")
        if isinstance(self.node, Level) or (not isinstance(length, Scalar) and length == 0):
            return self
        return Condition(out("shift_condition", (self.node,), (scalar(length),)))


def condition_node(value: Any) -> Node | None:
    """Return the node of a condition or of True and False, None for anything else."""
    if isinstance(value, Condition):
        return value.node
    return Level(Fixed(float(value))) if isinstance(value, bool) else None


def _number(value: Operand) -> Number:
    node = number_node(value)
    if node is None:
        raise Usage(f"found {value!r}, expected a number of the bar, a parameter or a plain number")
    return Number(node)


def when(value: Scalar, then: Any, otherwise: Any = None) -> Any:
    """Return ``then`` where the parameter is not 0, else ``otherwise``; decided when the parameters are known.

    The part that is not taken is not computed at all.  Both sides are numbers, conditions (or True and False),
    or anything a field of ``Signals`` takes (a stop or None, a size rule).
    """
    if not isinstance(value, Scalar):
        raise Usage(f"when({value!r}, ...): expected a parameter or arithmetic on parameters")
    for face, node in ((Condition, condition_node), (Number, number_node)):
        if isinstance(then, face) or isinstance(otherwise, face):
            left, right = node(then), node(otherwise)
            if left is not None and right is not None:
                return face(Choice(value, left, right))
    return Option(value, then, otherwise)


def call(step: str, inputs: tuple[Operand, ...], params: dict[str, Scalar | float] | None = None) -> tuple[Number, ...]:
    """Return the outputs of a step as numbers.

    Parameters
    ----------
    step : str
        Its name; a typo answers with the nearest one.
    inputs : tuple
        Numbers, parameters or plain numbers, as many as the step takes.
    params : dict
        A value for each parameter of the step, by name.

    Raises
    ------
    Usage
        Unknown step, wrong number of inputs, a missing or unknown parameter.
    """
    made = find_step(step)
    given = params or {}
    if len(inputs) != len(made.inputs):
        raise Usage(f"{step}: got {len(inputs)} inputs, expected {len(made.inputs)}: {', '.join(made.inputs)}")
    if set(given) != set(made.params):
        raise Usage(f"{step}: got parameters {sorted(given)}, expected {sorted(made.params)}")
    nodes = tuple(_number(x).node for x in inputs)
    settings = tuple(scalar(given[name]) for name in made.params)
    made.check([s.value if isinstance(s, Fixed) else 1.0 for s in settings])
    one = Call(step, nodes, settings)
    return tuple(Number(Out(one, k)) for k in range(len(made.outputs)))


class Bar:
    """The closed bar as a strategy sees it: five numbers."""

    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number

    def __init__(self) -> None:
        for name in FIELDS:
            setattr(self, name, Number(Field(name)))

    @property
    def typical(self) -> Number:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3.0

"""Expressions over bars: what the operators and indicators of a strategy build.

``Number`` and ``Condition`` are the two faces a strategy works with; both hold a node.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from engine.graph.node import FIELDS, Call, Choice, Field, Level, Node, Out, negate, out
from engine.graph.scalar import Fixed, Param, Scalar, scalar
from engine.kernels.step import find_step
from parquet_store.errors import Usage, unknown

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


class Option:
    """A choice between things that are no nodes: a stop or none, one size rule or another."""

    def __init__(self, value: Scalar, then: Any, otherwise: Any) -> None:
        self.scalar, self.then, self.otherwise = value, then, otherwise


class Expression:
    """What both faces share: a node, no truth, no iteration."""

    __slots__ = ("node",)
    __hash__ = object.__hash__
    __array_ufunc__ = None  # numpy's numbers leave the operation to us

    def __init__(self, node: Node) -> None:
        self.node = node

    def _refused(self, what: str) -> Usage:
        return Usage(
            f"{what} of a {type(self).__name__.lower()}: a graph is built once, before any bar is known; "
            "combine conditions with & | ~ and choose between numbers with ta.where(condition, a, b)"
        )

    def __bool__(self) -> NoReturn:
        raise self._refused("the truth")

    def __int__(self) -> NoReturn:
        raise self._refused("the whole number")

    def __float__(self) -> NoReturn:
        raise self._refused("the value")

    def __iter__(self) -> NoReturn:
        raise self._refused("the iteration")

    def __len__(self) -> NoReturn:
        raise self._refused("the length")


Operand = Any  # Number, Scalar or a plain number; the dunder methods answer NotImplemented for anything else


def number_node(value: Operand) -> Node | None:
    """Return the node of a number, a parameter or a plain number, None for anything else."""
    if isinstance(value, Number):
        return value.node
    if isinstance(value, bool):
        return None
    if isinstance(value, Scalar):
        return Level(value)
    if isinstance(value, int | float | np.number):
        return Level(scalar(float(value)))
    return None


class Number(Expression):
    """A number a bar; NaN is unknown."""

    __slots__ = ()

    def _pair(self, other: Operand, swapped: bool) -> tuple[Node, Node] | None:
        node = number_node(other)
        if node is None:
            return None
        return (node, self.node) if swapped else (self.node, node)

    def _number(self, step: str, other: Operand, swapped: bool = False) -> Number:
        pair = self._pair(other, swapped)
        return NotImplemented if pair is None else Number(out(step, pair))

    def _condition(self, step: str, other: Operand, swapped: bool = False) -> Condition:
        pair = self._pair(other, swapped)
        return NotImplemented if pair is None else Condition(out(step, pair))

    def __add__(self, other: Operand) -> Number:
        return self._number("add", other)

    def __radd__(self, other: Operand) -> Number:
        return self._number("add", other, True)

    def __sub__(self, other: Operand) -> Number:
        return self._number("subtract", other)

    def __rsub__(self, other: Operand) -> Number:
        return self._number("subtract", other, True)

    def __mul__(self, other: Operand) -> Number:
        return self._number("multiply", other)

    def __rmul__(self, other: Operand) -> Number:
        return self._number("multiply", other, True)

    def __truediv__(self, other: Operand) -> Number:
        return self._number("divide", other)

    def __rtruediv__(self, other: Operand) -> Number:
        return self._number("divide", other, True)

    def __neg__(self) -> Number:
        return Number(out("negate", (self.node,)))

    def __abs__(self) -> Number:
        return Number(out("absolute", (self.node,)))

    def __lt__(self, other: Operand) -> Condition:
        return self._condition("less", other)

    def __gt__(self, other: Operand) -> Condition:
        return self._condition("less", other, True)

    def __le__(self, other: Operand) -> Condition:
        return self._condition("less_equal", other)

    def __ge__(self, other: Operand) -> Condition:
        return self._condition("less_equal", other, True)

    def __eq__(self, other: Operand) -> Condition:  # type: ignore[override]
        return self._condition("equal", other)

    def __ne__(self, other: Operand) -> Condition:  # type: ignore[override]
        return self._condition("not_equal", other)

    __hash__ = object.__hash__

    def shift(self, length: int | Scalar) -> Number:
        """Return the value ``length`` bars ago, counted in bars present; a negative shift would look ahead."""
        return Number(shifted("shift", self.node, length))

    def crossed_above(self, other: Operand) -> Condition:
        """Return whether it is above ``other`` now and was at or below it a bar ago; false where one is unknown."""
        that = as_number(other)
        return (self > that) & (self.shift(1) <= that.shift(1))

    def crossed_below(self, other: Operand) -> Condition:
        """Return whether it is below ``other`` now and was at or above it a bar ago; false where one is unknown."""
        that = as_number(other)
        return (self < that) & (self.shift(1) >= that.shift(1))


class Condition(Expression):
    """True or false a bar; what is unknown is false."""

    __slots__ = ()

    def _with(self, step: str, other: Any) -> Condition:
        node = condition_node(other)
        return NotImplemented if node is None else Condition(out(step, (self.node, node)))

    def __and__(self, other: Condition | bool) -> Condition:
        return self._with("both", other)

    def __or__(self, other: Condition | bool) -> Condition:
        return self._with("either", other)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Condition:
        return Condition(negate(self.node))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Condition | bool):
            raise Usage("== of conditions: combine them with & | ~, as in (a & b) | (~a & ~b)")
        return NotImplemented

    __ne__ = __eq__
    __hash__ = object.__hash__

    def shift(self, length: int | Scalar) -> Condition:
        """Return the condition ``length`` bars ago; false for the first ``length`` bars."""
        return Condition(shifted("shift_condition", self.node, length))


def shifted(step: str, node: Node, length: int | Scalar) -> Node:
    """Return a node ``length`` bars ago; 0 is the node itself, also where a parameter comes out as 0."""
    if isinstance(length, Scalar):
        bars = length
    elif isinstance(length, bool) or not isinstance(length, int | float | np.number) or not 0 <= length == length // 1:
        raise Usage(f"shift({length!r}): expected a whole number of bars, 0 or more; a later bar is never visible")
    else:
        bars = scalar(length)
    if isinstance(node, Level) or (isinstance(bars, Fixed) and bars.value == 0.0):
        return node
    earlier = out(step, (node,), (bars,))
    never_zero = isinstance(bars, Fixed) or (isinstance(bars, Param) and bars.low > 0.0 and not bars.off)
    return earlier if never_zero else Choice(bars, earlier, node)


def condition_node(value: Any) -> Node | None:
    """Return the node of a condition or of True and False, None for anything else."""
    if isinstance(value, Condition):
        return value.node
    return Level(Fixed(float(value))) if isinstance(value, bool) else None


def as_number(value: Operand) -> Number:
    """Return a number of the bar, a parameter or a plain number as a number of the bar.

    Raises
    ------
    Usage
        It is something else.
    """
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
    for name in given:
        if name not in made.params:
            raise unknown(f"parameter of {step}", name, made.params)
    missing = [name for name in made.params if name not in given]
    if missing:
        raise Usage(f"{step}: {', '.join(missing)} not given; parameters go by name, as in {missing[0]}=14")
    nodes = tuple(as_number(x).node for x in inputs)
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

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unknown("field of the bar", name, (*FIELDS, "typical"))

    @property
    def typical(self) -> Number:
        """(high + low + close) / 3."""
        return (self.high + self.low + self.close) / 3.0

"""Parameters and arithmetic on them: numbers that are known when a graph becomes a program, not before."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from parquet_store.errors import Usage, unknown

__all__ = ["Arithmetic", "Fixed", "Param", "Scalar", "scalar", "tidy"]

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.true_divide,  # by 0: infinity or NaN, which the place that uses it refuses with its name
    "//": np.floor_divide,
}


def tidy(value: float) -> float | int:
    """Return a whole float as an int, so that 14 and 14.0 are one text."""
    number = float(value)
    return int(number) if math.isfinite(number) and number == math.floor(number) and abs(number) < 2**53 else number


class Scalar:
    """A number of the strategy, not of the bar; arithmetic is kept and evaluated when the parameters are known."""

    key: str
    __hash__ = object.__hash__
    __array_ufunc__ = None  # numpy's numbers leave the operation to us

    def names(self) -> frozenset[str]:
        """Return the names of the parameters it depends on."""
        raise NotImplementedError

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Return its value; ``values`` holds a float, or an array of them, for each parameter."""
        raise NotImplementedError

    def _arithmetic(self, symbol: str, other: object, swapped: bool = False) -> Any:
        if isinstance(other, bool) or not isinstance(other, Scalar | int | float | np.number):
            return NotImplemented
        that = other if isinstance(other, Scalar) else scalar(float(other))
        pair = (that, self) if swapped else (self, that)
        return Arithmetic(symbol, *pair)

    def __add__(self, other: object) -> Any:
        return self._arithmetic("+", other)

    def __radd__(self, other: object) -> Any:
        return self._arithmetic("+", other, True)

    def __sub__(self, other: object) -> Any:
        return self._arithmetic("-", other)

    def __rsub__(self, other: object) -> Any:
        return self._arithmetic("-", other, True)

    def __mul__(self, other: object) -> Any:
        return self._arithmetic("*", other)

    def __rmul__(self, other: object) -> Any:
        return self._arithmetic("*", other, True)

    def __truediv__(self, other: object) -> Any:
        return self._arithmetic("/", other)

    def __rtruediv__(self, other: object) -> Any:
        return self._arithmetic("/", other, True)

    def __floordiv__(self, other: object) -> Any:
        return self._arithmetic("//", other)

    def __rfloordiv__(self, other: object) -> Any:
        return self._arithmetic("//", other, True)

    def __neg__(self) -> Any:
        return self._arithmetic("-", 0.0, True)

    def _refused(self, what: str) -> Usage:
        return Usage(
            f"{what} of parameter expression {self.key}: its value is not known while the graph is built; "
            "use when(parameter, then, otherwise) for a switch, a sweep's constraint (--where 'fast < slow') for a "
            "rule between parameters"
        )

    def __bool__(self) -> NoReturn:
        raise self._refused("the truth")

    def __int__(self) -> NoReturn:
        raise self._refused("the whole number")

    def __float__(self) -> NoReturn:
        raise self._refused("the number")

    def __index__(self) -> NoReturn:
        raise self._refused("the index")

    def __iter__(self) -> NoReturn:
        raise self._refused("the iteration")

    def _compare(self, other: object) -> Any:
        if isinstance(other, Scalar | int | float | np.number):
            raise self._refused("a comparison")
        return NotImplemented

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _compare


class Fixed(Scalar):
    """A plain number among parameters."""

    def __init__(self, value: float) -> None:
        if not math.isfinite(value):
            raise Usage(f"a constant of the graph is {value}, expected a finite number")
        self.value = float(value) + 0.0
        self.key = repr(tidy(self.value))

    def names(self) -> frozenset[str]:
        return frozenset()

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        return self.value


class Arithmetic(Scalar):
    """An operation on two scalars."""

    def __init__(self, symbol: str, left: Scalar, right: Scalar) -> None:
        self.symbol, self.left, self.right = symbol, left, right
        self.key = f"({left.key} {symbol} {right.key})"
        self._names = left.names() | right.names()

    def names(self) -> frozenset[str]:
        return self._names

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        with np.errstate(all="ignore"):
            return OPERATORS[self.symbol](self.left.evaluate(values), self.right.evaluate(values))


class Param(Scalar):
    """A parameter of a strategy.

    Parameters
    ----------
    default : int or float
        An int makes it whole.
    low, high : float
        The bounds, both legal.
    off : bool
        Whether 0 is legal beside the bounds, meaning: this part of the strategy is switched off.
    """

    def __init__(self, default: float, *, low: float, high: float, off: bool = False) -> None:
        self.default, self.low, self.high, self.off = default, low, high, off
        self.whole = isinstance(default, int)
        self.name = self.key = "?"

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.key = name

    def names(self) -> frozenset[str]:
        return frozenset((self.name,))

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        if self.name not in values:
            raise unknown("parameter (one is an attribute of its strategy's class)", self.name, values)
        return values[self.name]

    @property
    def bounds(self) -> str:
        """The legal values in words."""
        kind = "a whole number" if self.whole else "a number"
        return f"{kind} from {self.low:g} to {self.high:g}" + (" (or 0: off)" if self.off else "")

    def check(self, value: float) -> float:
        """Return the value as a float, or say what is wrong with it.

        Raises
        ------
        Usage
            No number, not finite, outside the bounds, or not whole where it must be.
        """
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise Usage(f"parameter {self.name} = {value!r}: expected {self.bounds}") from None
        legal = self.low <= number <= self.high or (self.off and number == 0.0)
        if not legal or (self.whole and number != math.floor(number)):
            raise Usage(f"parameter {self.name} = {tidy(number)}: expected {self.bounds}")
        return number + 0.0


def scalar(value: Scalar | float) -> Scalar:
    """Return a number as a scalar."""
    return value if isinstance(value, Scalar) else Fixed(float(value))

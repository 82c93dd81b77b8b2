"""What a user writes: a class with parameters and one method that returns signals."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NoReturn

from engine.graph.expression import Bar, Condition, Number, Option
from engine.graph.scalar import Param, Scalar, scalar
from parquet_store.errors import LockstepError, Usage, unknown

__all__ = ["Signals", "Size", "Strategy"]

EXAMPLES = {"fraction": 0.5, "delta": 500, "unit": 0.02, "risk": 0.01, "cap": 0.25}
SIZES: dict[str, dict[str, float | None]] = {
    "all_in": {"fraction": 0.995},
    "fixed_fraction": {"fraction": None},
    "fixed_ratio": {"delta": None, "unit": None},
    "atr_risk": {"risk": None},
    "kelly": {"fraction": 0.5, "cap": 0.25},
}


@dataclass(frozen=True)
class Size:
    """How large an entry is: the name of the rule and its numbers, which may be parameters.

    ``all_in(fraction=0.995)`` of equity; ``fixed_fraction(fraction)`` of equity; ``fixed_ratio(delta, unit)``: n
    units of the base asset while delta * n * (n - 1) / 2 <= closed profit; ``atr_risk(risk)``: a fraction of equity
    lost if the stop is hit; ``kelly(fraction=0.5, cap=0.25)`` over the last 50 closed trades.
    """

    kind: str
    numbers: tuple[tuple[str, Scalar], ...]

    @classmethod
    def of(cls, kind: str, **numbers: Scalar | float) -> Size:
        """Return the rule, its numbers checked by name."""
        if kind not in SIZES:
            raise unknown("sizing", kind, SIZES)
        known = SIZES[kind]
        for name in numbers:
            if name not in known:
                raise unknown(f"number of sizing {kind}", name, known)
        missing = [name for name, default in known.items() if default is None and name not in numbers]
        if missing:
            example = ",".join(f"{name}={EXAMPLES[name]}" for name in known)
            raise Usage(f"sizing {kind}: {', '.join(missing)} not given, for example {kind}:{example}")
        return cls(kind, tuple((name, scalar(numbers.get(name, default))) for name, default in known.items()))  # type: ignore[arg-type]

    @classmethod
    def all_in(cls, fraction: Scalar | float = 0.995) -> Size:
        """All of the equity, less a margin for the move between decision and fill."""
        return cls.of("all_in", fraction=fraction)

    @classmethod
    def fixed_fraction(cls, fraction: Scalar | float) -> Size:
        """A fraction of the equity."""
        return cls.of("fixed_fraction", fraction=fraction)

    @classmethod
    def fixed_ratio(cls, delta: Scalar | float, unit: Scalar | float) -> Size:
        """Jones's fixed ratio: one unit more for each further ``delta`` of profit a unit has earned."""
        return cls.of("fixed_ratio", delta=delta, unit=unit)

    @classmethod
    def atr_risk(cls, risk: Scalar | float) -> Size:
        """Lose this fraction of the equity if the stop is hit."""
        return cls.of("atr_risk", risk=risk)

    @classmethod
    def kelly(cls, fraction: Scalar | float = 0.5, cap: Scalar | float = 0.25) -> Size:
        """A fraction of Kelly's bet over the last 50 closed trades, at most ``cap`` of the equity."""
        return cls.of("kelly", fraction=fraction, cap=cap)


@dataclass(frozen=True)
class Signals:
    """What a strategy wants at the close of each bar.

    Attributes
    ----------
    entry, exit : Condition
        Open and close a long position.
    short_entry, short_exit : Condition, optional
        The same for a short one.
    stop, target : Number, Option, optional
        Distance in quote currency from the fill price; NaN or <= 0 at the decision: no entry.
    trailing : bool or Scalar, Option
        Whether the stop follows the best price, as a fraction of it.
    max_hold : int or Scalar, Option
        Close at this many closes in the position; 0: never.
    size : Size or Option, optional
        The size rule; all in if not given.
    """

    entry: Condition | bool
    exit: Condition | bool = False
    short_entry: Condition | bool = False
    short_exit: Condition | bool = False
    stop: Number | Scalar | float | Option | None = None
    target: Number | Scalar | float | Option | None = None
    trailing: bool | Scalar | Option = False
    max_hold: int | Scalar | Option = 0
    size: Size | Option | None = None


class Strategy:
    """Base of all strategies: parameters as class attributes, and ``signals``."""

    params: ClassVar[dict[str, Param]] = {}
    name: ClassVar[str] = "strategy"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found: dict[str, Param] = {}
        for base in reversed(cls.__mro__):
            found |= {name: value for name, value in vars(base).items() if isinstance(value, Param)}
        cls.params = {name: param for name, param in found.items() if getattr(cls, name) is param}
        if "name" not in vars(cls):
            cls.name = "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")
        for name, param in cls.params.items():
            if name in vars(Strategy):
                raise Usage(f"strategy {cls.__name__}: a parameter cannot be named {name}; choose another name")
            param.check(param.default)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unknown(f"parameter of {self.name}", name, self.params)

    def signals(self, bar: Bar) -> Signals:
        """Return what to do at the close of ``bar``; called once, with symbols."""
        raise NotImplementedError

    @cached_property
    def drawn(self) -> Signals:
        """The signals as a graph."""
        try:
            made = self.signals(Bar())
        except LockstepError:
            raise
        except Exception as error:  # whatever a user's class raises
            at = traceback.extract_tb(error.__traceback__)[-1]
            raise Usage(
                f"strategy {self.name}: {type(error).__name__} in {at.filename}, line {at.lineno}: {error}"
            ) from error
        if not isinstance(made, Signals):
            raise Usage(f"strategy {self.name}: signals() returned {type(made).__name__}, expected Signals")
        return made

    @classmethod
    def param(cls, name: str) -> Param:
        """Return a parameter by name, or the error with the nearest one."""
        if name not in cls.params:
            raise unknown(f"parameter of {cls.name}", name, cls.params)
        return cls.params[name]

    @classmethod
    def values(cls, given: Mapping[str, float] | None = None) -> dict[str, float]:
        """Return a value for every parameter: the given ones, checked, and the defaults."""
        for name in given or {}:
            cls.param(name)
        return {name: p.check((given or {}).get(name, p.default)) for name, p in cls.params.items()}

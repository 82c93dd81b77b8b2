"""What a step is: one indicator, written once as a pure scalar function, and everything the drivers must know of it.

A step advances by one closed bar: ``step(state, [ring], [anchor], inputs..., *, parameters...) -> (state, outputs)``.
Positional arguments are inputs (one number a bar), keyword-only arguments are parameters (``: int`` = a whole
number, at least 1).  ``ring`` asks for a window of memory, ``anchor`` is true on the bars where rolling sums start
afresh.  A step keeps no other memory, cannot see a later bar, and cannot raise: unknown is NaN.
"""

from __future__ import annotations

import functools
import inspect
import math
import types as python_types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.jit import inlined
from engine.kernels.digest import meaning, source_of
from engine.kernels.plain import plain
from parquet_store.errors import Usage, unknown

__all__ = ["STEPS", "Step", "find_step", "plain_call", "step"]

LONGEST = 1_000_000
STEPS: dict[str, Step] = {}


@dataclass(frozen=True, eq=False)
class Step:
    """One indicator, ready for the drivers.

    Attributes
    ----------
    name : str
        ``"rsi"`` for the engine's own, ``"module:function"`` for a user's.
    function : callable
        The plain Python function, all arguments positional.
    inputs, outputs, params : tuple of str
        Names, in the order of the call.
    whole : tuple of bool
        For each parameter, whether it must be a whole number of at least 1.
    state : tuple of float
        The state before the first bar.
    counts : tuple of bool
        For each place of the state, whether the function takes and returns a whole number there (int64 when compiled).
    settled : callable or None
        Compiled: from the state and the parameters to whether the step is past its warm-up for good.
    block : callable or None
        Compiled: the step over many calm bars at once.
    ring : callable or None
        From the parameters to the number of float64 the step's window needs.
    has_ring, has_anchor : bool
        Whether the function takes them.
    sees_unknown : bool
        False: the driver answers NaN for a NaN input and leaves the state alone.  True: the step sees the NaN.
    compiled : callable
        The function for the drivers, inlined into them.
    told : callable
        Returns the digest; reading sources takes milliseconds, and most commands use few steps.
    original : callable
        The function as it was written.
    """

    name: str
    function: Callable[..., Any]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: tuple[str, ...]
    whole: tuple[bool, ...]
    state: tuple[float, ...]
    counts: tuple[bool, ...]
    settled: Any
    block: Any
    ring: Callable[..., int] | None
    has_ring: bool
    has_anchor: bool
    sees_unknown: bool
    compiled: Any = field(repr=False)
    told: Callable[[], str] = field(repr=False)
    original: Callable[..., Any] = field(repr=False)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the step's syntax tree, of the functions it calls, of its ring size, of the compiler flags."""
        return self.told()

    @functools.cached_property
    def source(self) -> str:
        """The text of the function."""
        return source_of(self.original)

    def check(self, values: Sequence[float]) -> tuple[float, ...]:
        """Return the parameters as floats, or say which one is out of range.

        Raises
        ------
        Usage
            A parameter is missing, no number or not finite, or a length is no whole number from 1 to 1,000,000.
        """
        if len(values) != len(self.params):
            raise Usage(f"{self.name}: got {len(values)} parameters, expected {', '.join(self.params) or 'none'}")
        out = []
        for name, whole, value in zip(self.params, self.whole, values, strict=True):
            try:
                number = float(value)
            except (TypeError, ValueError):
                raise Usage(f"{self.name}: {name} is {value!r}, expected a number") from None
            if not math.isfinite(number):
                raise Usage(f"{self.name}: {name} is {number}, expected a finite number")
            if whole and (number != math.floor(number) or not 1 <= number <= LONGEST):
                raise Usage(f"{self.name}: {name} is {number:g}, expected a whole number from 1 to {LONGEST:,}")
            out.append(number)
        return tuple(out)

    def ring_size(self, values: Sequence[float]) -> int:
        """Return how many float64 the window takes with these parameters."""
        if self.ring is None:
            return 0
        size = self.ring(*(int(v) if w else v for v, w in zip(values, self.whole, strict=True)))
        if size != int(size) or size < 0:
            raise Usage(f"{self.name}: its ring takes {size!r} numbers with {tuple(values)}, expected a count")
        return int(size)


def step(
    *,
    outputs: tuple[str, ...],
    state: tuple[float, ...] = (),
    counts: tuple[int, ...] = (),
    settled: Callable[..., bool] | None = None,
    block: Callable[..., Any] | None = None,
    ring: Callable[..., int] | None = None,
    sees_unknown: bool = False,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], Step]:
    """Declare a step; see the module's first lines for the form of the function.

    Parameters
    ----------
    outputs : tuple of str
        Names of what the function returns beside its state: a float for one name, a tuple for several.
    state : tuple of float
        The state before the first bar; the function returns a tuple of the same length.
    counts : tuple of int, optional
        Places of the state, from 0, that hold whole numbers: counts and positions, faster than floats as an index.
    settled : callable, optional
        From the state and the parameters, in order, to whether the warm-up is over.  Once true it must stay true: the
        compiler then leaves the warm-up out of the loop over history.  It cannot change a result.
    block : callable, optional
        ``block(state, [ring], count, inputs..., outputs..., room, parameters...) -> (state, done)``: the step over up
        to ``count`` bars after the warm-up and without an anchor; inputs, outputs and 4 x 512 float64 of room are
        addresses.  It must give the bits of the step, canonical (NaN for infinite, 0.0 for -0.0), and stop before an
        unknown bar and any other it does not handle; a few bars later it is called again.
    ring : callable, optional
        From the parameters, in order, to the number of float64 the window needs.
    sees_unknown : bool
        Whether the function wants to be called with NaN inputs.
    name : str, optional
        Another name than the function's own, which is taken without ``_step``.  Outside the engine the module stands
        before it: ``module:name``.

    Raises
    ------
    Usage
        The function's arguments do not have the form above, or another module has a step of that name.
    """

    def register(function: Callable[..., Any]) -> Step:
        made = _make(function, outputs, state, counts, settled, block, ring, sees_unknown, name)
        other = STEPS.get(made.name)
        if other is not None and other.function.__module__ != function.__module__:
            raise Usage(f"{made.name}: {other.function.__module__} has a step of that name; choose another")
        STEPS[made.name] = made
        return made

    return register


def find_step(name: str) -> Step:
    """Return the registered step, or the error with the nearest name."""
    if name not in STEPS:
        raise unknown("step", name, STEPS)
    return STEPS[name]


def _make(
    function: Callable[..., Any],
    outputs: tuple[str, ...],
    state: tuple[float, ...],
    counts: tuple[int, ...],
    settled: Callable[..., bool] | None,
    block: Callable[..., Any] | None,
    ring: Callable[..., int] | None,
    sees_unknown: bool,
    name: str | None,
) -> Step:
    arguments = inspect.signature(function).parameters.values()
    positional = [a.name for a in arguments if a.kind is a.POSITIONAL_OR_KEYWORD]
    keyword = [a for a in arguments if a.kind is a.KEYWORD_ONLY]
    has_ring, has_anchor = "ring" in positional, "anchor" in positional
    head = ["state"] + ["ring"] * has_ring + ["anchor"] * has_anchor
    where = f"{function.__module__}.{function.__qualname__}"
    if len(positional) + len(keyword) != len(arguments) or positional[: len(head)] != head:
        raise Usage(f"{where}: a step's arguments are state, [ring], [anchor], inputs..., *, parameters...")
    if has_ring != (ring is not None):
        raise Usage(f"{where}: argument `ring` and `ring=` of the decorator go together; one of them is missing")
    if not outputs or len(set(outputs)) != len(outputs):
        raise Usage(f"{where}: outputs is {outputs!r}, expected one or more different names")
    if any(not 0 <= k < len(state) or state[k] != int(state[k]) for k in counts):
        raise Usage(f"{where}: counts is {counts!r}, expected places of the state {state!r} that hold whole numbers")
    inputs = tuple(positional[len(head) :])
    if not inputs:
        raise Usage(f"{where}: a step needs at least one input before the *")
    flat = _all_positional(function)
    own = (function.__module__ or "").startswith("engine.")
    label = name or function.__name__.removesuffix("_step" if own else "")
    declared: tuple[Any, ...] = (
        outputs,
        state,
        inputs,
        tuple((k.name, k.annotation in (int, "int")) for k in keyword),
        sees_unknown,
    )
    if counts:
        declared += (tuple(sorted(counts)),)
    made = Step(
        name=label if own else f"{function.__module__}:{label}",
        function=flat,
        inputs=inputs,
        outputs=tuple(outputs),
        params=tuple(k.name for k in keyword),
        whole=tuple(k.annotation in (int, "int") for k in keyword),
        state=tuple(float(v) for v in state),
        counts=tuple(k in counts for k in range(len(state))),
        settled=settled and inlined(settled),
        block=block if block is None or hasattr(block, "py_func") else inlined(block),
        ring=ring,
        has_ring=has_ring,
        has_anchor=has_anchor,
        sees_unknown=sees_unknown,
        compiled=inlined(flat),
        told=lambda: meaning(function, {"ring": ring, "settled": settled, "block": block}, declared),
        original=function,
    )
    if not own:  # a user's file may change or vanish while the program runs: read it now, and say now what is wrong
        _ = made.digest, made.source
    return made


def _all_positional(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same function with its keyword-only arguments positional: compiled calls have no keywords."""
    code = function.__code__
    total = code.co_argcount + code.co_kwonlyargcount
    flat = python_types.FunctionType(
        code.replace(co_argcount=total, co_kwonlyargcount=0),
        function.__globals__,
        function.__name__,
        None,
        function.__closure__,
    )
    flat.__module__, flat.__qualname__, flat.__doc__ = function.__module__, function.__qualname__, function.__doc__
    return flat


@functools.cache
def _plain_function(step: Step) -> Callable[..., Any]:
    return plain(step.function)


def plain_call(step: Step, state: Sequence[float], ring: Any, anchor: bool, values: Sequence[float]) -> Any:
    """Call a step as plain Python, the functions it calls too.

    Parameters
    ----------
    step : Step
    state : sequence of float
    ring : ndarray of float64 or None
        Checked: an index outside it raises `IndexError`.
    anchor : bool
    values : sequence of float
        Inputs, then parameters.

    Returns
    -------
    tuple, float or tuple of float
        What the function returns; a division by zero gives infinity or NaN, as in compiled code.
    """
    known = tuple(int(v) if whole else np.float64(v) for v, whole in zip(state, step.counts, strict=True))
    head: list[Any] = [known] + [ring] * step.has_ring + [anchor] * step.has_anchor
    kinds = [False] * len(step.inputs) + list(step.whole)
    with np.errstate(all="ignore"):
        arguments = (int(v) if whole else np.float64(v) for v, whole in zip(values, kinds, strict=True))
        return _plain_function(step)(*head, *arguments)

"""How a function of another library becomes a number of the bar: read, told, tried, and registered as a step."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.graph.expression import FIELDS, Bar, Number, call
from engine.graph.foreign import ForeignStep, foreign_step
from engine.graph.scalar import Arithmetic, Param, Scalar, tidy
from engine.kernels.step import STEPS
from parquet_store.errors import Usage

__all__ = ["Floats", "Indicator", "Time", "adopted"]

Floats = NDArray[np.float64]
Time = NDArray[np.int64]
TRIED = (600, 6_000)  # bars of a trial; the second if the first were too few
HOUR = 3_600_000
Run = Callable[[Time, list[Floats], tuple[float, ...]], dict[str, Any]]
_OUTPUTS: dict[tuple[Any, ...], tuple[str, ...]] = {}


class Indicator(NamedTuple):
    """A function of another library: what it reads, what it can be told, how it is called.

    Attributes
    ----------
    library, name : str
    inputs : tuple of str
        Names of what it reads; those of fields (``open_`` too) are taken from the bar.
    whole : mapping of str to bool
        For parameters known to be numbers, whether they are whole.
    versions : str
        Of whatever its numbers depend on.
    call : callable
        From open times, inputs and all it is told to a column for each output by name; no column: too few bars.
    """

    library: str
    name: str
    inputs: tuple[str, ...]
    whole: Mapping[str, bool]
    versions: str
    call: Callable[[Time, list[Floats], dict[str, Any]], dict[str, Any]]


def adopted(made: Indicator, inputs: tuple[Bar | Number, ...], settings: dict[str, Any]) -> Any:
    """Return an indicator as a number of the bar, or as a named tuple of numbers if it has several outputs.

    Raises
    ------
    Usage
        It cannot read these inputs or be told these things, gives no columns, or looks ahead on made bars.
    """
    numbers: dict[str, Any] = {
        key: value
        for key, value in settings.items()
        if isinstance(value, Scalar | int | float | np.number) and not isinstance(value, bool)
    }
    fixed = {key: value for key, value in settings.items() if key not in numbers}
    for key, value in fixed.items():
        if not isinstance(value, str | bool | None):
            raise Usage(f"{made.library} {made.name}: {key} is {value!r}, expected a number, text, True, False or None")
    step = _step(made, tuple(numbers), fixed, tuple(_typical(value) for value in numbers.values()))
    found = call(step.name, _read(made, inputs), numbers)
    return found[0] if len(found) == 1 else namedtuple(made.name, step.outputs)(*found)


def _read(made: Indicator, inputs: tuple[Bar | Number, ...]) -> tuple[Number, ...]:
    """Return the numbers it reads: the fields of a bar by name, or those given."""
    found: list[Any] = []
    for item in inputs:
        if isinstance(item, Bar):
            reads = made.inputs[: len(made.inputs) - len(inputs) + 1]
            if strange := [key for key in reads if key.rstrip("_") not in FIELDS]:
                raise Usage(
                    f"{made.library} {made.name}: {', '.join(strange)} is no field of the bar; give a number for each "
                    f"of {', '.join(made.inputs)}"
                )
            found += [getattr(item, key.rstrip("_")) for key in reads]
        else:
            found.append(item)
    if len(found) != len(made.inputs):
        raise Usage(
            f"{made.library} {made.name}: got {len(found)} inputs, expected the bar or {', '.join(made.inputs)}"
        )
    return tuple(found)


def _step(made: Indicator, params: tuple[str, ...], fixed: dict[str, Any], typical: tuple[float, ...]) -> ForeignStep:
    """Return the step of an indicator that is told these things, tried with typical numbers."""
    name, title = f"{made.library}:{made.name}", f"{made.library} {made.name}"
    if fixed or params != tuple(made.whole):  # otherwise it is told all it can be
        name += f"({', '.join([*params, *(f'{key}={value!r}' for key, value in sorted(fixed.items()))])})"
    whole = tuple(made.whole.get(key, False) for key in params)

    def run(time: Time, inputs: list[Floats], values: tuple[float, ...]) -> dict[str, Any]:
        told = fixed | {key: _plain(value, made.whole.get(key)) for key, value in zip(params, values, strict=True)}
        try:
            return made.call(time, inputs, told)
        except Exception as error:  # whatever the library raises
            shown = ", ".join(f"{key}={value!r}" for key, value in told.items())
            raise Usage(f"{title} with {shown or 'no settings'}: {type(error).__name__}: {error}") from error

    key = name, made.inputs, made.versions, typical
    if key not in _OUTPUTS:
        _OUTPUTS[key] = _tried(title, made.inputs, run, typical)
    outputs = _OUTPUTS[key]

    least: dict[tuple[float, ...], int] = {}

    def compute(time: Time, inputs: list[Floats], values: tuple[float, ...]) -> list[Any]:
        found = run(time, inputs, values)
        if not found:
            return [np.full(time.size, np.nan) for _ in outputs]
        if values not in least:
            least[values] = _fewest(run, time, inputs, values)
        known = np.arange(time.size) >= least[values] - 1  # before, fewer bars alone would have given nothing
        return [np.where(known, np.asarray(column, np.float64), np.nan) for column in found.values()]

    before = STEPS.get(name)
    step = foreign_step(
        name, title, compute, inputs=made.inputs, outputs=outputs, params=params, whole=whole, versions=made.versions
    )
    if isinstance(before, ForeignStep) and before.digest == step.digest:  # the same: what it computed is still known
        STEPS[name] = before
        return before
    return step


def _fewest(run: Run, time: Time, inputs: list[Floats], values: tuple[float, ...]) -> int:
    """Return how many bars the library needs before it gives columns at all; those given are enough."""

    def enough(count: int) -> bool:
        return bool(run(time[:count], [column[:count] for column in inputs], values))

    low, high = 0, 1
    while high < time.size and not enough(high):
        low, high = high, min(2 * high, time.size)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _plain(value: float, whole: bool | None) -> float | int:
    """Return a number as the library wants it; a whole one as an int where nothing is known of it."""
    return tidy(value) if whole is None or whole else value


def _tried(title: str, reads: tuple[str, ...], run: Run, typical: tuple[float, ...]) -> tuple[str, ...]:
    """Return the names of the outputs over made bars; refuse what is no column, or another one on a cut history."""
    for bars in TRIED:
        time, columns = _made_bars(bars)
        inputs = [columns.get(key.rstrip("_"), columns["close"]) for key in reads]
        whole = run(time, inputs, typical)
        if whole:
            break
    if not whole or any(np.shape(column) != time.shape for column in whole.values()):
        raise Usage(f"{title}: gives no columns of one value a bar; it cannot be used in a strategy")
    for cut in (bars - 1, 2 * bars // 3):
        alone = run(time[:cut], [column[:cut] for column in inputs], typical)
        if alone and tuple(alone) != tuple(whole):
            raise Usage(f"{title}: gives {', '.join(alone)} on a part of the bars, {', '.join(whole)} on all of them")
        for output, column in alone.items():
            a, b = (np.asarray(x, np.float64)[:cut] for x in (whole[output], column))
            differ = np.flatnonzero(~np.isclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True))
            if differ.size:
                raise Usage(
                    f"{title} looks ahead: {output} at bar {differ[0]} of {bars} changes when the bars after {cut - 1} "
                    "are taken away; tell it not to (centered=False, include_chikou=False, ...) or use another"
                )
    return tuple(whole)


def _made_bars(count: int) -> tuple[Time, dict[str, Floats]]:
    """Return open times and fields of made bars: an hourly walk, the same every time."""
    random = np.random.default_rng(7)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, count)))
    open = np.concatenate(([100.0], close[:-1]))
    reach = np.abs(random.normal(0.0, 0.004, (2, count))) * close
    high, low = np.maximum(open, close) + reach[0], np.minimum(open, close) - reach[1]
    volume = random.lognormal(5.0, 1.0, count)
    time = 1_600_000_000_000 // HOUR * HOUR + HOUR * np.arange(count, dtype=np.int64)
    return time, dict(zip(FIELDS, (open, high, low, close, volume), strict=True))


def _typical(value: Any) -> float:
    """Return a number, or what an expression of parameters comes to at their defaults (what is off: at the least)."""
    if not isinstance(value, Scalar):
        return float(value)
    known: dict[str, float] = {}
    queue = [value]
    while queue:
        item = queue.pop()
        if isinstance(item, Arithmetic):
            queue += [item.left, item.right]
        elif isinstance(item, Param):
            known[item.name] = float(item.default or item.low)
    return float(value.evaluate(known))

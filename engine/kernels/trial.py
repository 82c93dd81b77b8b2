"""The trial of a new step: it must say the same compiled and as plain Python, inside its own memory.

Compiled code checks no index and raises nothing, so a mistake is looked for in plain Python first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.kernels.column import column, plain_column
from engine.kernels.step import Step, plain_call
from parquet_store.errors import Usage

__all__ = ["try_step"]

BARS = 300
FIRST_NUMBER = 900  # an anchor falls on bar 124
TRIALS = ((14, 0.5), (1, 0.05), (60, 2.0))  # whole and other parameters


def trial_bars() -> dict[str, NDArray[np.float64]]:
    """Return made bars: a trend, flat stretches, bars without range or volume, a few unknown values."""
    random = np.random.default_rng(20)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0, 0.01, BARS) * (random.random(BARS) < 0.8)))
    high = close * (1.0 + random.exponential(0.003, BARS) * (random.random(BARS) < 0.8))
    low = close * (1.0 - random.exponential(0.003, BARS) * (random.random(BARS) < 0.8))
    volume = random.exponential(5.0, BARS) * (random.random(BARS) < 0.9)
    bars = {"open": np.roll(close, 1), "high": high, "low": low, "close": close, "volume": volume}
    for values in bars.values():
        values[random.random(BARS) < 0.02] = np.nan
    return bars


def try_step(step: Step) -> None:
    """Run a step on made bars, in plain Python on checked memory and compiled, with several parameters.

    Inputs named like a bar's fields get that field, others the close.

    Raises
    ------
    Usage
        The step raises, reaches outside its ring, returns another state or other outputs than declared, cannot be
        compiled, or says something else when compiled.
    """
    bars = trial_bars()
    inputs = [bars.get(name, bars["close"]) for name in step.inputs]
    number = np.arange(FIRST_NUMBER, FIRST_NUMBER + BARS)
    for whole_value, other_value in TRIALS if step.params else TRIALS[:1]:
        params = tuple(float(whole_value) if whole else other_value for whole in step.whole)
        where = f"{step.name} with {dict(zip(step.params, params, strict=True))}" if params else step.name
        try:
            _check_form(step, params, where)
            expected = plain_column(step, inputs, params, number)
        except IndexError as error:
            raise Usage(f"{where}: reaches outside its ring ({error}); enlarge `ring=` or check the index") from None
        except Usage:
            raise
        except Exception as error:  # noqa: BLE001  (whatever a user's function raises is told with the step's name)
            raise Usage(
                f"{where}: raises {type(error).__name__}: {error}; unknown is NaN, a step cannot raise"
            ) from None
        try:
            found = column(step, inputs, params, number)
        except Exception as error:  # noqa: BLE001  (the compiler raises many kinds)
            reason = next((line for line in str(error).splitlines() if line.strip() and "Failed" not in line), "")
            raise Usage(f"{where}: cannot be compiled: {reason.strip()}; use numbers and math only") from None
        for name, compiled, plain in zip(step.outputs, found, expected, strict=True):
            differ = np.flatnonzero(compiled.view(np.uint64) != plain.view(np.uint64))
            if differ.size:
                t = int(differ[0])
                raise Usage(
                    f"{where}: output {name} on bar {t} is {compiled[t]!r} compiled and {plain[t]!r} in plain Python; "
                    "use +, -, *, /, comparisons and math.sqrt, which are exact in both"
                )


def _check_form(step: Step, params: tuple[float, ...], where: str) -> None:
    ring = np.zeros(step.ring_size(params))
    answer = plain_call(step, step.state, ring, False, (*[100.0] * len(step.inputs), *params))
    if not isinstance(answer, tuple) or len(answer) != 2 or not isinstance(answer[0], tuple):
        raise Usage(f"{where}: returned {answer!r}, expected (state, output), the state a tuple")
    state, out = answer
    if len(state) != len(step.state):
        raise Usage(f"{where}: returned a state of {len(state)} numbers, declared {len(step.state)}")
    size = len(out) if isinstance(out, tuple) else 1
    if size != len(step.outputs) or (isinstance(out, tuple) and size == 1):
        raise Usage(f"{where}: returned {out!r}, expected {', '.join(step.outputs)}")

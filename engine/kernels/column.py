"""History of one step over plain arrays: for tests, benchmarks and notebooks; programs run through the graph."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.kernels.drive import address
from engine.kernels.spare import column_memory
from engine.kernels.step import Step, plain_call
from parquet_store.errors import Usage

ANCHOR_BARS = 1024
_known: dict[int, NDArray[np.uint8]] = {}  # by the identity of a read-only array, while it lives
_CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 2, *[ctypes.c_uint64] * 6)


def anchors(number: NDArray[np.int64], before: int | None = None) -> NDArray[np.uint8]:
    """Return, for each bar, whether rolling sums start afresh there.

    Parameters
    ----------
    number : ndarray of int64, shape (n,)
        Absolute bar numbers, increasing.
    before : int, optional
        The number of the bar before the first; None: there was none, and the first bar is no anchor.

    Returns
    -------
    ndarray of uint8, shape (n,)
        1 where ``number // 1024`` differs from that of the bar before.
    """
    kept = None if before is not None or number.flags.writeable else _known.get(id(number))
    if kept is not None:
        return kept
    flags = np.zeros(number.size, np.uint8)
    if number.size:
        first, last = int(number[0]) // ANCHOR_BARS, int(number[-1]) // ANCHOR_BARS
        if last - first < number.size:  # look the few starts of blocks up instead of looking at every bar
            flags[np.searchsorted(number, np.arange(first + 1, last + 1) * ANCHOR_BARS)] = 1
        else:
            block = number // ANCHOR_BARS
            flags[1:] = block[1:] != block[:-1]
        flags[0] = before is not None and first != before // ANCHOR_BARS
    if before is None and not number.flags.writeable:  # the numbers of bars: asked for by every program over them
        flags.flags.writeable = False
        _known[id(number)] = flags
        weakref.finalize(number, _known.pop, id(number), None).atexit = False
    return flags


def column(
    step: Step,
    inputs: Sequence[NDArray[np.float64]],
    params: Sequence[float] = (),
    number: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], ...]:
    """Run one step over history.

    Parameters
    ----------
    step : Step
    inputs : sequence of ndarray of float64, shape (n,)
        One array for each of the step's inputs, in order.
    params : sequence of float
        One value for each of the step's parameters, in order.
    number : ndarray of int64, shape (n,), optional
        Absolute bar numbers, which place the anchors; 0, 1, 2, ... if not given.

    Returns
    -------
    tuple of ndarray of float64, shape (n,)
        One array for each output; NaN is unknown.

    Raises
    ------
    Usage
        Wrong number of inputs or parameters, different lengths, a parameter out of range.
    """
    sources = [np.ascontiguousarray(x, dtype=np.float64) for x in inputs]
    if len(sources) != len(step.inputs) or len({x.size for x in sources}) != 1:
        sizes = [x.size for x in sources]
        raise Usage(f"{step.name}: got inputs of {sizes} bars, expected {len(step.inputs)} of one length")
    settings = step.check(params)
    n = sources[0].size
    outputs = tuple(column_memory(len(step.outputs), n))
    flags = anchors(np.arange(n) if number is None else number) if step.has_anchor else np.zeros(1, np.uint8)
    into = np.array([(x.ctypes.data, 1) for x in sources], np.uint64)
    out = np.array([(x.ctypes.data, 1) for x in outputs], np.uint64)
    values, state, ring = (
        np.array((*settings, 0.0)),
        np.array((*step.state, 0.0)),
        np.zeros(step.ring_size(settings) + 1),
    )
    memory = (x.ctypes.data for x in (into, out, values, state, ring, flags))
    _CALL(address(step))(None, 0, n, *memory)
    return outputs


def plain_column(
    step: Step,
    inputs: Sequence[NDArray[np.float64]],
    params: Sequence[float] = (),
    number: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], ...]:
    """Run one step over history in plain Python on checked memory: slow, and what the compiled run must equal.

    Parameters and results are those of `column`.

    Raises
    ------
    Usage
        A parameter is out of range.
    IndexError
        The step reads or writes outside its ring.
    """
    settings = step.check(params)
    n = len(inputs[0])
    flags = anchors(np.arange(n) if number is None else number)
    state, ring = step.state, np.zeros(step.ring_size(settings))
    outputs = tuple(np.full(n, np.nan) for _ in step.outputs)
    for t, values in enumerate(zip(*inputs, strict=True)):
        if not step.sees_unknown and any(np.isnan(values)):
            continue
        state, found = plain_call(step, state, ring, bool(flags[t]), (*values, *settings))
        for out, value in zip(outputs, found if len(outputs) > 1 else (found,), strict=True):
            out[t] = value + 0.0 if np.isfinite(value) else np.nan
    return outputs

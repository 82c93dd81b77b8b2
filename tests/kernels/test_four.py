"""Four bars at once: each operation is that of NumPy on four numbers, bit for bit, on any numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest

from engine.jit import FLAGS
from engine.kernels.calm import entered, leaving4, may_reach, run4
from engine.kernels.four import (
    all_of4,
    before4,
    bits4,
    four,
    lane,
    load4,
    odd4,
    put4,
    root4,
    smoothed4,
    store4,
    summed4,
    where4,
)
from engine.kernels.fused import fma

Floats = npt.NDArray[np.float64]
ODD = [0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1.7e308, 1.7e308, 0.1, -3.0]


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    made: Callable[..., Any] = numba.njit(**FLAGS)(function)
    return made


def at(array: npt.NDArray[Any]) -> np.uintp:
    return np.uintp(array.ctypes.data)


def numbers(seed: int) -> Floats:
    random = np.random.default_rng(seed)
    return np.where(random.random(400) < 0.4, random.choice(ODD, 400), random.normal(0.0, 3.0, 400))


OPERATIONS: list[tuple[Callable[..., Any], Callable[..., Any]]] = [
    (lambda a, b: a + b, lambda a, b: a + b),
    (lambda a, b: a - b, lambda a, b: a - b),
    (lambda a, b: a * b, lambda a, b: a * b),
    (lambda a, b: a / b, lambda a, b: a / b),
    (lambda a, b: a + lane(b, 2), lambda a, b: a + b[2]),
    (lambda a, b: 2.0 - a, lambda a, b: 2.0 - a),
    (lambda a, b: abs(a), lambda a, b: abs(a)),
    (lambda a, b: root4(abs(a)), lambda a, b: np.sqrt(abs(a))),
    (lambda a, b: where4(a > b, a, b), lambda a, b: np.where(a > b, a, b)),
    (lambda a, b: where4(a < b, 1.0, b), lambda a, b: np.where(a < b, 1.0, b)),
    (lambda a, b: where4((a <= b) & ~(a == b), a, 7.0), lambda a, b: np.where((a <= b) & ~(a == b), a, 7.0)),
    (lambda a, b: before4(lane(b, 3), a), lambda a, b: np.array([b[3], a[0], a[1], a[2]])),
    (lambda a, b: four(lane(a, 3), lane(b, 0), 1.0, lane(a, 1)), lambda a, b: np.array([a[3], b[0], 1.0, a[1]])),
    (lambda a, b: summed4(lane(a, 0), b), lambda a, b: np.cumsum(np.concatenate([a[:1], b]))[1:]),
]


@pytest.mark.parametrize("place", range(len(OPERATIONS)))
def test_an_operation_on_four_is_that_of_numpy(place: int) -> None:
    operation, expected = OPERATIONS[place]
    body = compiled(operation)

    @compiled
    def run(a: Any, b: Any, out: Any, count: int) -> None:
        for j in range(0, count, 4):
            store4(out, j, body(load4(a, j), load4(b, j)))

    a, b, out = numbers(1), numbers(2), np.empty(400)
    run(at(a), at(b), at(out), 400)
    with np.errstate(all="ignore"):
        wanted = np.concatenate([expected(a[j : j + 4], b[j : j + 4]) for j in range(0, 400, 4)])
    np.testing.assert_array_equal(out, wanted)
    known = ~np.isnan(wanted)
    assert (np.signbit(out) == np.signbit(wanted))[known].all()


def test_a_smoothed_four_is_four_fused_steps() -> None:
    @compiled
    def run(keep: float, value: float, push: Any, out: Any) -> None:
        store4(out, 0, smoothed4(keep, value, load4(push, 0)))

    random = np.random.default_rng(3)
    for _ in range(50):
        keep, value, push, out = random.random(), random.normal(), random.normal(size=4), np.empty(4)
        run(keep, value, at(push), at(out))
        for k in range(4):
            value = fma(keep, value, push[k])
            assert out[k] == value


def test_what_is_put_has_no_negative_zero_and_an_odd_one_of_four_is_seen() -> None:
    @compiled
    def run(a: Any, out: Any, seen: Any, count: int) -> None:
        for j in range(0, count, 4):
            put4(out, j, load4(a, j))
            store4(seen, j, all_of4(1.0 * odd4(load4(a, j))))

    a, out, seen = numbers(4), np.empty(400), np.empty(400)
    run(at(a), at(out), at(seen), 400)
    finite = np.isfinite(a)
    assert (out[finite].view(np.uint64) == (a[finite] + 0.0).view(np.uint64)).all()
    assert (seen.reshape(-1, 4) == ~finite.reshape(-1, 4).all(axis=1)[:, None]).all()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 30])
def test_what_leaves_a_window_is_what_came_before_it(length: int) -> None:
    @compiled
    def run(ring: Any, place: int, length: int, price: Any, out: Any, count: int) -> int:
        for j in range(0, count, 4):
            store4(out, j, leaving4(ring, place, length, price, j))
        return int(entered(ring, place, length, price, count))

    history = np.random.default_rng(length).normal(size=length)
    for place in range(length):
        for count in (0, 4, 8, 24, 64):
            ring, price, out = np.roll(history, place), np.random.default_rng(count).normal(size=count), np.empty(count)
            series = np.concatenate([history, price])
            following = run(at(ring), place, length, at(price), at(out), count)
            assert (out == series[:count]).all()
            assert 0 <= following < length
            assert (np.roll(ring, -following) == series[count:]).all()


def test_runs_of_flags_are_counted_over_fours() -> None:
    @compiled
    def run(flags: Any, before: int, length: int) -> tuple[int, bool]:
        bits = bits4(load4(flags, 0) > 0.0)
        return run4(before, bits), may_reach(before, bits, length)

    for before in range(12):
        for bits in range(16):
            flags = np.array([bits >> k & 1 for k in range(4)], np.float64)
            counts, running = [], before
            for flag in flags:
                running = running + 1 if flag else 0
                counts.append(running)
            for length in range(1, 14):
                after, told = run(at(flags), before, length)
                assert after == counts[-1]
                assert told or length not in counts

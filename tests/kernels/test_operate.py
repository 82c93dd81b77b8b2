"""The operators: what is unknown, what is false, and compiled = plain Python."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import engine.kernels  # noqa: F401
from engine.kernels.column import column, plain_column
from engine.kernels.step import find_step

nan = math.nan
VALUES = (nan, -2.5, -1.0, 0.0, 1.0, 3.0, 1e308)


def run(name: str, *inputs: list[float], params: tuple[float, ...] = ()) -> list[float]:
    (found,) = column(find_step(name), [np.array(x) for x in inputs], params)
    (slow,) = plain_column(find_step(name), [np.array(x) for x in inputs], params)
    assert found.tobytes() == slow.tobytes()
    return found.tolist()


def pairs() -> tuple[list[float], list[float]]:
    a, b = zip(*itertools.product(VALUES, VALUES), strict=True)
    return list(a), list(b)


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("add", lambda a, b: a + b),
        ("subtract", lambda a, b: a - b),
        ("multiply", lambda a, b: a * b),
        ("divide", lambda a, b: a / b if b else nan),
        ("minimum", lambda a, b: nan if a != a or b != b else min(a, b)),
        ("maximum", lambda a, b: nan if a != a or b != b else max(a, b)),
        ("less", lambda a, b: float(a < b)),
        ("less_equal", lambda a, b: float(a <= b)),
        ("equal", lambda a, b: float(a == b)),
        ("not_equal", lambda a, b: float(a == a and b == b and a != b)),
    ],
)
def test_an_operator_is_what_python_says_with_unknown_for_infinite(name, python) -> None:
    a, b = pairs()
    expected = [python(x, y) for x, y in zip(a, b, strict=True)]
    expected = [x + 0.0 if math.isfinite(x) else nan for x in expected]
    np.testing.assert_array_equal(run(name, a, b), expected)


def test_one_sided_operators() -> None:
    x = [nan, -2.0, 0.0, 1.0, 5.0]
    np.testing.assert_array_equal(run("negate", x), [nan, 2.0, 0.0, -1.0, -5.0])
    np.testing.assert_array_equal(run("absolute", x), [nan, 2.0, 0.0, 1.0, 5.0])
    np.testing.assert_array_equal(run("logarithm", x), [nan, nan, nan, 0.0, math.log(5.0)])
    assert math.copysign(1.0, run("negate", [0.0])[0]) == 1.0


def test_where_is_unknown_only_if_the_value_taken_is() -> None:
    assert run("where", [1.0, 0.0, 1.0], [5.0, nan, 7.0], [nan, 6.0, 8.0]) == [5.0, 6.0, 7.0]
    assert np.isnan(run("where", [1.0, 0.0], [nan, 5.0], [6.0, nan])).all()
    assert run("where", [nan], [1.0], [2.0]) == [2.0]


def test_logic_takes_unknown_as_false() -> None:
    a, b = [0.0, 0.0, 1.0, 1.0, nan, nan], [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]
    assert run("both", a, b) == [0, 0, 0, 1, 0, 0]
    assert run("either", a, b) == [0, 1, 1, 1, 1, 0]


def test_shift_counts_bars_present_and_carries_the_unknown() -> None:
    np.testing.assert_array_equal(run("shift", [1.0, nan, 3.0, 4.0], params=(1,)), [nan, 1.0, nan, 3.0])
    np.testing.assert_array_equal(run("shift", [1.0, nan, 3.0, 4.0, 5.0], params=(3,)), [nan, nan, nan, 1.0, nan])


def test_a_shifted_condition_is_false_before_its_first_bar() -> None:
    assert run("shift_condition", [1.0, 0.0, 1.0, 1.0], params=(2,)) == [0.0, 0.0, 1.0, 0.0]

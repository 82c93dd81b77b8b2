"""Each step against its naive oracle, on made bars and on real ones."""

from __future__ import annotations

import numpy as np
import pytest

from engine.kernels.column import column
from engine.kernels.step import find_step
from tests.data import needs_data
from tests.kernels.cases import CASES, REAL_NAMES, Case, Floats, made_bars, real_bars


def agree(case: Case, bars: dict[str, Floats]) -> None:
    found = column(find_step(case.step), case.of(bars), case.params, bars["number"])
    for mine, naive in zip(found, case.expected(bars), strict=True):
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(naive))
        # a difference of two averages has the digits of the averages, not its own
        room = 1e-14 * np.nanmax(bars["close"]) if case.step == "macd" else 0.0
        np.testing.assert_allclose(mine, naive, rtol=1e-9, atol=room)
    assert any(np.isfinite(mine).sum() > bars["close"].size // 4 for mine in found)


@pytest.mark.parametrize("unknown", [0.0, 0.05])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_step_equals_its_oracle_on_jumps_flat_stretches_and_unknown_values(case: Case, unknown: float) -> None:
    agree(case, made_bars(unknown=unknown))


@needs_data
@pytest.mark.parametrize("name", REAL_NAMES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_step_equals_its_oracle_on_real_bars(case: Case, name: str) -> None:
    agree(case, real_bars(name))


def test_a_window_of_equal_values_has_that_mean_and_no_deviation() -> None:
    x = np.array([1e9, 3.0, 1e-7, *[0.1] * 40, 0.3, *[0.7] * 40, -5e12, *[0.1] * 40])
    for length in (2, 3, 7, 20):
        mean, deviation = column(find_step("moments"), [x], (length,))
        (sma,) = column(find_step("sma"), [x], (length,))
        for t in range(length - 1, x.size):
            window = x[t - length + 1 : t + 1]
            if window.min() == window.max():
                assert mean[t] == sma[t] == x[t]
                assert deviation[t] == 0.0
            else:
                assert deviation[t] > 0.0


def test_what_leaves_the_window_takes_no_digits_of_what_remains() -> None:
    random = np.random.default_rng(3)
    x = 100.0 + random.normal(0.0, 1e-4, 400)
    x[50], x[120], x[121], x[300] = 1e9, -1e7, 1e4, 0.0
    mean, deviation = column(find_step("moments"), [x], (20,))
    for t in range(19, x.size):
        window = x[t - 19 : t + 1]
        exact = np.std(window.astype(np.longdouble))
        np.testing.assert_allclose(float(exact), deviation[t], rtol=1e-9)
        np.testing.assert_allclose(mean[t], np.mean(window.astype(np.longdouble)).astype(float), rtol=1e-12)


def test_vwap_is_unknown_where_nothing_was_traded_and_right_after_a_burst() -> None:
    volume = np.array([1e9, 3.0, 0.1, 0.0, 0.0, 0.0, 1e-9, 0.0, 2.0])
    price = np.array([5.0, 7.0, 9.0, 2.0, 2.0, 2.0, 4.0, 6.0, 6.0])
    (found,) = column(find_step("vwap"), [price, price, price, volume], (3,))
    assert np.isnan(found[[0, 1, 5]]).all()
    np.testing.assert_allclose(found[3], (7.0 * 3.0 + 9.0 * 0.1) / 3.1, rtol=1e-13)
    np.testing.assert_allclose(found[[4, 6, 7]], [9.0, 4.0, 4.0], rtol=1e-13)


def test_value_at_risk_waits_until_a_return_from_zero_has_left_the_window() -> None:
    x = np.array([1.0, 2.0, 0.0, 1.0, 2.0, 3.0, 1.5])
    (found,) = column(find_step("var"), [x], (2, 0.05))
    assert np.isnan(found[[0, 1, 3, 4]]).all()
    np.testing.assert_allclose(found[[2, 5, 6]], [1.0, -0.5, 0.5], rtol=1e-15)


def test_lengths_longer_than_the_series_give_only_unknown() -> None:
    bars = made_bars(bars=100)
    for case in CASES:
        made = find_step(case.step)
        if made.params:
            params = tuple(500.0 if w else p for p, w in zip(case.params, made.whole, strict=True))
            assert all(np.isnan(x).all() for x in column(made, case.of(bars), params))

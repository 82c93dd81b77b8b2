"""Properties that hold for every series: bounds, scale, shift, the largest above the mean above the smallest."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.kernels.column import column, plain_column
from engine.kernels.step import find_step

Floats = npt.NDArray[np.float64]
prices = arrays(np.float64, st.integers(1, 60), elements=st.integers(1, 1_000_000).map(lambda k: k / 64.0))
series = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.one_of(st.just(np.nan), st.integers(-50, 50).map(float), st.floats(-1e12, 1e12)),
)
lengths = st.integers(1, 12)
quick = settings(max_examples=150, deadline=None)


def run(name: str, *inputs: Floats, params: tuple[float, ...] = ()) -> tuple[Floats, ...]:
    return column(find_step(name), list(inputs), params)


@quick
@given(series, lengths)
def test_means_lie_between_the_extremes(x: Floats, length: int) -> None:
    (top,), (bottom,) = run("highest", x, params=(length,)), run("lowest", x, params=(length,))
    mean, deviation = run("moments", x, params=(length,))
    (sma,) = run("sma", x, params=(length,))
    known = ~np.isnan(top)
    np.testing.assert_array_equal(known, ~np.isnan(mean))
    room = 1e-9 * (np.abs(top) + np.abs(bottom))[known]
    for middle in (mean[known], sma[known]):
        assert (middle <= top[known] + room).all()
        assert (middle >= bottom[known] - room).all()
    assert (deviation[known] >= 0.0).all()
    assert (deviation[known] <= (top - bottom)[known] / 2.0 + room).all()
    assert (deviation[known & (top == bottom)] == 0.0).all()
    assert (mean[known & (top == bottom)] == top[known & (top == bottom)]).all()


@quick
@given(prices, lengths)
def test_the_strength_index_is_bounded_and_blind_to_scale_and_shift(x: Floats, length: int) -> None:
    (plain,) = run("rsi", x, params=(length,))
    known = ~np.isnan(plain)
    assert known.sum() == max(0, x.size - length)
    assert ((plain[known] >= 0.0) & (plain[known] <= 100.0)).all()
    np.testing.assert_array_equal(run("rsi", x * 4.0, params=(length,))[0], plain)  # a power of two is exact
    np.testing.assert_allclose(run("rsi", x + 1024.0, params=(length,))[0], plain, rtol=1e-9)
    (mirrored,) = run("rsi", -x, params=(length,))
    still = plain == 50.0
    np.testing.assert_allclose(mirrored[known & ~still], 100.0 - plain[known & ~still], rtol=1e-9, atol=1e-9)


@quick
@given(prices, lengths, st.integers(-20, 20))
def test_windows_move_with_scale_and_shift(x: Floats, length: int, power: int) -> None:
    scale = 2.0**power
    for name in ("sma", "ema", "wilder", "highest", "lowest"):
        (plain,), (scaled,) = run(name, x, params=(length,)), run(name, x * scale, params=(length,))
        np.testing.assert_array_equal(scaled, plain * scale)
    mean, deviation = run("moments", x, params=(length,))
    moved, same = run("moments", x + 4096.0, params=(length,))
    np.testing.assert_allclose(moved, mean + 4096.0, rtol=1e-12)
    np.testing.assert_array_equal(same, deviation)  # the sums are taken about a value of the window: all is exact
    np.testing.assert_array_equal(run("moments", x * scale, params=(length,))[1], deviation * scale)
    for name, params in (("roc", (length,)), ("var", (length, 0.2))):
        np.testing.assert_array_equal(run(name, x * scale, params=params)[0], run(name, x, params=params)[0])


@quick
@given(prices, prices, prices, lengths)
def test_bar_indicators_are_bounded(a: Floats, b: Floats, c: Floats, length: int) -> None:
    n = min(a.size, b.size, c.size)
    stacked = np.sort(np.stack([a[:n], b[:n], c[:n]]), axis=0)
    low, close, high = (np.ascontiguousarray(row) for row in stacked)
    volume = np.floor(c[:n]) % 3.0
    for x in run("adx", high, low, close, params=(length,)):
        assert ((x >= 0.0) & (x <= 100.0 + 1e-9))[~np.isnan(x)].all()
    (strength,) = run("ibs", high, low, close)
    np.testing.assert_array_equal(np.isnan(strength), high == low)
    assert ((strength >= 0.0) & (strength <= 1.0))[high > low].all()
    (span,), (average,) = run("true_range", high, low, close), run("atr", high, low, close, params=(length,))
    assert (span[1:] >= (high - low)[1:]).all()
    assert (average[length:] <= np.nanmax(span, initial=0.0) * (1 + 1e-12)).all()
    (price,) = run("vwap", high, low, close, volume, params=(length,))
    known = ~np.isnan(price)
    traded = np.array([t >= length - 1 and volume[t - length + 1 : t + 1].sum() > 0 for t in range(n)])
    np.testing.assert_array_equal(known, traded)
    assert (price[known] <= high.max() * (1 + 1e-9)).all()
    assert (price[known] >= low.min() * (1 - 1e-9)).all()


@quick
@given(series, lengths, st.floats(0.01, 1.0))
def test_compiled_code_is_plain_python_on_any_series(x: Floats, length: int, level: float) -> None:
    for name, params in (
        ("moments", (length,)),
        ("sma", (length,)),
        ("highest", (length,)),
        ("var", (length, level)),
        ("rsi", (length,)),
        ("roc", (length,)),
    ):
        made = find_step(name)
        number = np.arange(1_020, 1_020 + x.size)
        for compiled, plain in zip(
            column(made, [x], params, number), plain_column(made, [x], params, number), strict=True
        ):
            assert compiled.tobytes() == plain.tobytes()

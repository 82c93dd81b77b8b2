"""The indicator oracles against hand arithmetic, TA-Lib and pandas-ta-classic."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from tests.data import DATA, needs_data
from tests.naive import indicators as naive

Floats = npt.NDArray[np.float64]
nan = math.nan
talib = pytest.importorskip("talib")

FILES = ["binance_BTC-USDT_1h.parquet", "binance_DOGE-USDT_1h.parquet", "yahoo_SPY_1d_raw.parquet"]


def read(name: str, rows: int = 2_000, start: int = 500) -> dict[str, Floats]:
    frame = pl.read_parquet(DATA / name).slice(start, rows)
    return {key: frame[key].to_numpy().astype(np.float64) for key in ("open", "high", "low", "close", "volume")}


@pytest.fixture(params=FILES)
def bars(request: pytest.FixtureRequest) -> dict[str, Floats]:
    return read(request.param)


def agree(mine: Floats, theirs: Floats, first: int | None = None, relative: float = 1e-9) -> None:
    """Hold that both are unknown on the same bars (or from `first` on known) and equal elsewhere."""
    if first is None:
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
        assert np.isfinite(mine).sum() > 1_000
        first = 0
    np.testing.assert_allclose(mine[first:], theirs[first:], rtol=relative, atol=0.0)


def same(mine: npt.ArrayLike, expected: npt.ArrayLike) -> None:
    np.testing.assert_allclose(np.asarray(mine), np.asarray(expected), rtol=1e-14, atol=1e-14)


def test_a_mean_counts_known_values_only() -> None:
    same(naive.sma([1, 2, nan, 6, 7], 3), [nan, nan, nan, 3, 5])


def test_an_exponential_average_starts_at_the_mean_of_its_first_values() -> None:
    same(naive.ema([1, 2, nan, 3, 6, nan, 2], 3), [nan, nan, nan, 2, 4, nan, 3])
    same(naive.wilder([3, 5, 8, nan, 2], 2), [nan, 4, 6, nan, 4])


def test_a_deviation_divides_by_n() -> None:
    same(naive.std([1, 3, nan, 5, 5], 2), [nan, 1, nan, 1, 0])
    same(naive.zscore([1, 3, nan, 5, 5], 2), [nan, 1, nan, 1, nan])
    lower, middle, upper = naive.bollinger([1, 3, 5], 2, 2.5)
    same([lower, middle, upper], [[nan, -0.5, 1.5], [nan, 2, 4], [nan, 4.5, 6.5]])


def test_extremes_and_changes_of_a_short_series() -> None:
    x = [4, nan, 2, 3, 8, 0, 1]
    same(naive.highest(x, 2), [nan, nan, 4, 3, 8, 8, 1])
    same(naive.lowest(x, 2), [nan, nan, 2, 2, 3, 0, 0])
    same(naive.roc(x, 2), [nan, nan, nan, -0.25, 3, -1, -0.875])
    assert math.isnan(naive.roc([0, 1], 1)[1])
    same(naive.shift(x, 2), [nan, nan, 4, nan, 2, 3, 8])


def test_rsi_is_fifty_when_nothing_moves_and_a_hundred_when_all_rises() -> None:
    same(naive.rsi([5, 5, 5, 5], 2), [nan, nan, 50, 50])
    same(naive.rsi([1, 2, 3, nan, 4], 2), [nan, nan, 100, nan, 100])
    # gains 1, 0, 0 and losses 0, 1, 2: means 1/2 and 1/2, then 1/4 and 5/4
    same(naive.rsi([5, 6, 5, 3], 2), [nan, nan, 50, 100 / 6])


def test_true_range_reaches_to_the_close_before_and_skips_unknown_bars() -> None:
    h, l, c = [10, 12, nan, 9], [8, 11, nan, 8], [9, 12, nan, 8]
    same(naive.true_range(h, l, c), [nan, 3, nan, 4])
    same(naive.atr(h, l, c, 2), [nan, nan, nan, 3.5])


def test_volume_indicators_of_a_short_series() -> None:
    h, l, c, v = [3, 6, 6, 6], [3, 3, 6, 0], [3, 3, 6, 3], [0, 2, 1, 0]
    same(naive.vwap(h, l, c, v, 2), [nan, 4, 14 / 3, 6])
    assert math.isnan(naive.vwap(h, l, c, [0, 0, 1, 1], 2)[1])
    same(naive.obv([3, 4, nan, 4, 2], [9, 2, 7, 5, 3]), [0, 2, nan, 2, -1])
    same(naive.ibs([3, 6, nan], [3, 3, 1], [3, 5, 2]), [nan, 2 / 3, nan])


def test_value_at_risk_is_the_loss_at_the_exact_rank() -> None:
    prices = [100.0]
    for change in (0.1, -0.2, 0.3, -0.4):
        prices.append(prices[-1] * (1 + change))
    same(naive.var(prices, 4), [nan, nan, nan, nan, 0.4])
    same(naive.var(prices, 4, 0.5)[-1], 0.2)
    assert math.ceil(0.07 * 100) == 8  # the float product lies above 7
    walk: Floats = np.cumprod(1 + np.linspace(-0.05, 0.05, 101)).astype(np.float64)
    returns = np.sort(walk[1:] / walk[:-1] - 1)
    same(naive.var(walk, 100, 0.07)[-1], -returns[6])


def test_a_cross_needs_four_known_values() -> None:
    a, b = [1, 3, 1, nan, 3, 2, 3], [2, 2, 2, 2, 2, 2, 2]
    assert naive.crossed_above(a, b).tolist() == [False, True, False, False, False, False, True]
    assert naive.crossed_below(a, b).tolist() == [False, False, True, False, False, False, False]


def test_unknown_bars_leave_every_indicator_as_if_they_had_not_been() -> None:
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    high, low, volume = close * 1.01, close * 0.98, rng.uniform(1, 9, 200)
    keep = np.ones(260, dtype=bool)
    keep[rng.choice(260, 60, replace=False)] = False

    def holes(x: Floats) -> Floats:
        out = np.full(260, nan)
        out[keep] = x
        return out

    h, l, c, v = holes(high), holes(low), holes(close), holes(volume)
    pairs = [
        (naive.sma(c, 7), naive.sma(close, 7)),
        (naive.ema(c, 7), naive.ema(close, 7)),
        (naive.rsi(c, 7), naive.rsi(close, 7)),
        (naive.zscore(c, 7), naive.zscore(close, 7)),
        (naive.roc(c, 7), naive.roc(close, 7)),
        (naive.var(c, 40), naive.var(close, 40)),
        (naive.atr(h, l, c, 7), naive.atr(high, low, close, 7)),
        *zip(naive.adx(h, l, c, 7), naive.adx(high, low, close, 7), strict=True),
        *zip(naive.macd(c, 5, 9, 4), naive.macd(close, 5, 9, 4), strict=True),
        (naive.vwap(h, l, c, v, 7), naive.vwap(high, low, close, volume, 7)),
        (naive.obv(c, v), naive.obv(close, volume)),
    ]
    for gappy, dense in pairs:
        assert np.isnan(gappy[~keep]).all()
        np.testing.assert_array_equal(gappy[keep], dense)


@needs_data
@pytest.mark.parametrize("n", [2, 14, 50])
def test_averages_and_extremes_agree_with_talib(bars: dict[str, Floats], n: int) -> None:
    close = bars["close"]
    agree(naive.sma(close, n), talib.SMA(close, n))
    agree(naive.ema(close, n), talib.EMA(close, n))
    agree(naive.rsi(close, n), talib.RSI(close, n))
    agree(naive.highest(close, n), talib.MAX(close, n))
    agree(naive.lowest(close, n), talib.MIN(close, n))
    agree(naive.roc(close, n) + 1, talib.ROCP(close, n) + 1)


@needs_data
@pytest.mark.parametrize("n", [14, 50])
def test_deviations_agree_with_talib(bars: dict[str, Floats], n: int) -> None:
    # TA-Lib subtracts running sums of squares, so it is compared on returns, where nothing cancels
    returns = naive.roc(bars["close"], 1)[1:]
    agree(naive.std(returns, n), talib.STDDEV(returns, n))
    lower, middle, upper = talib.BBANDS(bars["close"], n, 2.0, 2.0)[::-1]
    for mine, theirs in zip(naive.bollinger(bars["close"], n, 2.0), (lower, middle, upper), strict=True):
        agree(mine, theirs)


@needs_data
@pytest.mark.parametrize("n", [2, 14, 30])
def test_ranges_and_directions_agree_with_talib(bars: dict[str, Floats], n: int) -> None:
    hlc = bars["high"], bars["low"], bars["close"]
    agree(naive.true_range(*hlc), talib.TRANGE(*hlc))
    agree(naive.atr(*hlc, n), talib.ATR(*hlc, n))
    plus, minus, index = naive.adx(*hlc, n)
    for mine, theirs in ((plus, talib.PLUS_DI), (minus, talib.MINUS_DI), (index, talib.ADX)):
        expected = theirs(*hlc, n)
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(expected))
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-10)
    assert int(np.flatnonzero(~np.isnan(index))[0]) == 2 * n - 1


@needs_data
def test_balance_volume_differs_from_talib_by_the_first_volume(bars: dict[str, Floats]) -> None:
    close, volume = bars["close"], bars["volume"]
    np.testing.assert_allclose(naive.obv(close, volume) + volume[0], talib.OBV(close, volume), rtol=1e-9, atol=1e-6)


@needs_data
def test_macd_is_talibs_averages_and_forgets_how_talib_seeds_its_own(bars: dict[str, Floats]) -> None:
    close = bars["close"]
    line, signal, histogram = naive.macd(close, 12, 26, 9)
    slow = talib.EMA(close, 26)
    np.testing.assert_allclose(line, talib.EMA(close, 12) - slow, rtol=0, atol=1e-9 * close.max())
    np.testing.assert_allclose(histogram, line - signal, rtol=0, atol=0)
    np.testing.assert_allclose(signal[25:], talib.EMA(line[25:], 9), rtol=0, atol=1e-9 * close.max())
    theirs = talib.MACD(close, 12, 26, 9)
    assert abs(line[33] - theirs[0][33]) > 1e-9 * close[33]
    for mine, other in zip((line, signal, histogram), theirs, strict=True):
        agree(mine / close, other / close, first=600, relative=1e-7)


@needs_data
def test_vwap_and_zscore_agree_with_pandas_ta_classic(bars: dict[str, Floats]) -> None:
    pd = pytest.importorskip("pandas")
    ta = pytest.importorskip("pandas_ta_classic")
    close = pd.Series(bars["close"])
    typical = pd.Series((bars["high"] + bars["low"] + bars["close"]) / 3.0)
    mine = naive.vwap(bars["high"], bars["low"], bars["close"], bars["volume"], 20)
    agree(mine, ta.vwma(typical, pd.Series(bars["volume"]), length=20, talib=False).to_numpy())
    # theirs divides by the sample deviation (ddof 1) whatever it is asked for
    theirs = ta.zscore(close, length=30, std=1.0).to_numpy() * math.sqrt(30 / 29)
    mine = naive.zscore(bars["close"], 30)
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9)

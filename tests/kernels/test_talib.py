"""The steps against TA-Lib and pandas-ta-classic on real bars; each convention that differs has its own test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from engine.kernels.column import column
from engine.kernels.step import find_step
from tests.data import needs_data
from tests.kernels.cases import REAL_NAMES, Floats, real_bars

talib = pytest.importorskip("talib")
ta = pytest.importorskip("pandas_ta_classic")

pytestmark = needs_data


@pytest.fixture(params=REAL_NAMES)
def bars(request: pytest.FixtureRequest) -> dict[str, Floats]:
    return real_bars(request.param)


def run(name: str, bars: dict[str, Floats], inputs: str, *params: float) -> tuple[Floats, ...]:
    return column(find_step(name), [bars[x] for x in inputs.split()], params, bars["number"])


def agree(mine: Floats, theirs: Floats, atol: float = 0.0) -> None:
    np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
    assert np.isfinite(mine).sum() > 1_000
    np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=atol)


def test_averages_equal_talib(bars: dict[str, Floats]) -> None:
    close = bars["close"]
    for length in (2, 14, 50):
        agree(run("sma", bars, "close", length)[0], talib.SMA(close, length))
        agree(run("ema", bars, "close", length)[0], talib.EMA(close, length))


def test_ranges_and_extremes_equal_talib(bars: dict[str, Floats]) -> None:
    h, l, c = bars["high"], bars["low"], bars["close"]
    agree(run("true_range", bars, "high low close")[0], talib.TRANGE(h, l, c))
    for length in (2, 14, 50):
        agree(run("atr", bars, "high low close", length)[0], talib.ATR(h, l, c, length))
        agree(run("highest", bars, "close", length)[0], talib.MAX(c, length))
        agree(run("lowest", bars, "close", length)[0], talib.MIN(c, length))
        agree(run("roc", bars, "close", length)[0], talib.ROCP(c, length), atol=1e-15)


def test_the_directional_index_equals_talib(bars: dict[str, Floats]) -> None:
    h, l, c = bars["high"], bars["low"], bars["close"]
    for length in (2, 14, 30):
        plus, minus, index = run("adx", bars, "high low close", length)
        agree(plus, talib.PLUS_DI(h, l, c, length), atol=1e-12)
        agree(minus, talib.MINUS_DI(h, l, c, length), atol=1e-12)
        agree(index, talib.ADX(h, l, c, length), atol=1e-12)


def test_rsi_equals_talib_except_where_nothing_has_moved(bars: dict[str, Floats]) -> None:
    for length in (2, 14):
        mine, theirs = run("rsi", bars, "close", length)[0], talib.RSI(bars["close"], length)
        still = mine == 50.0
        assert np.isin(theirs[still], (0.0, 50.0)).all()  # TA-Lib answers 0 where nothing has moved
        agree(np.where(still, theirs, mine), theirs, atol=1e-9)


def test_the_deviation_equals_talib_up_to_the_digits_talib_loses(bars: dict[str, Floats]) -> None:
    close = bars["close"]
    for length in (5, 20, 50):
        mine, theirs = run("moments", bars, "close", length)[1], talib.STDDEV(close, length, 1.0)
        # TA-Lib takes the difference of two sums of squares: an absolute error of about price * sqrt(2^-52 * bars)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=np.nanmax(close) * 1e-6)
        volatile = mine > 1e-3 * close
        assert volatile.sum() > 100
        np.testing.assert_allclose(mine[volatile], theirs[volatile], rtol=1e-6)
        exact = pd.Series(close).rolling(length).apply(lambda w: np.std(w - w[-1]), raw=True).to_numpy()
        np.testing.assert_allclose(mine, exact, rtol=1e-9, atol=0.0)


def test_balance_equals_talib_less_its_first_volume(bars: dict[str, Floats]) -> None:
    mine, theirs = run("obv", bars, "close volume")[0], talib.OBV(bars["close"], bars["volume"])
    scale = bars["volume"].sum()
    np.testing.assert_allclose(mine, theirs - bars["volume"][0], rtol=1e-9, atol=1e-12 * scale)


def test_wilders_average_equals_pandas_ta_once_its_seed_is_forgotten(bars: dict[str, Floats]) -> None:
    # pandas-ta starts at the first value, here at the mean of the first ones: the difference fades as (13/14)^t
    theirs = ta.rma(pd.Series(bars["close"]), 14, talib=False).to_numpy()
    np.testing.assert_allclose(run("wilder", bars, "close", 14)[0][500:], theirs[500:], rtol=1e-9)


def test_rolling_vwap_equals_the_ratio_of_pandas_sums(bars: dict[str, Floats]) -> None:
    typical = pd.Series((bars["high"] + bars["low"] + bars["close"]) / 3.0)
    volume = pd.Series(bars["volume"])
    theirs = ta.vwma(typical, volume, 20, talib=False)
    np.testing.assert_allclose(run("vwap", bars, "high low close volume", 20)[0], theirs, rtol=1e-9)

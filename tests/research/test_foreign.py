"""TA-Lib and pandas-ta-classic inside a strategy: the library's own numbers, swept, proven, and refused at the door."""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.graph import Bar, Number, Param, Signals, Strategy, bind, columns, indicator, ta, when
from engine.graph.foreign import ForeignStep
from engine.graph.resolve import steps_of
from engine.kernels.step import STEPS, find_step
from engine.manifest import write_manifest
from engine.research import foreign
from engine.research.prove import prove
from engine.research.space import Space
from engine.research.sweep import Sweep, sweep_bars
from engine.simulate import METRICS, Costs, simulate_program
from parquet_store import Usage
from pipelines import Bars
from tests.data import needs_data
from tests.simulate.drawn import made_bars, real_bars

talib = pytest.importorskip("talib")
pandas_ta = pytest.importorskip("pandas_ta_classic")


class Waves(Strategy):
    """Both libraries, several outputs, an indicator of an indicator, parameters swept and computed."""

    fast = Param(7, low=2, high=50)
    width = Param(3.0, low=0.5, high=6.0)
    smooth = Param(0, low=2, high=50, off=True)
    stop_atr = Param(0.0, low=0.5, high=5.0, off=True)

    def signals(self, bar: Bar) -> Signals:
        wave = foreign.talib("ultosc", bar, timeperiod1=self.fast, timeperiod2=self.fast * 2, timeperiod3=28)
        slow = foreign.talib("SMA", wave, timeperiod=self.smooth)
        trend = foreign.pandas_ta("supertrend", bar, length=10, multiplier=self.width)
        strength = ta.rsi(bar.close, 14)
        return Signals(
            entry=(trend.SUPERTd > 0) & (when(self.smooth, slow, wave) < 50.0) & (strength < 60.0),
            exit=(trend.SUPERTd < 0) | (bar.close < foreign.pandas_ta("ema", bar, length=50)),
            stop=when(self.stop_atr, self.stop_atr * foreign.talib("ATR", bar)),
        )


def values(draw: Any, bars: Bars, output: str | None = None) -> Any:
    """Return the column of the one number a drawing gives, or of one of its outputs."""

    class Drawn(Strategy):
        def signals(self, bar: Bar) -> Signals:
            made = draw(bar)
            number = made if output is None else getattr(made, output)
            assert isinstance(number, Number)
            return Signals(entry=False, stop=number)

    return columns(bind(Drawn()), bars).role("stop")


def real(count: int = 4_000) -> Bars:
    return real_bars("binance_BTC-USDT_1h.parquet", 20_000, count)


@needs_data
def test_a_column_is_the_librarys_own() -> None:
    bars = real()
    h, l, c, v = bars.high, bars.low, bars.close, bars.volume
    pairs = [
        (values(lambda b: foreign.talib("ULTOSC", b, timeperiod1=5), bars), talib.ULTOSC(h, l, c, 5)),
        (values(lambda b: foreign.talib("OBV", b), bars), talib.OBV(c, v)),
        (values(lambda b: foreign.talib("EMA", ta.rsi(b.close, 9), timeperiod=5), bars), None),
        (values(lambda b: foreign.talib("BBANDS", b, nbdevup=1.5), bars, "upperband"), talib.BBANDS(c, 20, 1.5)[0]),
        (values(lambda b: foreign.talib("CDLDOJI", b), bars), talib.CDLDOJI(bars.open, h, l, c).astype(float)),
        (values(lambda b: foreign.talib("BETA", b.open, b.close, timeperiod=9), bars), talib.BETA(bars.open, c, 9)),
    ]
    rsi = values(lambda b: ta.rsi(b.close, 9), bars)
    pairs[2] = (pairs[2][0], talib.EMA(rsi, 5))
    index = pd.DatetimeIndex(bars.time.astype("datetime64[ms]"))
    s = {name: pd.Series(getattr(bars, name), index) for name in ("high", "low", "close", "volume")}
    trend = pandas_ta.supertrend(s["high"], s["low"], s["close"], length=7, multiplier=2.5)
    for name in ("SUPERT", "SUPERTd"):
        mine = values(lambda b: foreign.pandas_ta("supertrend", b, length=7, multiplier=2.5), bars, name)
        pairs.append((mine, trend[f"{name}_7_2.5"].to_numpy()))
    daily = pandas_ta.vwap(s["high"], s["low"], s["close"], s["volume"], anchor="W")
    pairs.append((values(lambda b: foreign.pandas_ta("vwap", b, anchor="W"), bars), daily.to_numpy()))
    other = pandas_ta.beta(s["close"], benchmark=s["high"], length=20)
    pairs.append((values(lambda b: foreign.pandas_ta("beta", b, benchmark=b.high, length=20), bars), other.to_numpy()))
    for mine, theirs in pairs:
        assert np.isfinite(theirs).sum() > 3_000
        np.testing.assert_array_equal(mine[6:], theirs[6:])


@needs_data
def test_a_sweep_over_foreign_parameters_is_the_plain_simulation() -> None:
    bars = real()
    given = {"fast": [5, 7], "width": [2.0, 3.0], "smooth": [0, 4], "stop_atr": [0.0, 2.0]}
    sweep = Sweep(Waves, Space.of(Waves, given), Costs())
    traded = 0
    for found in sweep_bars(bars, sweep):
        for combo, row in zip(found.shard.combo.tolist(), found.metrics, strict=True):
            plain = simulate_program(bind(Waves(), sweep.space.row(combo)), bars, sweep.costs)
            np.testing.assert_allclose(row, list(plain.metrics.values()), rtol=1e-10, atol=1e-12)
            traded += bool(row[METRICS.index("trades")] > 5)
    assert traded == 16


@needs_data
def test_prove_finds_no_fault_in_honest_libraries() -> None:
    found = prove(bind(Waves(), {"smooth": 4, "stop_atr": 2.0}), real(400), Costs(), cuts=60, starts=2)
    assert found.lookahead == ()
    assert {item.subject.step for item in found.warmup} >= {"talib:ULTOSC", "talib:SMA", "talib:ATR"}


@pytest.mark.parametrize("length", [3, 20])
def test_bars_that_alone_would_have_given_nothing_are_unknown(length: int) -> None:
    """The library says nothing of too short a history, but fills the same bars once there are more."""
    bars = made_bars(np.random.default_rng(6), 80)

    def drawn(b: Bar) -> Number:
        return foreign.pandas_ta("supertrend", b, length=length).SUPERTd

    whole = values(drawn, bars)
    for cut in (1, length - 1, length, length + 1, 40):
        np.testing.assert_array_equal(values(drawn, bars.slice(0, cut)), whole[:cut])
    assert np.isnan(whole[: length - 1]).all()
    assert np.isfinite(whole[length:]).all()


def test_an_export_is_refused_and_names_what_would_have_to_exist(tmp_path: Path) -> None:
    bars = made_bars(np.random.default_rng(1), 300)
    with pytest.raises(Usage) as caught:
        write_manifest(tmp_path / "m.json", bind(Waves()), Costs(), bars, strategy="waves", params={}, evidence={})
    text = str(caught.value)
    assert (
        "talib ULTOSC has no step: write it as an @indicator named ultosc with inputs high, low, close and parameters "
        "timeperiod1, timeperiod2, timeperiod3" in text
    )
    assert "named supertrend with inputs high, low, close and parameters length, multiplier and outputs SUPERT" in text
    assert not list(tmp_path.iterdir())


def test_the_named_step_once_written_is_exported(tmp_path: Path) -> None:
    """What the refusal asks for is possible: the same number as an indicator of one's own."""

    @indicator(outputs=("doubled",), name="bop")
    def bop(state, open, high, low, close):  # type: ignore[no-untyped-def]
        return state, (close - open) / (high - low) if high > low else 0.0

    class Own(Strategy):
        def signals(self, bar: Bar) -> Signals:
            return Signals(bop(bar.open, bar.high, bar.low, bar.close) > 0.2, bar.close < bar.open)

    class Foreign(Strategy):
        def signals(self, bar: Bar) -> Signals:
            return Signals(foreign.talib("BOP", bar) > 0.2, bar.close < bar.open)

    bars = made_bars(np.random.default_rng(2), 400)
    try:
        mine, theirs = (simulate_program(bind(made()), bars, Costs()) for made in (Own, Foreign))
        assert mine.trades.tobytes() == theirs.trades.tobytes()
        assert mine.trades.size > 10
        write_manifest(tmp_path / "m.json", bind(Own()), Costs(), bars, strategy="own", params={}, evidence={})
        with pytest.raises(Usage, match="talib BOP has no step"):
            write_manifest(tmp_path / "n.json", bind(Foreign()), Costs(), bars, strategy="f", params={}, evidence={})
    finally:
        for name in [name for name in STEPS if name.endswith(":bop")]:
            del STEPS[name]


@pytest.mark.parametrize(
    ("name", "settings", "output"),
    [("dpo", {"length": 20}, "DPO"), ("ichimoku", {}, "ICS"), ("sma", {"length": 5, "offset": -3}, "SMA")],
)
def test_what_looks_ahead_is_refused_where_it_is_drawn(name: str, settings: dict[str, Any], output: str) -> None:
    with pytest.raises(Usage, match=f"pandas_ta {name} looks ahead: {output} at bar .* changes when the bars after"):
        foreign.pandas_ta(name, Bar(), **settings)


def test_told_not_to_look_ahead_it_is_welcome() -> None:
    bar = Bar()
    assert isinstance(foreign.pandas_ta("dpo", bar, length=20, centered=False), Number)
    assert "ISA" in foreign.pandas_ta("ichimoku", bar, include_chikou=False)._fields


def test_typing_errors_are_answered_with_the_nearest_name() -> None:
    bar = Bar()
    with pytest.raises(Usage, match='TA-Lib function "ULTOCS": did you mean "ULTOSC"'):
        foreign.talib("ULTOCS", bar)
    with pytest.raises(Usage, match='parameter of talib RSI "timeperod": did you mean "timeperiod"'):
        foreign.talib("RSI", bar, timeperod=3)
    with pytest.raises(Usage, match='pandas-ta-classic indicator "supertrnd": did you mean "supertrend"'):
        foreign.pandas_ta("supertrnd", bar)
    with pytest.raises(Usage, match='parameter of pandas_ta supertrend "lenght": did you mean "length"'):
        foreign.pandas_ta("supertrend", bar, lenght=3)


def test_inputs_that_do_not_fit_are_refused() -> None:
    bar = Bar()
    with pytest.raises(Usage, match="talib MAVP: periods is no field of the bar; give a number for each of close"):
        foreign.talib("MAVP", bar)
    with pytest.raises(Usage, match="talib ATR: got 2 inputs, expected the bar or high, low, close"):
        foreign.talib("ATR", bar.high, bar.low)
    with pytest.raises(Usage, match="pandas_ta vp: gives no columns of one value a bar"):
        foreign.pandas_ta("vp", bar)
    with pytest.raises(Usage, match=r"pandas_ta ema: talib is \[1\], expected a number, text"):
        foreign.pandas_ta("ema", bar, talib=[1])


def test_the_range_of_a_parameter_is_the_librarys_and_its_refusal_is_told() -> None:
    bars = made_bars(np.random.default_rng(3), 200)
    with pytest.raises(Usage, match=r"talib RSI with timeperiod=-3: Exception: .*Bad Parameter"):
        foreign.talib("RSI", Bar(), timeperiod=-3)

    class Wrong(Strategy):
        length = Param(14, low=0, high=50)

        def signals(self, bar: Bar) -> Signals:
            return Signals(foreign.talib("RSI", bar, timeperiod=self.length) < 30.0)

    with pytest.raises(Usage, match=r"talib RSI with timeperiod=0: Exception: .*Bad Parameter"):
        list(sweep_bars(bars, Sweep(Wrong, Space.of(Wrong, {"length": [0, 5]}), Costs())))


def test_too_short_a_history_is_unknown() -> None:
    few = made_bars(np.random.default_rng(3), 5)
    for draw in (
        lambda b: foreign.pandas_ta("supertrend", b, length=10).SUPERT,
        lambda b: foreign.talib("SMA", ta.sma(b.close, 9)),
    ):
        assert np.isnan(values(draw, few)).all()


def test_a_plan_knows_the_versions_of_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steps_of(Waves().drawn)
    assert steps_of(Waves().drawn) == before
    honest = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == "pandas" else honest(name))
    monkeypatch.setattr(talib, "__version__", "0")
    changed = {name for name, digest in steps_of(Waves().drawn).items() if before[name] != digest}
    assert changed == {name for name in before if isinstance(find_step(name), ForeignStep)}
    assert len(changed) == 5


def test_an_absent_library_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = importlib.import_module

    def absent(name: str) -> Any:
        if name in ("talib", "pandas_ta_classic"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return honest(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(Usage, match="TA-Lib is not installed: pip install ta-lib"):
        foreign.talib("RSI", Bar())
    with pytest.raises(Usage, match=r'pandas-ta-classic is not installed: pip install "lockstep-engine\[research\]"'):
        foreign.pandas_ta("rsi", Bar())

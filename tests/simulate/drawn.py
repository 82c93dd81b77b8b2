"""Bars, decisions, costs and sizes drawn for the simulations, and their translation for the naive one."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from hypothesis import strategies as st

from engine.graph import Sizing
from engine.simulate import REASONS, Costs, Decisions, Simulation
from pipelines import Bars
from tests.data import BAR_FILES, DATA
from tests.naive import metrics as naive_metrics
from tests.naive import simulation as naive
from tests.naive import sizing as naive_sizing

HOUR = 3_600_000
YEAR = 8_766.0


def made_bars(rng: np.random.Generator, count: int, wildness: float = 0.01, tick: float = 0.0) -> Bars:
    """Return hourly bars of a random walk that gaps at opens and leaves out a bar now and then."""
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, wildness, count)))
    before = np.concatenate(([100.0], close[:-1]))
    opened = before * np.exp(np.where(rng.random(count) < 0.2, rng.normal(0, 2 * wildness, count), 0.0))
    high = np.maximum(opened, close) * (1 + rng.uniform(0, wildness, count))
    low = np.minimum(opened, close) * (1 - rng.uniform(0, wildness, count))
    prices = [opened, high, low, close]
    if tick:  # prices then touch levels exactly
        prices = [np.maximum(np.round(x / tick) * tick, tick) for x in prices]
    number = 400_000 + np.cumsum(1 + (rng.random(count) < 0.02) * rng.integers(1, 30, count))
    return Bars.from_arrays(
        "made:A/B:1h", "1h", number * HOUR, *prices, np.ones(count), bars_per_year=YEAR, calendar="24/7"
    )


def real_bars(name: str, first: int, count: int) -> Bars:
    """Return a slice of one of the real bar files."""
    frame = pl.read_parquet(DATA / name)
    frame = frame.slice(min(first, max(0, len(frame) - count)), count)
    venue, symbol, timeframe = BAR_FILES[name]
    columns = [frame[key].to_numpy().astype(np.float64) for key in ("open", "high", "low", "close", "volume")]
    return Bars.from_arrays(
        f"{venue}:{symbol}:{timeframe}", timeframe, frame["ts"].to_physical().to_numpy().astype(np.int64), *columns
    )


def made_decisions(
    rng: np.random.Generator,
    bars: Bars,
    density: float,
    *,
    short: bool = True,
    stop: bool = False,
    target: bool = False,
    trailing: bool = False,
    max_hold: int = 0,
    tick: float = 0.0,
) -> Decisions:
    """Return random decisions; a distance is unknown, zero or negative at some closes."""
    n = len(bars)
    long_entry, long_exit, short_entry, short_exit = (rng.random(n) < density for _ in range(4))
    if not short:
        short_entry, short_exit = np.zeros(n, np.bool_), np.zeros(n, np.bool_)

    def distance(scale: float) -> npt.NDArray[np.float64]:
        out = bars.close * scale * rng.uniform(0.3, 2.0, n)
        if tick:
            out = np.round(out / tick) * tick
        hole = rng.random(n)
        out[hole < 0.03] = np.nan
        out[(hole > 0.98) & (hole < 0.99)] = 0.0
        out[hole > 0.99] *= -1.0
        return out

    return Decisions(
        long_entry,
        long_exit,
        short_entry,
        short_exit,
        distance(0.02) if stop else None,
        distance(0.03) if target else None,
        trailing,
        max_hold,
    )


SIZINGS = {
    "all_in": Sizing.of("all_in"),
    "fixed_fraction": Sizing.of("fixed_fraction", fraction=0.3),
    "fixed_ratio": Sizing.of("fixed_ratio", delta=40.0, unit=4.0),
    "atr_risk": Sizing.of("atr_risk", risk=0.01),
    "kelly": Sizing.of("kelly", fraction=0.7, cap=0.4),
}
VENUES: dict[str, dict[str, Any]] = {
    "free": {"fee": 0.0, "slippage": 0.0},
    "usual": {"fee": 0.001, "slippage": 0.0005},
    "stepped": {"fee": 0.0004, "slippage": 0.0002, "quantity_step": 0.25, "min_notional": 120.0},
    "ticked": {"fee": 0.001, "slippage": 0.0005, "price_tick": 0.25},
    "contracts": {"fee": 0.0005, "slippage": 0.0, "contract_size": 0.1, "quantity_step": 3.0},
    "levered": {"fee": 0.001, "slippage": 0.0005, "leverage": 3.0},
    "at_fill": {"fee": 0.001, "slippage": 0.0005, "size_at": "fill"},
}


def costs_of(venue: str) -> Costs:
    """Return the costs of one of ``VENUES``; positions may be short there."""
    return Costs(**VENUES[venue], short=True)


@st.composite
def cases(draw: st.DrawFn, most: int = 300) -> tuple[Bars, Decisions, Costs, Sizing]:
    """Draw bars, decisions, costs and a size rule that go together."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(sorted(SIZINGS)))
    venue = draw(st.sampled_from(sorted(VENUES)))
    tick = draw(st.sampled_from([0.0, 0.25]))
    bars = made_bars(rng, draw(st.integers(1, most)), draw(st.sampled_from([0.003, 0.01, 0.04])), tick)
    stop = kind == "atr_risk" or draw(st.booleans())
    decisions = made_decisions(
        rng,
        bars,
        draw(st.sampled_from([0.0, 0.02, 0.1, 0.4])),
        short=draw(st.booleans()),
        stop=stop,
        target=draw(st.booleans()),
        trailing=stop and draw(st.booleans()),
        max_hold=draw(st.sampled_from([0, 0, 1, 2, 7])),
        tick=tick,
    )
    return bars, decisions, costs_of(venue), SIZINGS[kind]


def naive_bars(bars: Bars) -> naive.Bars:
    """Return bars as the naive simulation reads them."""
    from parquet_store import Timeframe

    step = Timeframe.parse(bars.timeframe)
    length = step.close_ms(int(bars.number[0])) - step.open_ms(int(bars.number[0]))
    return naive.Bars(bars.open, bars.high, bars.low, bars.close, bars.number, bars.bars_per_year, int(length))


def naive_decisions(d: Decisions) -> naive.Decisions:
    """Return decisions as the naive simulation reads them."""
    return naive.Decisions(
        d.long_entry, d.long_exit, d.short_entry, d.short_exit, d.stop, d.target, d.trailing, d.max_hold
    )


def naive_costs(costs: Costs) -> naive_sizing.Costs:
    """Return costs as the naive simulation reads them."""
    names = naive_sizing.Costs.__dataclass_fields__
    return naive_sizing.Costs(**{name: getattr(costs, name) for name in names})


def naive_size(sizing: Sizing) -> naive_sizing.Sizing:
    """Return a size rule as the naive simulation reads it."""
    return naive_sizing.Sizing(sizing.kind, **dict(sizing.numbers))


def run_naive(bars: Bars, decisions: Decisions, costs: Costs, sizing: Sizing) -> naive.Result:
    """Run the naive simulation on the engine's types."""
    return naive.simulate(naive_bars(bars), naive_decisions(decisions), naive_costs(costs), naive_size(sizing))


def assert_alike(plain: Simulation, slow: naive.Result) -> None:
    """Hold trades to the same bars, sides, reasons and prices; money to 1e-9; every metric to 1e-9."""
    theirs = [*slow.trades, *([slow.open_trade] if slow.open_trade else [])]
    ours = [*plain.trades, *plain.open_trade]
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        reason = "open" if a["reason"] < 0 else REASONS[a["reason"]]
        mine = (a["entry_bar"], a["exit_bar"], a["side"], a["entry_price"], a["exit_price"], reason)
        assert mine == (b.entry_bar, b.exit_bar, b.side, b.entry_price, b.exit_price, b.reason)
        scale = 1e-9 * b.quantity * b.entry_price
        assert abs(a["quantity"] - b.quantity) <= 1e-9 * b.quantity
        assert abs(a["fees"] - b.fees) <= scale
        assert abs(a["profit"] - b.profit) <= scale
    cash = plain.costs.initial_cash
    np.testing.assert_allclose(plain.equity, slow.equity, rtol=1e-9, atol=1e-9 * cash)
    np.testing.assert_array_equal(plain.invested, slow.invested)
    bars = naive_bars(plain.bars)
    expected = naive_metrics.metrics_of(
        slow, cash, bars.number.tolist(), bars.timeframe_ms, plain.bars.bars_per_year
    ) | {"open_trade": float(slow.open_trade is not None)}
    assert list(plain.metrics) == list(expected)
    for name, value in expected.items():
        found = plain.metrics[name]
        # a ratio to a deviation of nearly equal returns has lost the digits that its square says
        lost = 1e-14 * value * value / bars.bars_per_year if name.startswith(("sharpe", "sortino")) else 0.0
        close = np.isclose(found, value, rtol=1e-9 + (lost if lost == lost else 0.0), atol=1e-12, equal_nan=True)
        assert close, f"{name}: {found} is not {value}"

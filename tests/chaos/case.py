"""A scenario: which account, what goes wrong, when, and where the process is killed; all of it follows from a seed."""

from __future__ import annotations

import functools
import random
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.graph import Bar, Param, Program, Signals, Sizing, Strategy, bind, ta
from engine.graph.together import Together
from engine.live.risk_rule import RiskRule
from engine.live.setup import FeedRule, Placement, Setup, series_of
from engine.live.subaccount import Terms
from engine.risk import Limits
from engine.simulate import Costs
from pipelines import Bars
from pipelines.candles import Candle

__all__ = ["BARS", "CALM", "CASH", "HISTORY", "LIMITS", "POINTS", "Case", "bars_of", "limits_of", "setup_of"]

POINTS = ("before_send", "after_send", "after_ack", "mid_fill", "mid_cancel", "on_reconnect", "on_start")
HISTORY, BARS, CALM = 30, 16, 5  # bars before the run, with faults in it, and after them
MINUTE_MS = 60_000
CASH = 10_000.0
MIDNIGHT_MS = 1_700_006_400_000
LIMITS: dict[str, Any] = {
    "strategy": {
        "value_at_risk": "off", "correlation": "off", "reward_to_risk": "off", "trades_per_day": 4,
        "losses_in_a_row": "off", "cool_down_hours": "off",
    },
    "position": {"risk_per_trade": 0.02, "notional": 2500, "stop_atr": "off", "holding_hours": "off"},
    "portfolio": {"exposure": 0.5, "correlated_positions": "off", "daily_loss": 0.01},
    "account": {"weekly_loss": "off", "drawdown": 0.2, "leverage": 2.0},
}  # fmt: skip


class Long(Strategy):
    """In and out often, with a stop and a target."""

    length = Param(3, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        rsi, range_ = ta.rsi(bar.close, self.length), ta.atr(bar, 5)
        return Signals(entry=rsi < 55.0, exit=rsi > 70.0, stop=1.2 * range_, target=2.0 * range_)


class Both(Strategy):
    """Turn often, with a stop and a target."""

    length = Param(3, low=2, high=50)

    def signals(self, bar: Bar) -> Signals:
        rsi, range_ = ta.rsi(bar.close, self.length), ta.atr(bar, 5)
        below, above = rsi < 45.0, rsi > 55.0
        return Signals(
            entry=below, exit=above, short_entry=above, short_exit=below, stop=1.2 * range_, target=2.0 * range_
        )


@dataclass(frozen=True)
class Case:
    """A scenario.

    Attributes
    ----------
    seed : int
        Of bars, faults and moments.
    kind : str
        The fault, a name of the table; empty for none.
    point : str
        Among ``POINTS``: from when on it may act.
    bar : int
        Before which it is not armed.
    kill : str
        Where the process ends: ``write N before``, ``write N after`` (the N-th of the journal), or ``POINT``, once
        the bar is reached; empty: nowhere.
    power : bool
        Whether the machine ends with it: what was not on the disk is gone.
    down_s : float
        Until it is started again.
    spot, limit : bool
        Market, and whether entries and exits are limit orders.
    fill_share : float
        Of a bar's volume that an order may take.
    chase : str
        How a limit order goes on: ``follow`` the best price, also ``cross`` at its end, also only rest as a ``maker``,
        or fill at once (``ioc``) and cross; empty: it rests.
    amends : bool
        Whether the venue moves orders.
    stop_limit : float
        How far beyond a stop its limit lies.
    slippage : float
        What an entry may be estimated to pay; 0: no book is asked for.
    bars : int
        With faults in it.
    loose : bool
        Whether the limits on trades and losses are far away, so that it trades on.
    off : tuple of str
        Safeguards that are switched off, to see that their absence shows.
    """

    seed: int
    kind: str = ""
    point: str = ""
    bar: int = 3
    kill: str = ""
    power: bool = False
    down_s: float = 20.0
    spot: bool = False
    limit: bool = False
    fill_share: float = 0.0
    slippage: float = 0.0
    chase: str = ""
    amends: bool = False
    stop_limit: float = 0.0
    bars: int = BARS
    loose: bool = False
    off: tuple[str, ...] = field(default=())

    @property
    def protocol(self) -> str:
        """As the table of faults names it."""
        return "binance" if self.spot else "binanceusdm"

    @property
    def symbols(self) -> tuple[str, ...]:
        """What is traded."""
        return ("AAA/USDT", "BBB/USDT") if self.spot else ("AAA/USDT:USDT", "BBB/USDT:USDT", "CCC/USDT:USDT")

    @property
    def name(self) -> str:
        """The scenario in a line, enough to run it again."""
        parts = [f"seed={self.seed}"]
        for key in (
            "kind",
            "point",
            "kill",
            "power",
            "spot",
            "limit",
            "fill_share",
            "slippage",
            "chase",
            "amends",
            "stop_limit",
            "bar",
            "down_s",
            "loose",
            "off",
        ):
            value = getattr(self, key)
            if value:
                parts.append(f"{key}={','.join(value) if isinstance(value, tuple) else value}")
        return " ".join(parts)

    @classmethod
    def parse(cls, name: str) -> Case:
        """Return the scenario a name says."""
        given: dict[str, Any] = {}
        for found in re.finditer(r"(\w+)=(.*?)(?= \w+=|$)", name):
            key, value = found[1], found[2]
            if key in ("seed", "bar"):
                given[key] = int(value)
            elif key in ("power", "spot", "limit", "loose", "amends"):
                given[key] = value == "True"
            elif key in ("down_s", "fill_share", "slippage", "stop_limit"):
                given[key] = float(value)
            else:
                given[key] = tuple(value.split(",")) if key == "off" else value
        return cls(**given)

    @classmethod
    def drawn(cls, seed: int, **given: Any) -> Case:
        """Return a scenario of which the seed says what is not given."""
        draw = random.Random(seed)
        made: dict[str, Any] = {
            "bar": draw.randrange(2, BARS - 4),
            "power": draw.random() < 0.5,
            "down_s": draw.choice((1.0, 20.0, 90.0, 200.0)),
            "spot": draw.random() < 0.4,
            "limit": draw.random() < 0.4,
            "fill_share": draw.choice((0.0, 0.0, 0.02)),
            "slippage": draw.choice((0.0, 0.0, 0.005)),
            "chase": draw.choice(("", "follow", "cross", "maker", "ioc")),
            "amends": draw.random() < 0.5,
            "stop_limit": draw.choice((0.0, 0.0, 0.0, 0.004)),
        }
        return cls(seed, **{**made, **given})


@functools.cache
def bars_of(seed: int, k: int, bars: int = BARS) -> Bars:
    """Return minutes of a random walk around midnight, each opening where the last one closed."""
    draw = np.random.default_rng([seed, k])
    count = HISTORY + bars + CALM
    close = np.round(100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.004, count))), 2)
    open_ = np.concatenate(([100.0], close[:-1]))
    high = np.round(np.maximum(open_, close) * (1.0 + abs(draw.normal(0.0, 0.002, count))), 2) + 0.01
    low = np.round(np.minimum(open_, close) * (1.0 - abs(draw.normal(0.0, 0.002, count))), 2) - 0.01
    start = MIDNIGHT_MS - MINUTE_MS * (HISTORY + 9)
    time = start + MINUTE_MS * np.arange(count)
    return Bars.from_arrays(f"made:{k}:1m", "1m", time, open_, high, low, close, draw.uniform(400.0, 900.0, count))


def limits_of(case: Case) -> dict[str, Any]:
    """Return the limits of a scenario."""
    if not case.loose:
        return LIMITS
    return {
        **LIMITS,
        "strategy": {**LIMITS["strategy"], "trades_per_day": 100_000},
        "portfolio": {**LIMITS["portfolio"], "daily_loss": 0.9},
        "account": {**LIMITS["account"], "drawdown": 0.99},
    }


def costs_of(*, spot: bool) -> Costs:
    """Return what the venue asks."""
    return Costs(
        fee=0.001, slippage=0.0005, price_tick=0.01, quantity_step=0.001, min_notional=5.0,
        leverage=1.0 if spot else 3.0, initial_cash=CASH / (4 if spot else 3), short=not spot,
    )  # fmt: skip


@functools.cache
def programs(*, spot: bool) -> tuple[Program, ...]:
    """Return the programs of each symbol: two on a spot market, one on a contract, whose positions are one."""
    kind, sizing = (Long if spot else Both), Sizing.of("all_in", fraction=0.7)
    return tuple(bind(kind(), {"length": length}, sizing) for length in ((3, 4) if spot else (3,)))


def setup_of(case: Case) -> Setup:
    """Return what the run starts from: the programs after history, and the limits."""
    costs, placements = costs_of(spot=case.spot), []
    for k, symbol in enumerate(case.symbols):
        for j, program in enumerate(programs(spot=case.spot)):
            name = f"{'abc'[k]}{j + 1}"
            placements.append(
                Placement(name, f"{k}{j}".ljust(64, "d"), symbol, "1m", program, costs, 0.25 if case.spot else 0.33)
            )
    together = Together([(one.series, one.program) for one in placements])
    lasts = {}
    for k, symbol in enumerate(case.symbols):
        bars, series = bars_of(case.seed, k, case.bars), series_of(symbol, "1m")
        together.follow(series, bars.slice(0, HISTORY))
        values = [float(getattr(bars, name)[HISTORY - 1]) for name in ("open", "high", "low", "close", "volume")]
        lasts[series] = Candle(int(bars.time[HISTORY - 1]) * 1_000_000, *values)
    limits = None if "review" in case.off else Limits(**limits_of(case))
    terms = Terms(
        spot=case.spot,
        limit=case.limit,
        deadline_ns=70_000_000_000,
        pairs=case.spot,
        fills_ns=500_000_000,
        slippage=case.slippage,
        chase_ns=10_000_000_000 if case.chase in ("follow", "cross", "maker") else 0,
        cross=case.chase in ("cross", "maker", "ioc"),
        post_only=case.chase == "maker",
        time_in_force="ioc" if case.chase == "ioc" else "gtc",
        stop_limit=case.stop_limit,
        amends=case.amends and not case.spot,
    )
    feed = FeedRule(absence_ns=10_000_000_000, stale_ns=30_000_000_000)
    return Setup(tuple(placements), together.checkpoint(), lasts, feed, terms, RiskRule(limits, shared=True))

"""A portfolio moment by moment, in dictionaries and floats: the oracle of the compiled one and of its limits.

Owns who is asked when, what the account is worth, and what each limit means.  Must not import the engine.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tests.naive.simulation import Bars, Decisions, _Account, _gap_or_level
from tests.naive.sizing import Costs, Reading, Sizing, _stepped, affordable, order_quantity

HOUR = 3_600_000
DAY = 24 * HOUR
Limits = Mapping[str, float]  # dotted names; those that are off are absent


@dataclass
class Leg:
    """One strategy on one symbol; ``series`` names its bars, ``timeframe_ms`` of which is their length."""

    name: str
    series: str
    strategy: str
    bars: Bars
    decisions: Decisions
    costs: Costs
    sizing: Sizing
    share: float = 1.0


@dataclass
class _State:
    leg: Leg
    account: _Account
    close_due: str = ""
    entry_due: dict[str, float] | None = None
    mark: float = math.nan
    met: float | None = None
    pending: float = 0.0
    seen: int = 0
    losses: int = 0
    cool_until: float = -math.inf
    entries: dict[int, int] = field(default_factory=dict)

    @property
    def quantity(self) -> float:
        p = self.account.position
        return p["side"] * p["quantity"] if p else 0.0

    def opens(self, t: int) -> int:
        return int(self.leg.bars.number[t]) * self.leg.bars.timeframe_ms

    def closes(self, t: int) -> int:
        return self.opens(t) + self.leg.bars.timeframe_ms


@dataclass(frozen=True)
class Refused:
    """An entry that a limit refused or made smaller."""

    time: int
    leg: str
    limit: str
    let: float


class Portfolio:
    """One account.

    ``equity`` is a list of (ms, value); ``refused`` in the order it happened.
    """

    def __init__(self, legs: Sequence[Leg], cash: float, limits: Limits, shared: bool) -> None:
        total = max(1.0, sum(leg.share for leg in legs))
        self.states = []
        for leg in legs:
            account = _Account(leg.costs, leg.sizing, leg.decisions.trailing)
            account.cash = cash * leg.share / total
            self.states.append(_State(leg, account))
        self.reserve = cash - sum(s.account.cash for s in self.states)
        self.limits, self.shared = limits, shared
        self.equity: list[tuple[int, float]] = []
        self.refused: list[Refused] = []
        self.history: dict[str, dict[int, float]] = {leg.series: {} for leg in legs}
        self.peak = cash
        self.days: dict[int, float] = {}  # equity at the start of each day, of each week
        self.weeks: dict[int, float] = {}
        self.over: set[int] = set()
        self.paused = self.stopped = False
        self.last = cash

    def worth(self, met: bool = False) -> float:
        total = self.reserve
        for s in self.states:
            price = s.met if met and s.met is not None else s.mark
            total += s.account.cash + (s.quantity * price if s.quantity else 0.0)
        return total

    def run(self) -> Portfolio:
        moments: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for k, s in enumerate(self.states):
            for t in range(len(s.leg.bars)):
                moments.setdefault((s.closes(t), 0), []).append((k, t))
                moments.setdefault((s.opens(t), 1), []).append((k, t))
        for (time, kind), who in sorted(moments.items()):
            if kind == 1:
                self._open(sorted(who))
            else:
                self._close(time, sorted(who))
        return self

    def _open(self, who: list[tuple[int, int]]) -> None:
        for k, t in who:
            s = self.states[k]
            if s.close_due:
                s.account.leave(t, float(s.leg.bars.open[t]), s.close_due)
                s.met = _last_price(s)
            s.close_due = ""
        for k, t in who:
            s = self.states[k]
            due, s.entry_due, s.pending = s.entry_due, None, 0.0
            if not due:
                continue
            cash, side = s.account.cash, int(due["side"])
            if self.shared:
                cash = self.reserve
                for j, other in enumerate(self.states):
                    cash += other.account.cash
                    if j != k and other.quantity:
                        worth = other.quantity * other.mark
                        cash += worth - abs(worth) / other.leg.costs.leverage
            price = s.account.slipped(float(s.leg.bars.open[t]), side)
            quantity = affordable(due["quantity"], price, cash, s.leg.costs)
            if quantity > 0.0 or s.leg.sizing.kind == "kelly":
                s.account.enter(t, side, quantity, price, due["stop"], due["target"])
                if quantity > 0.0:
                    s.met = price

    def _close(self, time: int, who: list[tuple[int, int]]) -> None:
        for k, t in who:
            self._within(self.states[k], t)
            s = self.states[k]
            s.mark = float(s.leg.bars.close[t])
            self.history[s.leg.series][time] = s.mark
            for trade in s.account.trades[s.seen :]:
                s.losses = 0 if trade.profit > 0.0 else s.losses + 1
                if s.losses >= self.limits.get("strategy.losses_in_a_row", math.inf):
                    s.cool_until = time + self.limits.get("strategy.cool_down_hours", 0.0) * HOUR
            s.seen = len(s.account.trades)
        self._observe(time)
        for k, t in who:
            self._decide(k, t, time)

    def _within(self, s: _State, t: int) -> None:
        p = s.account.position
        if not p:
            return
        bar = {name: float(getattr(s.leg.bars, name)[t]) for name in ("open", "high", "low", "close")}
        if p["bar"] < t:
            s.account.trail(bar["open"])
        hit = _gap_or_level(p, bar)
        if hit:
            real = p["quantity"] > 0.0
            s.account.leave(t, hit[1], hit[0])
            s.met = _last_price(s) if real else s.met
        else:
            s.account.trail(bar["high"] if p["side"] > 0 else bar["low"])

    def _observe(self, time: int) -> None:
        now = self.worth()
        low = min(now, self.worth(met=True))
        for s in self.states:
            s.met = None
        ended, begun = (time - 1) // DAY, time // DAY
        self.days.setdefault(ended, self.last)
        self.weeks.setdefault((ended + 3) // 7, self.last)
        if low <= self.days[ended] * (1.0 - self.limits.get("portfolio.daily_loss", math.inf)):
            self.over.add(ended)
        if low <= self.weeks[(ended + 3) // 7] * (1.0 - self.limits.get("account.weekly_loss", math.inf)):
            self.paused = True
        if low <= self.peak * (1.0 - self.limits.get("account.drawdown", math.inf)):
            self.stopped = True
        self.peak = max(self.peak, now)
        self.days.setdefault(begun, now)
        self.weeks.setdefault((begun + 3) // 7, now)
        self.last = now
        self.equity.append((time, now))

    def _decide(self, k: int, t: int, time: int) -> None:
        s = self.states[k]
        d, account = s.leg.decisions, s.account
        never = np.zeros(len(s.leg.bars), np.bool_)
        entry = {+1: bool(d.long_entry[t]), -1: bool((never if d.short_entry is None else d.short_entry)[t])}
        leave = {+1: bool(d.long_exit[t]), -1: bool((never if d.short_exit is None else d.short_exit)[t])}
        fresh = {side: entry[side] and not leave[side] for side in (+1, -1)}
        wanted = 0
        if account.position:
            side = int(account.position["side"])
            if leave[side] or entry[-side]:
                s.close_due = "signal"
            elif d.max_hold > 0 and t - int(account.position["bar"]) + 1 >= d.max_hold:
                s.close_due = "max_hold"
            if s.close_due and fresh[-side]:
                wanted = -side
        elif fresh[+1] != fresh[-1]:
            wanted = +1 if fresh[+1] else -1
        if self.stopped and s.quantity and not s.close_due:
            s.close_due = "risk"
        if wanted:
            s.entry_due = self._order(k, t, wanted, time)

    def _order(self, k: int, t: int, side: int, time: int) -> dict[str, float] | None:
        s = self.states[k]
        distances = {}
        for name, series in (("stop", s.leg.decisions.stop), ("target", s.leg.decisions.target)):
            distances[name] = math.nan if series is None else float(series[t])
            if series is not None and not distances[name] > 0.0:
                return None
        close = s.mark
        reference = s.account.slipped(close, side)
        reading = s.account.reading(close)
        if self.shared:
            paid = abs(s.quantity) * close * (s.leg.costs.slippage + s.leg.costs.fee)
            reading = Reading(self.last * s.leg.share - paid, reading.closed_profit, reading.returns)
        kelly = s.leg.sizing.kind == "kelly"
        quantity = order_quantity(reading, reference, distances["stop"], s.leg.costs, s.leg.sizing)
        if quantity > 0.0:
            quantity = self._review(k, quantity, reference, distances, time)
        if quantity <= 0.0 and not kelly:
            return None
        s.pending = quantity
        return {"side": side, "quantity": quantity, **distances}

    def _review(self, k: int, quantity: float, reference: float, distances: dict[str, float], time: int) -> float:
        s, limits, equity, day = self.states[k], self.limits, self.last, time // DAY
        most = {name: limits.get(name, math.inf) for name in ALL}
        others = [o for j, o in enumerate(self.states) if j != k and (o.quantity or o.pending > 0.0)]

        def no(limit: str, let: float = 0.0) -> float:
            self.refused.append(Refused(time, s.leg.name, limit, let))
            return let

        if self.stopped:
            return no("account.drawdown")
        if self.paused:
            return no("account.weekly_loss")
        if day in self.over:
            return no("portfolio.daily_loss")
        closes = [price for _, price in sorted(self.history[s.leg.series].items())][-2:]
        if len(closes) == 2 and abs(closes[1] / closes[0] - 1.0) > most["operation.price_band"]:
            return no("operation.price_band")
        if time < s.cool_until:
            return no("strategy.losses_in_a_row")
        today = sum(o.entries.get(day, 0) for o in self.states if o.leg.strategy == s.leg.strategy)
        if today + 1 > most["strategy.trades_per_day"]:
            return no("strategy.trades_per_day")
        reward = limits.get("strategy.reward_to_risk", 0.0)
        if not any(map(math.isnan, distances.values())) and distances["target"] < reward * distances["stop"]:
            return no("strategy.reward_to_risk")
        if "strategy.value_at_risk" in limits and self._at_risk(s.leg.series) > most["strategy.value_at_risk"]:
            return no("strategy.value_at_risk")
        alike = [self._correlation(s.leg.series, o.leg.series) for o in others]
        if alike and max(alike) > most["strategy.correlation"]:
            return no("strategy.correlation")
        if "portfolio.correlated_positions" in limits:
            near = sum(c > most["portfolio.correlation"] for c in alike)
            if near + 1 > most["portfolio.correlated_positions"]:
                return no("portfolio.correlated_positions")
        beside = sum((abs(o.quantity) + o.pending) * o.mark for o in others)
        distance = reference if math.isnan(distances["stop"]) else distances["stop"]
        unit = distance + reference * (s.leg.costs.slippage + 2 * s.leg.costs.fee)
        caps = [(most["position.risk_per_trade"] * equity / unit, "position.risk_per_trade")]
        if s.leg.sizing.kind == "kelly":
            caps.append((most["position.kelly"] * equity / reference, "position.kelly"))
        caps.append((most["position.notional"] / reference, "position.notional"))
        caps.append((max(most["account.leverage"] * equity - beside, 0.0) / reference, "account.leverage"))
        cap, name = min(caps, key=lambda x: x[0])
        shrunk = quantity > cap
        if shrunk:
            quantity = _stepped(cap, s.leg.costs)
            if quantity <= 0.0 or quantity * reference < s.leg.costs.min_notional:
                return no(name)
        notional = beside + quantity * reference
        needed = limits.get("account.maintenance_rate", 0.0) * notional
        if notional > most["portfolio.exposure"] * equity:
            return no("portfolio.exposure")
        if needed > most["account.margin"] * equity:
            return no("account.margin")
        if equity - needed < limits.get("account.liquidation_distance", 0.0) * notional:
            return no("account.liquidation_distance")
        s.entries[day] = s.entries.get(day, 0) + 1
        return no(name, quantity) if shrunk else quantity

    def _common(self, a: str, b: str) -> tuple[list[float], list[float]]:
        both = sorted(set(self.history[a]) & set(self.history[b]))[-251:]
        pairs: list[list[float]] = [[], []]
        for before, after in itertools.pairwise(both):
            for out, name in zip(pairs, (a, b), strict=True):
                out.append(self.history[name][after] / self.history[name][before] - 1.0)
        return pairs[0], pairs[1]

    def _correlation(self, a: str, b: str) -> float:
        x, y = self._common(a, b)
        return 1.0 if a == b or len(x) < 60 else float(np.corrcoef(x, y)[0, 1])

    def _at_risk(self, series: str) -> float:
        found = sorted(self._common(series, series)[0])
        return math.inf if len(found) < 60 else -found[math.ceil(0.05 * len(found) - 1e-9) - 1]


def _last_price(s: _State) -> float:
    return s.account.trades[-1].exit_price if s.account.trades else math.nan


ALL = (
    "strategy.value_at_risk", "strategy.correlation", "strategy.trades_per_day", "position.risk_per_trade",
    "position.kelly", "portfolio.exposure", "portfolio.correlated_positions", "portfolio.correlation",
    "account.leverage", "account.margin", "position.notional", "operation.price_band",
)  # fmt: skip

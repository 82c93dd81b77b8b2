"""The pit of the local exchange: what fills within a bar, in the order of the simulation, and what is liquidated.

At the open: what is due, then positions the open leaves without margin.  Within the range: stops as far as the price
goes before a position is liquidated, then liquidation, then targets and limits.
"""

from __future__ import annotations

import math
from dataclasses import replace

from engine.kernels import grid
from engine.venue import margin
from engine.venue.account import Account
from engine.venue.desk import Desk
from engine.venue.events import BalanceChanged, Levels, Liquidated, PositionChanged, Trade
from engine.venue.matching import Price, at_open, at_trade, in_range, order_of_play
from engine.venue.order import Asked, Execution, Order
from engine.venue.plainly import plainly
from engine.venue.settling import affordable, settle
from engine.venue.tape import Tape
from engine.venue.traded import TradedTape

__all__ = ["Pit"]

_to_step = plainly(grid.to_step)
_to_tick = plainly(grid.to_tick)
_DEEPEST = 1000  # levels of a recorded book
_STOPS = 1  # the class of stops in the order of play


class Pit(Desk):
    """A desk whose orders fill against bars, or recorded trades and books.

    Attributes
    ----------
    fill_share : float
        The part of a bar's (or trade's) volume an order may take in it, 0 for all it asks.
    """

    fill_share = 0.0
    _next_trade = 1

    def liquidate(self, account: Account, symbol: str, price: float) -> Order | None:
        """Close a position at a price as the venue does when its margin is gone; cancels what rests in that currency.

        Returns the venue's own order, None if nothing is held.  What is lost beyond the wallet the venue bears.
        """
        tape = self.tape(symbol)
        position, market = margin.held(account, tape), tape.market
        if not position.quantity:
            return None
        for order in account.open_orders():
            if self.tapes[order.asked.symbol].market.linear and market.settle in order.asked.symbol.partition(":")[2]:
                self._end(order, "canceled")
        side = "sell" if position.quantity > 0.0 else "buy"
        asked = Asked(symbol, side, "market", abs(position.quantity), f"autoclose-{self._next_order}", reduce_only=True)  # type: ignore[arg-type]
        order = self._take(account, asked, 0.0)
        order.liquidation = True
        self._fill(order, tape, Price(price, False), order.rest)
        rest = any(one.quantity for one in account.positions.values() if one.settle == market.settle)
        if not rest and account.cash[market.settle] < 0.0:
            account.cash[market.settle] = 0.0
            self._tell(BalanceChanged(account.key, (market.settle,), self.time_ms))
        self._tell(Liquidated(account.key, symbol, position.quantity, price, self.time_ms))
        return order

    def fill(self, order: Order, share: float = 1.0) -> None:
        """Fill a share of what is left of an open order now, between bars: at its limit, or at the last price.

        No bar says so: it is what a fault does, such as a fill that races a cancel.
        """
        tape = self.tapes[order.asked.symbol]
        quantity = order.rest if share >= 1.0 else float(_to_step(share * order.rest, tape.market.quantity_step, 0.0))
        if quantity > 0.0:
            self._fill(order, tape, Price(order.asked.price or tape.last, bool(order.asked.price)), quantity)

    # --- what happens within a bar

    def _match(self, tape: Tape, *, at_the_open: bool) -> None:
        if not tape.market.trading:
            return
        symbol = tape.market.symbol
        orders = [one for one in self._open_orders.values() if one.asked.symbol == symbol]
        orders = sorted((one for one in orders if one.active_ms <= self.time_ms), key=order_of_play)
        if at_the_open:
            for order in orders:
                if order.open:
                    self._try(order, tape, at_open(order, float(tape.bars.open[tape.shown]), tape.market.slippage))
                self._expire_at_once(order)
            self._liquidate_beyond(tape, at_the_open=True)
            return
        stops = [one for one in orders if order_of_play(one)[0] <= _STOPS]
        for order in stops:
            if order.open:
                self._try(order, tape, self._price_in_range(order, tape, *self._before_liquidation(order, tape)))
        self._liquidate_beyond(tape, at_the_open=False)
        for order in orders:
            if order.open and order_of_play(order)[0] > _STOPS:
                self._try(order, tape, self._price_in_range(order, tape, math.inf, 0.0))
        self._liquidate_beyond(tape, at_the_open=False)
        for order in orders:
            if order.active_ms > tape.bars.time[tape.shown]:
                self._expire_at_once(order)

    def _match_trade(self, tape: TradedTape, trade: Trade) -> None:
        """Fill what a recorded trade lets fill, orders that take against the recorded book where it is known."""
        if not tape.market.trading:
            return
        symbol = tape.market.symbol
        orders = [one for one in self._open_orders.values() if one.asked.symbol == symbol]
        for order in sorted((one for one in orders if one.active_ms <= trade.time_ms), key=order_of_play):
            if not order.open:
                continue
            price = at_trade(order, trade.price, tape.market.slippage)
            levels = tape.levels(_DEEPEST)[0 if order.asked.side == "sell" else 1]
            if price is not None and levels and not price.maker:
                self._walk(order, tape, levels)
            else:
                self._try(order, tape, price, trade.quantity)
            self._expire_at_once(order)
        self._liquidate_beyond(tape, at_the_open=True)

    def _walk(self, order: Order, tape: Tape, levels: Levels) -> None:
        """Fill an order against the levels of a book, each at its own price, as far as its limit lets it."""
        self._resolve(order, tape)
        limit, side, step = order.asked.price, 1.0 if order.asked.side == "buy" else -1.0, tape.market.quantity_step
        within = [(price, amount) for price, amount in levels if not limit or side * price <= side * limit]
        if order.asked.time_in_force == "fok" and sum(amount for _, amount in within) < order.rest:
            return
        for price, amount in within:
            most = min(order.rest, float(_to_step(amount, step, 0.0)))
            if order.open and most > 0.0:
                self._fill(order, tape, Price(price, False), most)

    def _expire_at_once(self, order: Order) -> None:
        if order.open and order.asked.time_in_force != "gtc":
            self._end(order, "expired")

    def _price_in_range(self, order: Order, tape: Tape, most: float, least: float) -> Price | None:
        """Return what an order fills at within the bar that is open, as far as the price goes between two bounds.

        For an order that reaches the market within the bar, the bar begins then.
        """
        slippage = tape.market.slippage
        open, high, low = tape.rest(order.active_ms)
        if order.active_ms > tape.bars.time[tape.shown]:
            price = at_open(order, open, slippage)
            if price is not None:
                return price
        return in_range(order, open, min(high, most), max(low, least), slippage)

    def _before_liquidation(self, order: Order, tape: Tape) -> tuple[float, float]:
        """Return how high and how low the price goes before the account's position is liquidated."""
        account = self.accounts[order.account]
        level = margin.liquidation_price(account, tape, self.tapes) if tape.market.linear else math.nan
        if math.isnan(level):
            return math.inf, 0.0
        return (math.inf, level) if margin.held(account, tape).quantity > 0.0 else (level, 0.0)

    def _liquidate_beyond(self, tape: Tape, *, at_the_open: bool) -> None:
        if not tape.market.linear:
            return
        for account in self.accounts.values():
            quantity = margin.held(account, tape).quantity
            level = margin.liquidation_price(account, tape, self.tapes)
            if math.isnan(level):
                continue
            high, low = tape.mark_range()
            if at_the_open:
                high = low = tape.mark
            worst = low if quantity > 0.0 else high
            if (worst <= level) if quantity > 0.0 else (worst >= level):
                price = worst if at_the_open else float(_to_tick(level, tape.market.price_tick))
                self.liquidate(account, tape.market.symbol, price)

    def _resolve(self, order: Order, tape: Tape) -> None:
        """Give an order that closes the position its quantity."""
        if order.asked.close_position:
            quantity = abs(margin.held(self.accounts[order.account], tape).quantity)
            order.asked = replace(order.asked, quantity=order.filled + quantity)

    def _try(self, order: Order, tape: Tape, price: Price | None, volume: float | None = None) -> None:
        """Fill an order at a price, as much as its share of the volume (else the bar's) lets it."""
        if price is None:
            return
        self._resolve(order, tape)
        most = order.rest
        if self.fill_share > 0.0:
            volume = float(tape.bars.volume[tape.shown]) if volume is None else volume
            most = min(most, float(_to_step(self.fill_share * volume, tape.market.quantity_step, 0.0)))
        if order.asked.time_in_force == "fok" and most < order.rest:
            return
        if most > 0.0:
            self._fill(order, tape, price, most)

    def _fill(self, order: Order, tape: Tape, price: Price, most: float) -> None:
        account, other = self.accounts[order.account], self._part(order)
        quantity = affordable(order, tape, price, most, account, self.tapes)
        if quantity <= 0.0:
            for one in (order, other):
                if one is not None:
                    self._end(one, "expired")
            return
        fee, realized = settle(order, tape, price, quantity, account, self.time_ms)
        order.filled += quantity
        order.spent += quantity * price.price
        done = Execution(
            self._next_trade,
            order.order_id,
            order.asked.symbol,
            order.asked.side,
            price.price,
            quantity,
            fee,
            price.maker,
            self.time_ms,
            realized,
        )
        self._next_trade += 1
        order.executions.append(done)
        whole = order.rest <= 1e-12 * order.asked.quantity
        order.becomes("filled" if whole else "partially_filled", self.time_ms)
        if whole:
            del self._open_orders[order.order_id]
        order.locked = 0.0 if whole or tape.market.linear else self._still_binds(order, tape, account)
        self._bind(account)
        self._tell_order(order, done)
        if other is not None:
            self._end(other, "expired")
        if tape.market.linear:
            self._tell(PositionChanged(account.key, margin.held(account, tape), self.time_ms))
            self._expire_reducing(account, tape)
        if order.open and quantity < most:
            self._end(order, "expired")

    def _still_binds(self, order: Order, tape: Tape, account: Account) -> float:
        """Return what the rest of a partly filled order binds on a spot market."""
        market = tape.market
        currency = market.pays_in(order.asked.side)
        free = account.available(currency) + order.locked
        price = order.asked.price or order.asked.stop_price or tape.last
        rest = order.rest if order.asked.side == "sell" else order.rest * price * (1.0 + market.taker_fee)
        return max(0.0, min(rest, free))

    def _expire_reducing(self, account: Account, tape: Tape) -> None:
        """End the orders that only reduce once there is nothing left for them to reduce."""
        position = margin.held(account, tape)
        for order in account.open_orders(tape.market.symbol):
            signed = 1.0 if order.asked.side == "buy" else -1.0
            if order.asked.only_reduces and not position.closing(signed):
                self._end(order, "expired")

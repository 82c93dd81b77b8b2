"""The local exchange itself: accounts, orders and recorded bars.  It knows no protocol, no wall clock and no chance.

A bar is played in two halves, in the order of the simulation.  ``open_bar``: what was ordered before fills at the open
(market orders; stops, targets and limits the open is beyond).  ``close_bar``: within the range first stops at their
level, then targets and limits at theirs; then the candle closes.  An order sent between the halves, such as the stop
of a position just filled, acts in the range of the same bar; a market order sent then waits for the next open.

Fees are paid in quote currency.  If cash does not cover a market buy at its fill, the quantity shrinks and the rest
expires.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.simulate import formulas
from engine.venue.account import Account
from engine.venue.checks import check
from engine.venue.events import BalanceChanged, BookChanged, CandleChanged, Event, OrderChanged, Trade, Traded
from engine.venue.market import Market
from engine.venue.matching import Price, at_open, in_range, order_of_play, slipped
from engine.venue.order import Asked, Execution, Order, Rejected, State
from engine.venue.plainly import plainly
from engine.venue.tape import Tape
from parquet_store.errors import Usage, unknown
from parquet_store.timeframe import Timeframe
from pipelines import Bars

__all__ = ["Venue"]

_to_step = plainly(formulas.to_step)


class Venue:
    """A spot exchange over recorded bars.

    Parameters
    ----------
    series : mapping of Market to Bars
        All of one timeframe.
    history : int
        Bars that are known before the first one is played; at least 1 of each series stays to be played.
    fill_share : float
        The part of a bar's volume an order may take in it, 0 for all it asks; the rest stays for the next bar.

    Attributes
    ----------
    time_ms : int
        Venue time, ms since the epoch: the open or the last millisecond of the bar played last.
    """

    def __init__(self, series: Mapping[Market, Bars], *, history: int = 0, fill_share: float = 0.0) -> None:
        frames = {bars.timeframe for bars in series.values()}
        if len(frames) != 1:
            raise Usage(f"venue: found series of {', '.join(sorted(frames)) or 'no timeframe'}, expected one timeframe")
        if not 0.0 <= fill_share <= 1.0:
            raise Usage(f"venue: fill_share is {fill_share:g}, expected 0 to 1")
        self.timeframe = frames.pop()
        length = Timeframe.parse(self.timeframe)
        number = next(iter(series.values())).number
        self.length_ms = int(length.open_ms(number[:1] + 1)[0] - length.open_ms(number[:1])[0])
        self.fill_share = fill_share
        self.tapes: dict[str, Tape] = {}
        for market, bars in series.items():
            if not 0 <= history < len(bars):
                raise Usage(f"venue: {market.symbol}: history is {history}, expected 0 to {len(bars) - 1} bars")
            self.tapes[market.symbol] = Tape(market, bars, self.length_ms, history)
        self.accounts: dict[str, Account] = {}
        self.time_ms = min(int(t.bars.time[0]) for t in self.tapes.values()) if not history else self._latest()
        self._listeners: list[Callable[[Event], None]] = []
        self._open_orders: dict[int, Order] = {}
        self._next_order, self._next_trade = 1, 1
        self._playing: list[Tape] = []

    def _latest(self) -> int:
        return max(int(t.bars.time[t.shown - 1]) for t in self.tapes.values()) + self.length_ms - 1

    # --- accounts and listeners

    def open_account(self, key: str, secret: str, amounts: Mapping[str, float]) -> Account:
        """Return a new account with these free amounts, by currency."""
        account = self.accounts[key] = Account(key, secret, {name: float(value) for name, value in amounts.items()})
        return account

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call a function with every event from now on; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tape(self, symbol: str) -> Tape:
        """Return the market data of a symbol."""
        if symbol not in self.tapes:
            raise unknown("symbol", symbol, self.tapes)
        return self.tapes[symbol]

    # --- orders

    def place(self, account: Account, asked: Asked) -> Order:
        """Take an order.

        Raises
        ------
        Rejected
            With the reason: symbol, quantity, price, notional, balance, duplicate, trigger, match.
        """
        if asked.symbol not in self.tapes:
            raise Rejected("symbol", f"unknown symbol {asked.symbol}")
        tape = self.tapes[asked.symbol]
        client_id = asked.client_id or f"venue{self._next_order}"
        before = account.by_client_id.get(client_id)
        if before is not None and before.open:
            raise Rejected("duplicate", f"client id {client_id} is that of the open order {before.order_id}")
        need = check(asked, tape.market, tape.last, account)
        takes = asked.kind == "market" or (
            asked.kind == "limit" and (tape.last <= asked.price if asked.side == "buy" else tape.last >= asked.price)
        )
        asked = replace(asked, client_id=client_id)
        order = Order(self._next_order, account.key, asked, self.time_ms, takes, updated_ms=self.time_ms)
        self._next_order += 1
        account.lock(tape.market.quote if asked.side == "buy" else tape.market.base, need)
        order.locked = need
        account.orders[order.order_id] = account.by_client_id[client_id] = order
        self._open_orders[order.order_id] = order
        self._tell_order(order, None)
        return order

    def find(self, account: Account, symbol: str, *, order_id: int = 0, client_id: str = "") -> Order:
        """Return an order of the account by either id.

        Raises
        ------
        Rejected
            Reason ``unknown_order``.
        """
        order = account.orders.get(order_id) if order_id else account.by_client_id.get(client_id)
        if order is None or order.asked.symbol != symbol:
            raise Rejected("unknown_order", f"no order {order_id or client_id} of {symbol}")
        return order

    def cancel(self, order: Order) -> Order:
        """Cancel an open order.

        Raises
        ------
        Rejected
            Reason ``unknown_order`` if it is no longer open.
        """
        if not order.open:
            raise Rejected("unknown_order", f"order {order.order_id} is {order.state}")
        self._end(order, "canceled")
        return order

    # --- time

    def open_bar(self) -> bool:
        """Open the next bar of every symbol that has one at the earliest time left; False when none is left.

        Raises
        ------
        Usage
            If the bar before has not been closed.
        """
        if self._playing:
            raise Usage("venue: a bar is open: close it before the next one is opened")
        due = [time for tape in self.tapes.values() if (time := tape.next_open_ms) is not None]
        if not due:
            return False
        self.time_ms = min(due)
        self._playing = [tape for tape in self.tapes.values() if tape.next_open_ms == self.time_ms]
        for tape in self._playing:
            tape.opened = True
            self._match(tape, at_the_open=True)
        for tape in self._playing:
            self._tell_market(tape, tape.shown, tape.trades_of(tape.shown))
        return True

    def close_bar(self) -> None:
        """Play the range of the open bar and close it.

        Raises
        ------
        Usage
            If no bar is open.
        """
        if not self._playing:
            raise Usage("venue: no bar is open: open one first")
        self.time_ms += self.length_ms - 1
        for tape in self._playing:
            self._match(tape, at_the_open=False)
            tape.shown += 1
            tape.opened = False
        for tape in self._playing:
            self._tell_market(tape, tape.shown - 1, tape.trades_of(tape.shown - 1)[1:])
        self._playing = []

    def release(self) -> bool:
        """Play one whole bar; False when none is left."""
        if self._playing:
            self.close_bar()
            return True
        if not self.open_bar():
            return False
        self.close_bar()
        return True

    # --- what happens within a bar

    def _match(self, tape: Tape, *, at_the_open: bool) -> None:
        bars, at, market = tape.bars, tape.shown, tape.market
        open, high, low = float(bars.open[at]), float(bars.high[at]), float(bars.low[at])
        orders = [order for order in self._open_orders.values() if order.asked.symbol == market.symbol]
        for order in sorted(orders, key=order_of_play):
            if at_the_open:
                price = at_open(order, open, market.slippage)
            else:
                price = in_range(order, open, high, low, market.slippage)
            most = order.rest
            if self.fill_share > 0.0:
                most = min(most, _to_step(self.fill_share * float(bars.volume[at]), market.quantity_step, 0.0))
            if price is not None and order.asked.time_in_force == "fok" and most < order.rest:
                price = None
            if price is not None and most > 0.0:
                self._fill(order, tape.market, price, most)
            if order.open and order.asked.time_in_force != "gtc" and at_the_open:
                self._end(order, "expired")

    def _fill(self, order: Order, market: Market, price: Price, quantity: float) -> None:
        account, buys = self.accounts[order.account], order.asked.side == "buy"
        rate = market.maker_fee if price.maker else market.taker_fee
        currency = market.quote if buys else market.base
        account.release(currency, order.locked)
        short_of_cash = False
        if buys:
            need = price.price * (1.0 + rate)
            if quantity * need > account.free.get(currency, 0.0):
                covered = _to_step(max(account.free.get(currency, 0.0), 0.0) / need, market.quantity_step, 0.0)
                quantity, short_of_cash = min(quantity, covered), True
                if quantity <= 0.0 or quantity * price.price < market.min_notional:
                    account.lock(currency, order.locked)
                    self._end(order, "expired")
                    return
        notional = quantity * price.price
        fee = rate * notional
        account.add(market.base, quantity if buys else -quantity)
        account.add(market.quote, -(notional + fee) if buys else notional - fee)
        order.filled += quantity
        order.spent += notional
        done = Execution(
            self._next_trade,
            order.order_id,
            market.symbol,
            order.asked.side,
            price.price,
            quantity,
            fee,
            price.maker,
            self.time_ms,
        )
        self._next_trade += 1
        order.executions.append(done)
        whole = order.rest <= 1e-12 * order.asked.quantity
        order.locked = 0.0 if whole else max(0.0, min(self._binds(order, market), account.free.get(currency, 0.0)))
        account.lock(currency, order.locked)
        order.becomes("filled" if whole else "partially_filled", self.time_ms)
        if whole:
            del self._open_orders[order.order_id]
        self._tell_order(order, done)
        if short_of_cash and order.open:
            self._end(order, "expired")

    def _binds(self, order: Order, market: Market) -> float:
        """Return what the rest of a partly filled order binds."""
        if order.asked.side == "sell":
            return order.rest
        price = order.asked.price or order.asked.stop_price or slipped(self.tapes[market.symbol].last, "buy", 0.0)
        return order.rest * price * (1.0 + market.taker_fee)

    def _end(self, order: Order, state: State) -> None:
        market = self.tapes[order.asked.symbol].market
        self.accounts[order.account].release(market.quote if order.asked.side == "buy" else market.base, order.locked)
        order.locked = 0.0
        order.becomes(state, self.time_ms)
        del self._open_orders[order.order_id]
        self._tell_order(order, None)

    # --- what is told

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _tell_order(self, order: Order, execution: Execution | None) -> None:
        market = self.tapes[order.asked.symbol].market
        self._tell(OrderChanged(order.account, order, order.state, execution, self.time_ms))
        self._tell(BalanceChanged(order.account, (market.base, market.quote), self.time_ms))

    def _tell_market(self, tape: Tape, at: int, trades: list[Trade]) -> None:
        symbol = tape.market.symbol
        for trade in trades:
            self._tell(Traded(symbol, trade))
        tape.update += 1
        bids, asks = tape.book()
        self._tell(BookChanged(symbol, tape.update, bids, asks, self.time_ms))
        self._tell(CandleChanged(symbol, tape.candle(at)))

"""The desk of the local exchange: accounts, the orders it takes and ends, and what it tells of them.

It fills nothing and knows no time but the one it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.venue import margin
from engine.venue.account import Account
from engine.venue.checks import check
from engine.venue.events import BalanceChanged, Event, OrderChanged, PositionChanged
from engine.venue.market import Market
from engine.venue.order import Asked, Execution, Order, Rejected, State
from engine.venue.position import Margin, Position
from engine.venue.tape import Tape
from parquet_store.errors import unknown

__all__ = ["Desk"]


class Desk:
    """Accounts and orders.

    Attributes
    ----------
    tapes : dict of str to Tape
        Market data by symbol.
    accounts : dict of str to Account
        By key.
    latency_ms : int
        Venue time from taking an order until it reaches the market.
    time_ms : int
        Venue time, ms since the epoch.
    """

    def __init__(self, tapes: dict[str, Tape], time_ms: int) -> None:
        self.tapes = tapes
        self.accounts: dict[str, Account] = {}
        self.time_ms = time_ms
        self.latency_ms = 0
        self._pairs: dict[int, tuple[Order, Order]] = {}
        self._listeners: list[Callable[[Event], None]] = []
        self._open_orders: dict[int, Order] = {}
        self._next_order = 1

    # --- accounts and listeners

    def open_account(self, key: str, secret: str, amounts: Mapping[str, float]) -> Account:
        """Return a new account that owns these amounts, by currency."""
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

    def change(self, market: Market) -> None:
        """Replace what a market asks of orders, as when its precision changes or it is delisted."""
        self.tape(market.symbol).market = market

    # --- positions

    def position(self, account: Account, symbol: str) -> Position:
        """Return what an account holds of a contract, quantity 0 if nothing."""
        return margin.held(account, self.tape(symbol))

    def margin(self, account: Account, settle: str = "USDT") -> Margin:
        """Return the margin of an account in one settle currency."""
        return margin.margin(account, settle, self.tapes)

    def mark_price(self, symbol: str) -> float:
        """Return the price that profit and margin are counted at."""
        return self.tape(symbol).mark

    def unrealized(self, account: Account, symbol: str) -> float:
        """Return the profit of what is held of a contract at its mark price, settle currency."""
        return self.position(account, symbol).profit(self.mark_price(symbol))

    def liquidation_price(self, account: Account, symbol: str) -> float:
        """Return the mark price at which a position would be liquidated, NaN if there is none."""
        return margin.liquidation_price(account, self.tape(symbol), self.tapes)

    def set_leverage(self, account: Account, symbol: str, leverage: float) -> Position:
        """Set how much notional an amount of margin carries.

        Raises
        ------
        Rejected
            Reason ``leverage`` outside 1 to the market's most or on a spot market; ``margin`` if what is held and
            ordered would bind more than there is.
        """
        tape = self.tape(symbol)
        if not (tape.market.linear and 1.0 <= leverage <= tape.market.max_leverage):
            raise Rejected(
                "leverage",
                f"leverage {leverage:g} of {symbol}: expected 1 to {tape.market.max_leverage:g}, on a contract",
            )
        before = margin.held(account, tape)
        account.positions[symbol] = after = replace(before, leverage=float(leverage))
        self._bind(account)
        found = self.margin(account, tape.market.settle)
        if after.leverage < before.leverage and found.initial > found.wallet + found.unrealized:
            account.positions[symbol] = before
            self._bind(account)
            raise Rejected("margin", f"leverage {leverage:g}: what is held and ordered would bind {found.initial:g}")
        self._tell(PositionChanged(account.key, after, self.time_ms))
        return after

    # --- orders

    def place(self, account: Account, asked: Asked) -> Order:
        """Take an order.

        Raises
        ------
        Rejected
            With the reason: symbol, trading, quantity, price, notional, balance, margin, reduce_only, duplicate,
            trigger, match.
        """
        tape = self._asked(account, asked)
        return self._take(account, asked, check(asked, tape, account, self.tapes))

    @property
    def next_order_id(self) -> int:
        """The number the next order will have; its listeners are told of it before ``place`` returns."""
        return self._next_order

    def place_pair(self, account: Account, first: Asked, second: Asked) -> tuple[Order, Order]:
        """Take two orders of which one cancels the other: a stop, and a target that is a limit or take-profit order.

        They bind their quantity once.  Once one of them fills, were it in part, the other expires; one that is
        cancelled takes the other with it.

        Raises
        ------
        Rejected
            As ``place`` does for either, before any is taken; reason ``pair`` if they do not belong together.
        """
        stops = [one.kind in ("stop", "stop_limit") for one in (first, second)]
        same = (first.symbol, first.side, first.quantity) == (second.symbol, second.side, second.quantity)
        if not same or sorted(stops) != [False, True] or "market" in (first.kind, second.kind):
            raise Rejected("pair", "a pair is a stop and a target of one symbol, side and quantity")
        if first.client_id and first.client_id == second.client_id:
            raise Rejected("duplicate", f"client id {first.client_id} is that of both orders of a pair")
        needs = []
        for asked in (first, second):
            tape = self._asked(account, asked)
            needs.append(check(asked, tape, account, self.tapes))
            if asked.kind == "limit" and (
                tape.last <= asked.price if asked.side == "buy" else tape.last >= asked.price
            ):
                raise Rejected("pair", f"limit {asked.price:g} would take: the last price is {tape.last:g}")
        pair = self._next_order
        one = self._take(account, first, max(needs), pair)
        two = self._take(account, second, 0.0, pair)
        self._pairs[pair] = one, two
        return one, two

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

    def amend(self, order: Order, quantity: float, price: float) -> Order:
        """Give a limit order that rests another quantity, what has filled included, and another price.

        Raises
        ------
        Rejected
            Reason ``unknown_order`` if it is no longer open, or no limit order; ``quantity`` if as much has filled;
            ``match`` if it was to rest only and would not; else as ``place`` does.  It stays as it was.
        """
        if not order.open or order.asked.kind not in ("limit", "limit_maker"):
            raise Rejected("unknown_order", f"order {order.order_id} is {order.state}, a {order.asked.kind} order")
        if not quantity > order.filled:
            raise Rejected("quantity", f"order {order.order_id}: {order.filled:g} of {quantity:g} has filled")
        account, tape, bound = self.accounts[order.account], self.tapes[order.asked.symbol], order.locked
        asked = replace(order.asked, quantity=quantity, price=price)
        order.locked = 0.0
        self._bind(account)
        try:
            order.locked = check(replace(asked, quantity=quantity - order.filled), tape, account, self.tapes)
        except Rejected:
            order.locked = bound
            self._bind(account)
            raise
        order.asked, order.updated_ms, order.active_ms = asked, self.time_ms, self.time_ms + self.latency_ms
        order.takes = tape.last <= price if asked.side == "buy" else tape.last >= price
        self._bind(account)
        self._tell_order(order, None)
        return order

    def _asked(self, account: Account, asked: Asked) -> Tape:
        if asked.symbol not in self.tapes:
            raise Rejected("symbol", f"unknown symbol {asked.symbol}")
        before = account.by_client_id.get(asked.client_id)
        if before is not None and before.open:
            raise Rejected("duplicate", f"client id {asked.client_id} is that of the open order {before.order_id}")
        return self.tapes[asked.symbol]

    def _take(self, account: Account, asked: Asked, locked: float, pair_id: int = 0) -> Order:
        last, number = self.tapes[asked.symbol].last, self._next_order
        takes = asked.kind == "market" or (
            asked.kind == "limit" and (last <= asked.price if asked.side == "buy" else last >= asked.price)
        )
        asked = replace(asked, client_id=asked.client_id or f"venue{number}")
        now = self.time_ms
        order = Order(number, account.key, asked, now, takes, locked=locked, updated_ms=now, pair_id=pair_id)
        order.active_ms = now + self.latency_ms
        self._next_order += 1
        account.orders[number] = account.standing[number] = account.by_client_id[asked.client_id] = order
        self._open_orders[number] = order
        self._bind(account)
        self._tell_order(order, None)
        return order

    def _part(self, order: Order) -> Order | None:
        """Undo the pair of an order: what the pair binds is the order's; return the other one."""
        pair = self._pairs.pop(order.pair_id, None)
        if pair is None:
            return None
        other = pair[1] if order is pair[0] else pair[0]
        order.locked, other.locked = order.locked + other.locked, 0.0
        return other

    def _end(self, order: Order, state: State) -> None:
        other = self._part(order)
        order.locked = 0.0
        order.becomes(state, self.time_ms)
        del self._open_orders[order.order_id]
        self._bind(self.accounts[order.account])
        self._tell_order(order, None)
        if other is not None:
            self._end(other, state)

    def _bind(self, account: Account) -> None:
        account.locked = margin.bound(account, self.tapes)

    # --- what is told

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _tell_order(self, order: Order, execution: Execution | None) -> None:
        market = self.tapes[order.asked.symbol].market
        self._tell(OrderChanged(order.account, order, order.state, execution, self.time_ms))
        currencies = (market.settle,) if market.linear else (market.base, market.quote)
        self._tell(BalanceChanged(order.account, currencies, self.time_ms))

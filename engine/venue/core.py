"""The local exchange itself: accounts, orders and recorded bars.  It knows no protocol, no wall clock and no chance.

A bar is played in two halves, in the order of the simulation.  ``open_bar``: what was ordered before fills at the open
(market orders; stops, targets and limits the open is beyond).  ``close_bar``: within the range first stops at their
level, then targets and limits at theirs; then the candle closes.  An order sent between the halves, such as the stop
of a position just filled, acts in the range of the same bar; a market order sent then fills at once, at the open.

Fees are paid in quote currency, on contracts in settle currency.  If cash does not cover a fill, the quantity shrinks
and the rest expires.  Funding at a bar's open is paid on what is held before anything fills there, at the open.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.venue.account import Account
from engine.venue.events import BalanceChanged, BookChanged, CandleChanged, FundingPaid, Trade, Traded
from engine.venue.funding import Funding, Rates, Schedule
from engine.venue.market import Market
from engine.venue.matching import at_open
from engine.venue.order import Asked, Order
from engine.venue.pit import Pit
from engine.venue.recorded import Depth, Trades
from engine.venue.tape import Tape
from engine.venue.traded import TradedTape
from parquet_store.errors import Usage
from parquet_store.timeframe import Timeframe
from pipelines import Bars

__all__ = ["Venue"]

_NEVER = 1 << 62


class Venue(Pit):
    """An exchange over recorded bars: spot markets, and perpetuals in one-way mode with cross margin.

    Parameters
    ----------
    series : mapping of Market to Bars
        All of one timeframe.
    history : int
        Bars that are known before the first one is played; at least 1 of each series stays to be played.
    fill_share : float
        The part of a bar's volume an order may take in it, 0 for all it asks; the rest stays for the next bar.
    latency_ms : int
        Venue time from an order's arrival until it takes part.  One that does so within a bar meets what is left of
        it: the trades made from the bar from then on.
    funding : mapping of str to (times, rates)
        Recorded funding by symbol: ms since the epoch, fractions of the notional that who is long pays.
    marks : mapping of str to Bars
        Mark prices by symbol, of the same timeframe; else the last price is the mark.
    trades : mapping of str to Trades
        Recorded trades by symbol.  A bar that has some plays by them: its first at its open, the others in its range.
    books : mapping of str to Depth
        Recorded books of symbols with trades: what takes walks their levels, without slippage.

    Attributes
    ----------
    time_ms : int
        Venue time, ms since the epoch: the open or the last millisecond of the bar played last.

    Raises
    ------
    Usage
        If the series do not fit each other, or a number is out of its bounds.
    """

    def __init__(
        self,
        series: Mapping[Market, Bars],
        *,
        history: int = 0,
        fill_share: float = 0.0,
        latency_ms: int = 0,
        funding: Mapping[str, Rates] | None = None,
        marks: Mapping[str, Bars] | None = None,
        trades: Mapping[str, Trades] | None = None,
        books: Mapping[str, Depth] | None = None,
    ) -> None:
        frames = {bars.timeframe for bars in (*series.values(), *(marks or {}).values())}
        if len(frames) != 1:
            raise Usage(f"venue: found series of {', '.join(sorted(frames)) or 'no timeframe'}, expected one timeframe")
        if not 0.0 <= fill_share <= 1.0:
            raise Usage(f"venue: fill_share is {fill_share:g}, expected 0 to 1")
        if latency_ms < 0:
            raise Usage(f"venue: latency_ms is {latency_ms}, expected 0 or more")
        self.timeframe = frames.pop()
        length = Timeframe.parse(self.timeframe)
        number = next(iter(series.values())).number
        self.length_ms = int(length.open_ms(number[:1] + 1)[0] - length.open_ms(number[:1])[0])
        tapes: dict[str, Tape] = {}
        for market, bars in series.items():
            if not 0 <= history < len(bars):
                raise Usage(f"venue: {market.symbol}: history is {history}, expected 0 to {len(bars) - 1} bars")
            symbol, mark = market.symbol, (marks or {}).get(market.symbol)
            if trades is not None and symbol in trades:
                book = (books or {}).get(symbol)
                tapes[symbol] = TradedTape(market, bars, self.length_ms, history, trades[symbol], book, mark)
            else:
                tapes[symbol] = Tape(market, bars, self.length_ms, history, mark)
        now = min(int(t.bars.time[0]) for t in tapes.values()) if not history else _latest(tapes)
        super().__init__(tapes, now)
        self.fill_share, self.latency_ms = fill_share, latency_ms
        self._playing: list[Tape] = []
        self._funding = {symbol: Schedule(symbol, (), (), now) for symbol in tapes}
        for symbol, (times, rates) in (funding or {}).items():
            if not self.tape(symbol).market.linear:
                raise Usage(f"venue: found funding of {symbol}, expected it of contracts only")
            self._funding[symbol] = Schedule(symbol, times, rates, now)

    def funding(self, symbol: str) -> Funding:
        """Return what is known of a contract's funding."""
        self.tape(symbol)
        return self._funding[symbol].known(self.time_ms)

    def funding_history(self, symbol: str) -> list[tuple[int, float]]:
        """Return (time in ms, rate) of a contract's funding so far, oldest first."""
        self.tape(symbol)
        return self._funding[symbol].history()

    def flip_funding(self, symbol: str) -> None:
        """Turn the sign of all rates of a contract that are not paid yet."""
        self.tape(symbol)
        self._funding[symbol].flip()

    def place(self, account: Account, asked: Asked) -> Order:
        """Take an order; a market order sent while a bar is open fills at once, at the open, the price of that moment.

        Raises
        ------
        Rejected
            As the desk does.
        """
        order = super().place(account, asked)
        tape = self.tapes[asked.symbol]
        if asked.kind == "market" and tape in self._playing and not _by_trade(tape) and order.active_ms <= self.time_ms:
            if tape.market.trading:
                self._try(order, tape, at_open(order, tape.last, tape.market.slippage))
            self._expire_at_once(order)
            self._bind_all()
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
        self._pay_funding(self.time_ms - 1)
        self._playing = [tape for tape in self.tapes.values() if tape.next_open_ms == self.time_ms]
        for tape in self._playing:
            tape.opened = True
        self._pay_funding(self.time_ms)
        by_bar = [tape for tape in self._playing if not _by_trade(tape)]
        for tape in by_bar:
            self._match(tape, at_the_open=True)
        for one in sorted((tape for tape in self._playing if _by_trade(tape)), key=_next_trade_ms):
            self._play_trade(one)
        for tape in self._playing:
            self._tell_market(tape, tape.shown, tape.trades_of(tape.shown) if tape in by_bar else [])
        self._bind_all()
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
        end_ms = int(self._playing[0].bars.time[self._playing[0].shown]) + self.length_ms - 1
        self.advance(end_ms)
        self.time_ms = end_ms
        self._pay_funding(end_ms)
        by_bar = [tape for tape in self._playing if not _by_trade(tape)]
        for tape in by_bar:
            self._match(tape, at_the_open=False)
        for tape in self._playing:
            tape.shown += 1
            tape.opened = False
        for tape in self._playing:
            trades = tape.trades_of(tape.shown - 1)[1:] if tape in by_bar else []
            self._tell_market(tape, tape.shown - 1, trades)
        self._bind_all()
        self._playing = []

    def advance(self, until_ms: int) -> None:
        """Play the recorded trades of the open bar that happen until a moment; without any it does nothing."""
        while True:
            due = [tape for tape in self._playing if _next_trade_ms(tape) <= until_ms]
            if not due:
                return
            self._play_trade(min(due, key=_next_trade_ms))

    def _play_trade(self, tape: Tape) -> None:
        assert isinstance(tape, TradedTape)
        trade = tape.take()
        self.time_ms = max(self.time_ms, trade.time_ms)
        self._pay_funding(self.time_ms)
        self._match_trade(tape, trade)
        self._tell(Traded(tape.market.symbol, trade))
        if tape.depth is not None:
            self._tell_book(tape)

    def release(self) -> bool:
        """Play one whole bar; False when none is left."""
        if self._playing:
            self.close_bar()
            return True
        if not self.open_bar():
            return False
        self.close_bar()
        return True

    def _bind_all(self) -> None:
        for account in self.accounts.values():
            self._bind(account)

    def _pay_funding(self, until_ms: int) -> None:
        """Pay what became due until a moment, at the mark price of now."""
        for symbol, schedule in self._funding.items():
            for time_ms, rate in schedule.due(until_ms):
                for account in self.accounts.values():
                    held, market = self.position(account, symbol), self.tapes[symbol].market
                    if not held.quantity:
                        continue
                    amount = -(held.quantity * self.mark_price(symbol) * rate)
                    account.add(market.settle, amount)
                    paid = FundingPaid(account.key, symbol, amount, rate, time_ms)
                    account.funding.append(paid)
                    self._tell(paid)
                    self._tell(BalanceChanged(account.key, (market.settle,), self.time_ms))

    def _tell_market(self, tape: Tape, at: int, trades: list[Trade]) -> None:
        symbol = tape.market.symbol
        for trade in trades:
            self._tell(Traded(symbol, trade))
        self._tell_book(tape)
        self._tell(CandleChanged(symbol, tape.candle(at)))

    def _tell_book(self, tape: Tape) -> None:
        tape.update += 1
        bids, asks = tape.book()
        self._tell(BookChanged(tape.market.symbol, tape.update, bids, asks, self.time_ms))


def _by_trade(tape: Tape) -> bool:
    return isinstance(tape, TradedTape) and tape.by_trade


def _next_trade_ms(tape: Tape) -> int:
    at = tape.next_trade_ms if isinstance(tape, TradedTape) else None
    return _NEVER if at is None else at


def _latest(tapes: Mapping[str, Tape]) -> int:
    return max(int(t.bars.time[t.shown - 1]) for t in tapes.values()) + next(iter(tapes.values())).length_ms - 1

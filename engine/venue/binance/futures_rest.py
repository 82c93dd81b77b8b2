"""Binance's USD-M futures REST interface over a venue: market data, account and positions under ``/fapi``."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from engine.venue.account import Account
from engine.venue.binance import futures_say as words
from engine.venue.binance import say
from engine.venue.binance.codes import FUTURES, Problem
from engine.venue.binance.routes import Params, Private, Public, Routes, limited, number, whole
from engine.venue.market import plain
from engine.venue.tape import Tape

__all__ = ["FuturesRest"]


class FuturesRest(Routes):
    """Routes and what answers them; orders have a class of their own."""

    reasons = FUTURES
    windows = (("10S", 10_000), ("1M", 60_000))
    most_candles = 1500

    def add_to(self, app: web.Application) -> None:
        """Add the routes under ``/fapi/v1`` to ``/fapi/v3``."""
        public: dict[str, tuple[int, Public]] = {
            "ping": (1, lambda params: {}),
            "time": (1, lambda params: {"serverTime": self.guard.clock()}),
            "exchangeInfo": (1, self.exchange_info),
            "klines": (5, self.klines),
            "markPriceKlines": (5, self.mark_klines),
            "trades": (5, lambda params: _futures(self.trades(params, aggregate=False))),
            "aggTrades": (20, lambda params: _futures(self.trades(params, aggregate=True))),
            "depth": (5, lambda params: self.depth(params) | {"E": self.venue.time_ms, "T": self.venue.time_ms}),
            "ticker/24hr": (1, self.of_each(lambda tape: words.ticker(tape, self.venue.time_ms, streamed=False))),
            "ticker/bookTicker": (2, self.of_each(self._best)),
            "ticker/price": (1, self.of_each(lambda tape: say.last(tape) | {"time": self.venue.time_ms})),
            "premiumIndex": (1, self.of_each(self._premium)),
            "fundingRate": (1, self.funding_rates),
            "fundingInfo": (1, self.funding_info),
        }
        for path, (weight, answer) in public.items():
            app.router.add_get(f"/fapi/v1/{path}", self.public(weight, answer))
        app.router.add_get("/fapi/v2/ticker/price", self.public(1, public["ticker/price"][1]))
        private: list[tuple[str, str, int, Private]] = [
            ("GET", "v2/account", 5, lambda account, params: self._account(account, all_symbols=True)),
            ("GET", "v3/account", 5, lambda account, params: self._account(account, all_symbols=False)),
            ("GET", "v2/balance", 5, self.balance),
            ("GET", "v3/balance", 5, self.balance),
            ("GET", "v2/positionRisk", 5, lambda account, params: self._positions(account, params, flat=True)),
            ("GET", "v3/positionRisk", 5, lambda account, params: self._positions(account, params, flat=False)),
            ("GET", "v1/leverageBracket", 1, self.leverage_brackets),
            ("GET", "v1/symbolConfig", 5, self.symbol_config),
            ("GET", "v1/commissionRate", 20, self.commission),
            ("GET", "v1/income", 30, self.income),
            ("POST", "v1/leverage", 1, self.leverage),
            ("POST", "v1/marginType", 1, self.margin_type),
            ("GET", "v1/positionSide/dual", 30, lambda account, params: {"dualSidePosition": False}),
            ("POST", "v1/positionSide/dual", 1, self.position_mode),
        ]
        for method, path, weight, signed in private:
            app.router.add_route(method, f"/fapi/{path}", self.private(weight, signed))

    # --- public

    def exchange_info(self, params: Params) -> Any:
        """Return all markets, their filters and the request limits."""
        limits = [("REQUEST_WEIGHT", "MINUTE", 1, self.guard.weight_limit)]
        settles = sorted({tape.market.settle for tape in self.by_id.values()})
        return {
            "timezone": "UTC",
            "serverTime": self.guard.clock(),
            "futuresType": "U_MARGINED",
            "rateLimits": [
                {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": most}
                for kind, interval, count, most in limits
            ],
            "exchangeFilters": [],
            "assets": [{"asset": name, "marginAvailable": True, "autoAssetExchange": "0"} for name in settles],
            "symbols": [words.market(tape.market) for tape in self.by_id.values()],
        }

    def mark_klines(self, params: Params) -> Any:
        """Return candles of the mark price, of the venue's own timeframe."""
        tape = self.tape(params)
        return [
            say.candle(words.mark_candle(tape.candle(int(tape.bars.time.searchsorted(row[0]))), tape))
            for row in self.klines(params)
        ]

    def _best(self, tape: Tape) -> Any:
        return {"lastUpdateId": tape.update} | say.best(tape) | {"time": self.venue.time_ms}

    def _premium(self, tape: Tape) -> Any:
        return words.premium(tape, self.venue.funding(tape.market.symbol), self.venue.time_ms)

    def funding_rates(self, params: Params) -> Any:
        """Return the funding paid so far, oldest first: the first rows from ``startTime`` on, else the last."""
        tapes = [self.tape(params)] if "symbol" in params else list(self.by_id.values())
        start, end = whole(params.get("startTime", "0")), whole(params.get("endTime", str(1 << 60)))
        rows = [
            {"symbol": tape.market.id, "fundingRate": plain(rate), "fundingTime": time_ms, "markPrice": ""}
            for tape in tapes
            for time_ms, rate in self.venue.funding_history(tape.market.symbol)
            if start <= time_ms <= end
        ]
        rows.sort(key=lambda row: int(str(row["fundingTime"])))
        limit = limited(params, 100, 1000)
        return rows[:limit] if "startTime" in params else rows[-limit:]

    def funding_info(self, params: Params) -> Any:
        """Return the interval of every contract's funding."""
        return [
            {
                "symbol": tape.market.id,
                "adjustedFundingRateCap": "0.03000000",
                "adjustedFundingRateFloor": "-0.03000000",
                "fundingIntervalHours": self.venue.funding(tape.market.symbol).interval_ms // 3_600_000,
                "disclaimer": False,
            }
            for tape in self.by_id.values()
        ]

    # --- private

    def _account(self, account: Account, *, all_symbols: bool) -> Any:
        return words.account(account, self.venue.tapes, self.venue.time_ms, all_symbols=all_symbols)

    def balance(self, account: Account, params: Params) -> Any:
        """Return what the account has of each currency."""
        return words.balance(account, self.venue.tapes, self.venue.time_ms)

    def _positions(self, account: Account, params: Params, *, flat: bool) -> Any:
        tapes = [self.tape(params)] if "symbol" in params else list(self.by_id.values())
        return [
            words.position(account, tape, self.venue.tapes, self.venue.time_ms)
            for tape in tapes
            if flat
            or self.venue.position(account, tape.market.symbol).quantity
            or account.open_orders(tape.market.symbol)
        ]

    def leverage_brackets(self, account: Account, params: Params) -> Any:
        """Return the most leverage and the maintenance rate of every contract."""
        found = self.of_each(lambda tape: words.brackets(tape.market))(params)
        return found if isinstance(found, list) else [found]

    def symbol_config(self, account: Account, params: Params) -> Any:
        """Return margin mode and leverage of every contract."""
        found = self.of_each(lambda tape: words.config(account, tape))(params)
        return found if isinstance(found, list) else [found]

    def commission(self, account: Account, params: Params) -> Any:
        """Return the fees of a contract."""
        one = self.tape(params).market
        rates = {"makerCommissionRate": plain(one.maker_fee), "takerCommissionRate": plain(one.taker_fee)}
        return {"symbol": one.id} | rates

    def income(self, account: Account, params: Params) -> Any:
        """Return what funding, closed positions and fees brought, oldest first."""
        only = {self.tape(params).market.symbol} if "symbol" in params else set(self.venue.tapes)
        rows: list[tuple[int, str, str, float, int]] = [
            (one.time_ms, "FUNDING_FEE", one.symbol, one.amount, one.time_ms) for one in account.funding
        ]
        for order in account.orders.values():
            for done in order.executions:
                rows.append((done.time_ms, "COMMISSION", done.symbol, -done.fee, done.trade_id))
                if done.realized:
                    rows.append((done.time_ms, "REALIZED_PNL", done.symbol, done.realized, done.trade_id))
        start, end = whole(params.get("startTime", "0")), whole(params.get("endTime", str(1 << 60)))
        kept = sorted(
            row
            for row in rows
            if row[2] in only and start <= row[0] <= end and row[1] == params.get("incomeType", row[1])
        )
        limit = limited(params, 100, 1000)
        return [
            {
                "symbol": self.venue.tapes[symbol].market.id,
                "incomeType": kind,
                "income": plain(amount),
                "asset": self.venue.tapes[symbol].market.settle,
                "info": kind,
                "time": time_ms,
                "tranId": told,
                "tradeId": "" if kind == "FUNDING_FEE" else str(told),
            }
            for time_ms, kind, symbol, amount, told in (kept[:limit] if "startTime" in params else kept[-limit:])
        ]

    def leverage(self, account: Account, params: Params) -> Any:
        """Set the leverage of a contract, a whole number."""
        tape = self.tape(params)
        leverage = number(params.get("leverage", ""))
        if leverage != int(leverage):
            raise Problem("leverage")
        found = self.venue.set_leverage(account, tape.market.symbol, leverage)
        return {"leverage": int(found.leverage), "maxNotionalValue": "1000000000000", "symbol": tape.market.id}

    def margin_type(self, account: Account, params: Params) -> Any:
        """Refuse: margin is crossed, and nothing else is known here."""
        self.tape(params)
        raise Problem("margin_type" if params.get("marginType") == "CROSSED" else "mode")

    def position_mode(self, account: Account, params: Params) -> Any:
        """Refuse: an account has one position a contract, and nothing else is known here."""
        raise Problem("position_mode" if params.get("dualSidePosition", "").lower() == "false" else "mode")


def _futures(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return trades without what only spot has."""
    return [{name: value for name, value in row.items() if name not in ("M", "isBestMatch")} for row in rows]

"""What a venue says of an account besides its orders: what it has and holds, what its key may do, what funding paid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from engine.execution.answers import balance_of
from engine.execution.contracts import to_base
from engine.execution.market_data import MarketData
from engine.execution.orders import Balance, Payment
from engine.execution.rights import KeyRights, rights_of

__all__ = ["AccountData"]

FUNDED: Final = ("binanceusdm", "okx")


class AccountData(MarketData):
    """A venue's account; its parameters are `engine.execution.exchange.Exchange`'s."""

    async def rights(self) -> KeyRights:
        """Return what the key may do besides trading."""
        return await rights_of(self.client, lambda call: self._ask(call, "read"))

    @property
    def has_dead_man(self) -> bool:
        """Whether the venue cancels orders by itself once it is not told any more that somebody is there."""
        return self.venue == "okx"

    async def still_here(self, seconds: int) -> None:
        """Have the venue cancel what waits in its book if it is not told again within so long; 0: never.

        On OKX stops and targets are algo orders, and stay.
        """
        await self._ask(self.client.privatePostTradeCancelAllAfter({"timeOut": str(seconds)}), "read")

    async def set_leverage(self, symbol: str, leverage: float) -> None:
        """Set the largest notional over margin of a perpetual; a whole number, rounded up."""
        market = self._market(symbol)
        if not market["spot"]:
            await self._ask(self.client.set_leverage(math.ceil(leverage), symbol), "read", symbol)

    async def balances(self) -> list[Balance]:
        """Return what the account has, of each currency it has any of."""
        return balance_of(await self._ask(self.client.fetch_balance(), "read"))

    async def holdings(self, symbols: Sequence[str]) -> dict[str, float]:
        """Return what the account holds of some symbols, whoever bought it: base currency, negative when short."""
        if not symbols:
            return {}
        if not self._market(symbols[0]).get("contract"):
            has = {one.currency: one.free + one.used for one in await self.balances()}
            return {symbol: has.get(self._market(symbol)["base"], 0.0) for symbol in symbols}
        rows = await self._ask(self.client.fetch_positions(list(symbols)), "read")
        found = dict.fromkeys(symbols, 0.0)
        for row in rows:
            if row["symbol"] in found and row.get("contracts"):
                size = float(self._market(row["symbol"]).get("contractSize") or 1.0)
                held = to_base(float(row["contracts"]), size)
                found[row["symbol"]] += -held if row.get("side") == "short" else held
        return found

    async def funding(self, since_ms: int) -> list[Payment]:
        """Return the funding that was paid or taken since a moment, oldest first."""
        rows = await self._ask(self.client.fetch_funding_history(None, since_ms), "read")
        return [
            Payment(str(row["id"]), row["symbol"], float(row["amount"]), int(row["timestamp"]) * 1_000_000)
            for row in rows
        ]

    @property
    def pays_funding(self) -> bool:
        """Whether the venue's markets here are perpetuals whose funding it tells."""
        return self.venue in FUNDED and bool(self.client.has.get("fetchFundingHistory"))

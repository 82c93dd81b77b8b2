"""What a market of the local exchange asks of an order, and how its numbers are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from engine.simulate import Costs
from parquet_store.errors import Usage

__all__ = ["Market", "plain", "whole"]


@dataclass(frozen=True)
class Market:
    """A spot market, or a perpetual contract that is settled in its quote currency.

    Attributes
    ----------
    symbol, base, quote : str
        As CCXT writes them: ``BTC/USDT`` or ``BTC/USDT:USDT``, ``BTC``, ``USDT``.
    price_tick, quantity_step, min_quantity, min_notional : float
        Quote, base, base and quote currency; prices and quantities are whole multiples of the first two.
    maker_fee, taker_fee : float
        Fractions of the notional, always paid in quote (or settle) currency, as the simulation does.
    slippage : float
        Fraction of the price against every order that takes.
    kind : str
        ``spot`` or ``linear``.
    settle : str
        What profit is paid in; on spot markets the quote currency.
    contract_size : float
        Base currency a contract; quantities here are base currency all the same.
    leverage, max_leverage : float
        What an account begins with, and the most it can set.
    maintenance_rate : float
        Fraction of the notional that equity must exceed.
    trading : bool
        Whether orders are taken and filled.
    """

    symbol: str
    base: str
    quote: str
    price_tick: float
    quantity_step: float
    min_quantity: float
    min_notional: float
    maker_fee: float
    taker_fee: float
    slippage: float
    kind: Literal["spot", "linear"] = "spot"
    settle: str = ""
    contract_size: float = 1.0
    leverage: float = 1.0
    max_leverage: float = 125.0
    maintenance_rate: float = 0.004
    trading: bool = True

    @property
    def id(self) -> str:
        """The symbol as Binance writes it, ``BTCUSDT``."""
        return self.base + self.quote

    @property
    def linear(self) -> bool:
        """Whether it is a contract, with positions."""
        return self.kind == "linear"

    def pays_in(self, side: str) -> str:
        """Return the currency an order of a side binds."""
        return self.settle if self.linear else self.quote if side == "buy" else self.base

    @classmethod
    def of(
        cls,
        symbol: str,
        costs: Costs,
        *,
        maker_fee: float | None = None,
        maintenance_rate: float = 0.004,
        max_leverage: float = 125.0,
    ) -> Market:
        """Return the market of a symbol under the costs of a simulation; steps of 0 become 1e-8, as venues have some.

        The quantity step of a contract is in base currency, however the costs count it; accounts begin with the
        leverage of the costs.

        Raises
        ------
        Usage
            If the symbol is neither a spot pair nor a perpetual settled in its quote currency.
        """
        base, slash, rest = symbol.partition("/")
        quote, colon, settle = rest.partition(":")
        if not (base and slash and quote) or (colon and settle != quote):
            raise Usage(
                f'venue: found the symbol "{symbol}", expected a spot pair such as BTC/USDT or a perpetual settled in '
                "its quote currency such as BTC/USDT:USDT"
            )
        step = costs.quantity_step * (costs.contract_size or 1.0) or 1e-8
        return cls(
            symbol=symbol,
            base=base,
            quote=quote,
            price_tick=costs.price_tick or 1e-8,
            quantity_step=step,
            min_quantity=step,
            min_notional=costs.min_notional,
            maker_fee=costs.fee if maker_fee is None else maker_fee,
            taker_fee=costs.fee,
            slippage=costs.slippage,
            kind="linear" if colon else "spot",
            settle=quote,
            contract_size=costs.contract_size or 1.0,
            leverage=costs.leverage if colon else 1.0,
            max_leverage=max(max_leverage, costs.leverage),
            maintenance_rate=maintenance_rate,
        )


def plain(value: float) -> str:
    """Return a number in decimal digits without an exponent; read back it is the same float."""
    return format(Decimal(repr(float(value))), "f")


def whole(value: float, step: float) -> bool:
    """Return whether a value is a multiple of a step, up to rounding of its binary form."""
    if step <= 0.0:
        return True
    times = value / step
    return math.isfinite(times) and abs(times - round(times)) <= max(1e-9, 4e-16 * abs(times)) * 2.0

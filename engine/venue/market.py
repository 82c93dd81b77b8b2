"""What a market of the local exchange asks of an order, and how its numbers are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from engine.simulate import Costs
from parquet_store.errors import Usage

__all__ = ["Market", "plain", "whole"]


@dataclass(frozen=True)
class Market:
    """A spot market.

    Attributes
    ----------
    symbol, base, quote : str
        As CCXT writes them: ``BTC/USDT``, ``BTC``, ``USDT``.
    price_tick, quantity_step, min_quantity, min_notional : float
        Quote, base, base and quote currency; prices and quantities are whole multiples of the first two.
    maker_fee, taker_fee : float
        Fractions of the notional, always paid in quote currency, as the simulation does.
    slippage : float
        Fraction of the price against every order that takes.
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

    @property
    def id(self) -> str:
        """The symbol as Binance writes it, ``BTCUSDT``."""
        return self.base + self.quote

    @classmethod
    def of(cls, symbol: str, costs: Costs, *, maker_fee: float | None = None) -> Market:
        """Return the market of a symbol under the costs of a simulation; steps of 0 become 1e-8, as venues have some.

        Raises
        ------
        Usage
            If the symbol is no spot pair.
        """
        base, slash, quote = symbol.partition("/")
        if not (base and slash and quote) or ":" in quote:
            raise Usage(f'venue: found the symbol "{symbol}", expected a spot pair such as BTC/USDT')
        step = costs.quantity_step or 1e-8
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

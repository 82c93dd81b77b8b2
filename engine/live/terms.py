"""How a sub-account trades: what the settings and the venue say of its orders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.execution.orders import TimeInForce

__all__ = ["Terms"]

_SECOND: Final = 1_000_000_000


@dataclass(frozen=True)
class Terms:
    """How a sub-account trades.

    Attributes
    ----------
    spot : bool
        Whether what is held is bound by resting orders, so that they go before the position can be left.
    paper : bool
        Whether the simulation's kernel fills, and nothing is sent.
    limit : bool
        Whether positions are entered and left by limit orders at the last close.
    deadline_ns : int
        After which a limit order is cancelled; what was to be left then goes at market.
    pairs : bool
        Whether the venue takes a stop and a target of which one cancels the other.
    latency_ns : int
        On paper: how long after a bar's open an order of the close before it fills, at the price of then.
    fills_ns : int
        How long the stream is waited for to tell the fills of an order that has filled, before they are asked for.
    slippage : float
        The most an entry at market may be estimated to pay beyond the best price, as a fraction; 0: not looked at.
    chase_ns : int
        How often a limit order that rests is moved to the best price of its own side; 0: it stays where it is.
    reach : float
        How far from the close a limit order is moved at most, and an entry crosses, as a fraction.
    cross : bool
        Whether what is left of an entry at its deadline is sent at market.
    post_only : bool
        Whether limit entries may only rest; they go to the best price of their own side where the close would cross.
    time_in_force : str
        Of limit entries; ``ioc`` and ``fok`` do not rest.
    stop_limit : float
        How far beyond a stop its limit lies, as a fraction; 0: stops trade at market.
    amends : bool
        Whether the venue moves a limit order that rests; else it is cancelled and another one sent.
    """

    spot: bool = True
    paper: bool = False
    limit: bool = False
    deadline_ns: int = 20 * _SECOND
    pairs: bool = True
    latency_ns: int = 0
    fills_ns: int = 0
    slippage: float = 0.0
    chase_ns: int = 0
    reach: float = 0.005
    cross: bool = False
    post_only: bool = False
    time_in_force: TimeInForce = "gtc"
    stop_limit: float = 0.0
    amends: bool = False

"""Where an order is best sent: at one of several venues or split among them, after fees, depth and the least they take.

Given which venues take part, and that each takes its least, the cheapest split takes the levels of all books in the
order of their prices after fees: marginal prices only grow.  Which venues take part is tried out, all subsets of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from engine.execution.slippage import Levels
from engine.kernels import grid
from parquet_store.errors import Usage

__all__ = ["MOST_OFFERS", "Offer", "Part", "Route", "routed"]

MOST_OFFERS: Final = 8  # venues, of which all subsets are tried
_SAME: Final = 1e-9  # of a quantity: what is less is rounding
_to_step = grid.to_step.py_func  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Offer:
    """What a venue has to offer.

    Attributes
    ----------
    venue : str
    levels : sequence of (price, quantity)
        Of the side that is taken, the best first, in base currency.
    fee : float
        The taker's, as a fraction of the notional.
    step : float
        Quantities are whole multiples of it, base currency; 0: any quantity is taken.
    min_quantity : float
        Base currency.
    min_notional : float
        Quote currency.
    at_most : float
        What the account can pay there or has there, base currency.
    """

    venue: str
    levels: Levels
    fee: float
    step: float = 0.0
    min_quantity: float = 0.0
    min_notional: float = 0.0
    at_most: float = math.inf


@dataclass(frozen=True)
class Part:
    """What goes to a venue.

    Attributes
    ----------
    venue : str
    quantity : float
        Base currency.
    average, worst : float
        Price paid on average, and that of the last level: a limit order at it takes no more than was counted on.
    fee : float
        Quote currency.
    """

    venue: str
    quantity: float
    average: float
    worst: float
    fee: float

    def total(self, side: str) -> float:
        """Return what is paid, or got, with the fee: quote currency."""
        return self.quantity * self.average + (self.fee if side == "buy" else -self.fee)


@dataclass(frozen=True)
class Route:
    """How an order is best sent.

    Attributes
    ----------
    side : str
    asked : float
        Base currency.
    parts : tuple of Part
        The largest first; none where no venue takes any of it.
    alone : dict of str to float
        Of each venue that could take all of it: its price after fees if it did.
    """

    side: str
    asked: float
    parts: tuple[Part, ...]
    alone: dict[str, float]

    @property
    def quantity(self) -> float:
        """What is routed, base currency; the rest finds no depth, no money, or is less than any venue takes."""
        return sum(one.quantity for one in self.parts)

    @property
    def price(self) -> float:
        """Paid or got on average, after fees; NaN where nothing is routed."""
        return sum(one.total(self.side) for one in self.parts) / self.quantity if self.parts else math.nan

    @property
    def best_alone(self) -> str:
        """The venue that would be best if all went to one; empty if none takes all of it."""
        sign = 1.0 if self.side == "buy" else -1.0
        return min(self.alone, key=lambda name: (sign * self.alone[name], name), default="")

    @property
    def saved(self) -> float:
        """What the route is better by than the best venue alone, as a fraction of its price; NaN if there is none."""
        if not self.best_alone:
            return math.nan
        sign = 1.0 if self.side == "buy" else -1.0
        alone = self.alone[self.best_alone]
        return sign * (alone - self.price) / alone

    @property
    def reason(self) -> str:
        """Why it goes where it goes."""
        if not self.parts:
            return "no venue takes any of it"
        where = " and ".join(f"{one.quantity:.12g} to {one.venue}" for one in self.parts)
        short = self.asked - self.quantity > _SAME * self.asked
        rest = f"; {self.asked - self.quantity:.6g} finds no place" if short else ""
        prices = {name: f"{value:.10g}" for name, value in sorted(self.alone.items())}
        name = self.parts[0].venue
        if len(self.parts) == 1 and name in prices:
            others = ", ".join(f"{price} at {other}" for other, price in prices.items() if other != name)
            return f"all to {name} at {prices[name]} after fees" + (f" ({others})" if others else "") + rest
        if not self.best_alone:
            return f"{where} at {self.price:.10g} after fees: no venue takes all of it{rest}"
        return (
            f"{where} at {self.price:.10g} after fees: {self.saved:.4%} better than {self.best_alone} alone "
            f"({prices[self.best_alone]}){rest}"
        )


def routed(side: str, quantity: float, offers: Sequence[Offer]) -> Route:
    """Find the cheapest split of a market order: as much of it as can be, then at the best price after fees.

    To within a step of each venue: what is cut off by the steps goes where it still fits.

    Parameters
    ----------
    side : str
        ``buy`` or ``sell``.
    quantity : float
        Base currency, above 0.
    offers : sequence of Offer
        At most ``MOST_OFFERS``, each of another venue.

    Raises
    ------
    Usage
        The quantity is no quantity, a venue is named twice, or there are too many.
    """
    names = [one.venue for one in offers]
    if not 0.0 < quantity < math.inf or side not in ("buy", "sell"):
        raise Usage(f"route: found {side} {quantity:g}, expected buy or sell and a quantity above 0")
    if len(set(names)) < len(names) or len(names) > MOST_OFFERS:
        raise Usage(f"route: found the venues {', '.join(names)}, expected at most {MOST_OFFERS}, each once")
    sign = 1.0 if side == "buy" else -1.0
    coarse = max([_SAME * quantity, *(one.step for one in offers)])  # as much, if not a step more
    best: tuple[tuple[int, float, int], list[Part]] | None = None
    alone: dict[str, float] = {}
    for count in range(1, len(offers) + 1):
        for chosen in combinations(offers, count):
            parts = _split(sign, quantity, chosen)
            if parts is None:
                continue
            routed_now = sum(one.quantity for one in parts)
            price = sum(one.total(side) for one in parts) / routed_now
            if count == 1 and routed_now >= quantity - chosen[0].step - _SAME * quantity:
                alone[chosen[0].venue] = price
            rank = (-math.floor(routed_now / coarse + 1e-6), sign * price, count)
            if best is None or rank < best[0]:
                best = rank, parts
    parts = [] if best is None else sorted(best[1], key=lambda one: (-one.quantity, one.venue))
    return Route(side, quantity, tuple(parts), alone)


def _split(sign: float, quantity: float, offers: Sequence[Offer]) -> list[Part] | None:
    """Split among all of these, each with its least at least; None where that is more than there is to split."""
    taken = [_least(one) for one in offers]
    if any(least > min(_depth(one), one.at_most) for least, one in zip(taken, offers, strict=True)):
        return None
    left = quantity - sum(taken)
    if left < -_SAME * quantity:
        return None
    for _, k, upto in sorted(_marginal(sign, offers)):
        more = min(left, max(min(upto, offers[k].at_most) - taken[k], 0.0))
        taken[k], left = taken[k] + more, left - more
    taken = [float(_to_step(amount, one.step, 0.0)) for amount, one in zip(taken, offers, strict=True)]
    left = quantity - sum(taken)
    for _, k, upto in sorted(_marginal(sign, offers)):  # what the steps have cut off
        one = offers[k]
        room = min(left, max(min(upto, one.at_most) - taken[k], 0.0))
        more = float(_to_step(room * (1.0 + _SAME), one.step, 0.0)) if one.step else room
        if more > 0.0:
            taken[k] = float(_to_step(taken[k] + more * (1.0 + _SAME), one.step, 0.0))
            left = quantity - sum(taken)
    if not all(taken):
        return None
    return [_part(one, amount) for one, amount in zip(offers, taken, strict=True)]


def _marginal(sign: float, offers: Sequence[Offer]) -> Iterator[tuple[float, int, float]]:
    """Yield (price after fees, the lower the better; number of the offer; quantity up to there) of all levels."""
    for k, one in enumerate(offers):
        upto = 0.0
        for price, amount in one.levels:
            upto += amount
            yield sign * price * (1.0 + sign * one.fee), k, upto


def _depth(offer: Offer) -> float:
    return sum(amount for _, amount in offer.levels)


def _least(offer: Offer) -> float:
    """Return the least the venue takes, rounded up to its step: by quantity and by notional at its own prices."""
    notional, needed = offer.min_notional, 0.0
    for price, amount in offer.levels:
        needed += min(amount, max(notional, 0.0) / price)
        notional -= amount * price
        if notional <= 0.0:
            break
    else:
        needed = math.inf if notional > 0.0 else needed
    least = max(needed, offer.min_quantity, offer.step)
    if not offer.step or least == math.inf:
        return least
    down = float(_to_step(least, offer.step, 0.0))
    return down if down >= least * (1.0 - _SAME) else float(_to_step(least + offer.step, offer.step, 0.0))


def _part(offer: Offer, quantity: float) -> Part:
    left, paid, worst = quantity, 0.0, offer.levels[0][0]
    for price, amount in offer.levels:
        if left <= _SAME * quantity:
            break
        step = min(left, amount)
        paid, left, worst = paid + step * price, left - step, price
    average = paid / (quantity - max(left, 0.0))
    return Part(offer.venue, quantity, average, worst, offer.fee * average * quantity)

"""What a limit did to an entry, in words: which, how far, and what there is to do."""

from __future__ import annotations

from typing import Final

from engine.risk.review import NAMES

__all__ = ["refusal"]

LATER: Final = "asked again at the next close that wants to enter"
REMEDIES: Final = {
    "strategy.value_at_risk": "the symbol is wilder than the limit; it may enter when its returns calm down",
    "strategy.correlation": "it moves with what is held; it may enter when that is left",
    "strategy.reward_to_risk": "its target is too near for its stop; sweep it with another, or lower the limit",
    "strategy.trades_per_day": "it may enter again after 0:00 UTC",
    "strategy.losses_in_a_row": "it pauses for cool_down_hours",
    "position.risk_per_trade": "more of the account would be at risk; a nearer stop risks less",
    "position.kelly": "Kelly's rule asked for more",
    "position.notional": "raise it under [risk.position] at the next start, if it is meant",
    "portfolio.exposure": "it may enter when something is left",
    "portfolio.correlated_positions": "so many that move together are held; it may enter when one is left",
    "portfolio.daily_loss": "trading goes on after 0:00 UTC",
    "account.weekly_loss": "look at what happened; lockstep kill --rearm lets it trade on",
    "account.drawdown": "look at what happened; lockstep kill --rearm lets it trade on",
    "account.leverage": "the rest would be borrowed",
    "account.margin": "it may enter when something is left",
    "account.liquidation_distance": "it may enter when something is left",
    "operation.price_band": "look at the price; it is asked again at the next close that wants to enter",
}


def refusal(limit: int, asked: float, let: float, value: float) -> str:
    """Return what became of an entry.

    Parameters
    ----------
    limit : int
        Of ``engine.risk.review.NAMES``.
    asked, let : float
        Quantities, base currency.
    value : float
        What met the limit, in its unit; NaN where it only made the entry smaller.
    """
    name = NAMES[limit]
    if let > 0.0:
        return f"{name} made an entry of {asked:g} smaller, {let:g}: {REMEDIES[name]}"
    met = "" if value != value else f" (met by {value:g})"
    return f"{name} refused an entry of {asked:g}{met}: {REMEDIES[name]}"

"""The limits of an account, layer by layer: what can be set, with defaults and bounds."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PlainValidator
from pydantic_core import PydanticCustomError

__all__ = [
    "AccountLimits",
    "LimitNumbers",
    "Limits",
    "OperationLimits",
    "PortfolioLimits",
    "PositionLimits",
    "StrategyLimits",
]

Limit = float | Literal["off"]


# Compiled code reads these by place: this file belongs to the digest that engine.jit names its cache by.
class LimitNumbers(NamedTuple):
    """Limits as compiled code reads them; infinite where off, 0 for a reward that is not asked for."""

    value_at_risk: float
    likeness: float
    reward_to_risk: float
    trades_per_day: float
    losses_in_a_row: float
    cool_down_ms: float
    risk_per_trade: float
    kelly: float
    notional: float
    exposure: float
    alike_positions: float
    alike: float
    daily_loss: float
    weekly_loss: float
    drawdown: float
    leverage: float
    margin: float
    liquidation_distance: float
    maintenance: float
    price_band: float


def limit(low: float, high: float, *, whole: bool = False) -> Any:
    """Return the type of a number from above ``low`` to ``high``, or ``"off"``."""
    kind = "a whole number" if whole else "a number"

    def check(value: object) -> Limit:
        if value == "off":
            return "off"
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low < value <= high
        if not fits or (whole and value != int(value)):  # type: ignore[call-overload]
            text = f'found {value!r}, expected {kind} above {low:g}, at most {high:g}, or "off"'
            raise PydanticCustomError("setting", "{message}", {"message": text})
        return float(value)  # type: ignore[arg-type]

    return Annotated[Limit, PlainValidator(check)]


class _Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class StrategyLimits(_Layer):
    """What a strategy may want; an entry beyond is refused.

    Attributes
    ----------
    value_at_risk : float
        Largest loss of one bar of the symbol at 95%, from its last 250 returns, as a fraction.
    correlation : float
        Largest correlation of the symbol's returns with those of any symbol held.
    reward_to_risk : float
        Least distance of the target over that of the stop; asked only where there are both.
    trades_per_day : float
        Entries of one strategy, all its symbols together, in a day of UTC.
    losses_in_a_row : float
        After so many on one symbol, its strategy enters nothing there for ``cool_down_hours``.
    cool_down_hours : float
    """

    value_at_risk: limit(0.0, 1.0) = "off"  # type: ignore[valid-type]
    correlation: limit(-1.0, 1.0) = "off"  # type: ignore[valid-type]
    reward_to_risk: limit(0.0, 100.0) = 2.0  # type: ignore[valid-type]
    trades_per_day: limit(0.0, 1e6, whole=True) = 10.0  # type: ignore[valid-type]
    losses_in_a_row: limit(0.0, 1e6, whole=True) = 3.0  # type: ignore[valid-type]
    cool_down_hours: limit(0.0, 24 * 365.0) = 24.0  # type: ignore[valid-type]


class PositionLimits(_Layer):
    """What one position may be; an entry beyond the first three is made smaller.

    Attributes
    ----------
    risk_per_trade : float
        Of the account's equity: quantity x (distance of the stop + slippage + fees); the whole price where there is
        no stop.
    kelly : float
        Largest notional over equity where Kelly's rule sizes.
    notional : float
        Largest of one entry, quote currency.
    stop_atr : float
        Where a strategy gives no stop: one at so many average true ranges, resting at the venue.
    stop_atr_length : float
        Bars.
    holding_hours : float
        After which a position is left at the next close.
    """

    risk_per_trade: limit(0.0, 1.0) = 0.02  # type: ignore[valid-type]
    kelly: limit(0.0, 1.0) = 0.25  # type: ignore[valid-type]
    notional: limit(0.0, 1e12) = 1000.0  # type: ignore[valid-type]
    stop_atr: limit(0.0, 100.0) = 2.0  # type: ignore[valid-type]
    stop_atr_length: limit(1.0, 1000.0, whole=True) = 14.0  # type: ignore[valid-type]
    holding_hours: limit(0.0, 24 * 3650.0) = "off"  # type: ignore[valid-type]


class PortfolioLimits(_Layer):
    """What all positions together may be; an entry beyond is refused.

    Attributes
    ----------
    exposure : float
        Largest sum of notionals over equity.
    correlated_positions : float
        At most so many positions whose returns correlate by more than ``correlation``, the new one counted.
    correlation : float
    daily_loss : float
        Of the equity at the start of the day (UTC): then nothing is entered until the next one.
    """

    exposure: limit(0.0, 125.0) = 0.5  # type: ignore[valid-type]
    correlated_positions: limit(0.0, 1e6, whole=True) = 3.0  # type: ignore[valid-type]
    correlation: limit(-1.0, 1.0) = 0.7  # type: ignore[valid-type]
    daily_loss: limit(0.0, 1.0) = 0.05  # type: ignore[valid-type]


class AccountLimits(_Layer):
    """What the account may come to.

    Attributes
    ----------
    weekly_loss : float
        Of the equity at the start of the week (Monday, UTC): then nothing is entered until a person has reviewed.
    drawdown : float
        Of the highest equity: then everything is left, and nothing entered until a person rearms it.
    leverage : float
        Largest sum of notionals over equity; an entry beyond is made smaller.
    margin : float
        Largest maintenance margin over equity; an entry beyond is refused.
    liquidation_distance : float
        Least fraction all prices could move against all positions before the equity is the maintenance margin; an
        entry that comes closer is refused.
    maintenance_rate : float
        Of the notional: what the venue asks for to keep a position.
    """

    weekly_loss: limit(0.0, 1.0) = 0.10  # type: ignore[valid-type]
    drawdown: limit(0.0, 1.0) = 0.20  # type: ignore[valid-type]
    leverage: limit(0.0, 125.0) = 2.0  # type: ignore[valid-type]
    margin: limit(0.0, 1.0) = 0.5  # type: ignore[valid-type]
    liquidation_distance: limit(0.0, 1.0) = 0.2  # type: ignore[valid-type]
    maintenance_rate: limit(0.0, 0.5) = 0.01  # type: ignore[valid-type]


class OperationLimits(_Layer):
    """What no market does and a fault does; an entry beyond is refused.

    Attributes
    ----------
    price_band : float
        Largest move of a symbol's close from the close before it, as a fraction.
    """

    price_band: limit(0.0, 100.0) = 0.3  # type: ignore[valid-type]


class Limits(_Layer):
    """The layers, computed alike in simulation, replay, paper and live."""

    strategy: StrategyLimits = StrategyLimits()
    position: PositionLimits = PositionLimits()
    portfolio: PortfolioLimits = PortfolioLimits()
    account: AccountLimits = AccountLimits()
    operation: OperationLimits = OperationLimits()

    @classmethod
    def none(cls) -> Limits:
        """Return limits that are all off."""
        layers = {name: field.annotation for name, field in cls.model_fields.items()}
        return cls(**{name: layer(**dict.fromkeys(layer.model_fields, "off")) for name, layer in layers.items()})  # type: ignore[union-attr,misc]

    def looser_than(self, other: Limits) -> list[str]:
        """Return the limits, by their names in a file, that let more than another's do."""
        low = {"reward_to_risk", "cool_down_hours", "liquidation_distance", "maintenance_rate"}
        fixed = {"stop_atr", "stop_atr_length", "holding_hours"}
        found = []
        for layer in type(self).model_fields:
            for name, value in getattr(self, layer):
                was = getattr(getattr(other, layer), name)
                if name in fixed:
                    looser = value != was
                elif name in low:
                    looser = (0.0 if value == "off" else value) < (0.0 if was == "off" else was)
                else:
                    looser = most(value) > most(was)
                if looser:
                    found.append(f"{layer}.{name}")
        return found

    def numbers(self) -> LimitNumbers:
        """Return the form compiled code reads."""
        s, p, f, a = self.strategy, self.position, self.portfolio, self.account
        cool = s.cool_down_hours
        return LimitNumbers(
            most(s.value_at_risk), most(s.correlation), 0.0 if s.reward_to_risk == "off" else s.reward_to_risk,
            most(s.trades_per_day), most(s.losses_in_a_row), 0.0 if cool == "off" else cool * 3_600_000.0,
            most(p.risk_per_trade), most(p.kelly), most(p.notional), most(f.exposure), most(f.correlated_positions),
            most(f.correlation), most(f.daily_loss), most(a.weekly_loss), most(a.drawdown), most(a.leverage),
            most(a.margin), 0.0 if a.liquidation_distance == "off" else a.liquidation_distance,
            0.0 if a.maintenance_rate == "off" else a.maintenance_rate, most(self.operation.price_band),
        )  # fmt: skip


def most(value: Limit) -> float:
    """Return an upper limit as a number."""
    return math.inf if value == "off" else float(value)

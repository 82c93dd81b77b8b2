"""What the rule of closed candles answers: plain records, to be journalled and acted on in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipelines.candles import Candle

__all__ = ["Absent", "CandleAction", "Closed", "Corrected", "Fetch", "Rejected", "Stale", "Waiting"]


@dataclass(slots=True)  # not frozen: made at every close, and a frozen one takes three times as long
class Closed:
    """Decide on this bar now; ``by`` says what proved it: the ``stream``'s next candle, or ``rest``."""

    candle: Candle
    by: Literal["stream", "rest"]


@dataclass(frozen=True, slots=True)
class Absent:
    """The venue has no bar here: no step runs, as in research."""

    open_ns: int


@dataclass(frozen=True, slots=True)
class Corrected:
    """A bar decided on has become another one; None where there was, or is, none.  It is not decided on again."""

    open_ns: int
    old: Candle | None
    new: Candle | None


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask the venue by REST for the candles that open from ``from_ns`` to ``to_ns``, both included."""

    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candle that cannot be one, and why; it is taken for not seen."""

    candle: Candle
    reason: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The stream has said nothing new for so long; connect anew."""

    silent_ns: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first bar that is over and not decided on, and why."""

    open_ns: int
    reason: str


CandleAction = Closed | Absent | Corrected | Fetch | Rejected | Stale

"""All that a live run starts from, as plain data: what trades, its state after history, and the rule of the feed.

It is the first entry of a journal, so that the journal alone is enough to repeat the run.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.graph import Program
from engine.live.risk_rule import RiskRule
from engine.live.subaccount import Terms
from engine.simulate import Costs
from parquet_store.errors import Failed, Usage
from pipelines.candles import Candle

__all__ = ["FORMAT", "FeedRule", "Placement", "Setup", "refuse_netting", "refuse_pairs", "series_of"]

FORMAT = 3


def series_of(symbol: str, timeframe: str) -> str:
    """Return the name of a series of bars within a run: ``BTC/USDT@1h``."""
    return f"{symbol}@{timeframe}"


@dataclass(frozen=True)
class Placement:
    """One program on one symbol.

    Attributes
    ----------
    name : str
        For people, and unique.
    digest : str
        Of the manifest.
    symbol, timeframe : str
    program : Program
    costs : Costs
        With the venue's steps and the cash of this sub-account.
    share : float
        Of the account.
    """

    name: str
    digest: str
    symbol: str
    timeframe: str
    program: Program
    costs: Costs
    share: float = 1.0

    @property
    def series(self) -> str:
        """The bars it follows."""
        return series_of(self.symbol, self.timeframe)


@dataclass(frozen=True)
class FeedRule:
    """When a candle is closed; the numbers of `engine.live.closing.ClosingRule`."""

    confirm: Literal["after", "before"] = "after"
    grace_ns: int = 1_000_000_000
    absence_ns: int = 10_000_000_000
    stale_ns: int = 30_000_000_000


@dataclass(frozen=True)
class Setup:
    """What a run starts from.

    Attributes
    ----------
    placements : tuple of Placement
    state : bytes
        ``Together.checkpoint`` of their programs after history.
    lasts : dict of str to Candle
        The last bar of history, by series.
    feed : FeedRule
    terms : Terms
    risk : RiskRule
    """

    placements: tuple[Placement, ...]
    state: bytes
    lasts: Mapping[str, Candle]
    feed: FeedRule = field(default_factory=FeedRule)
    terms: Terms = field(default_factory=Terms)
    risk: RiskRule = field(default_factory=RiskRule)

    def as_json(self) -> dict[str, Any]:
        """Return plain data; equal programs are written once."""
        programs = {one.program.digest: one.program.as_json() for one in self.placements}
        return {
            "format": FORMAT,
            "programs": programs,
            "placements": [
                {
                    "name": one.name,
                    "digest": one.digest,
                    "symbol": one.symbol,
                    "timeframe": one.timeframe,
                    "program": one.program.digest,
                    "costs": one.costs.as_json(),
                    "share": one.share,
                }
                for one in self.placements
            ],
            "state": base64.b64encode(self.state).decode(),
            "lasts": {name: dataclasses.asdict(candle) for name, candle in sorted(self.lasts.items())},
            "feed": dataclasses.asdict(self.feed),
            "terms": dataclasses.asdict(self.terms),
            "risk": self.risk.as_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Setup:
        """Return the setup of its plain data.

        Raises
        ------
        Failed
            It was written by another release.
        """
        if data.get("format") != FORMAT:
            raise Failed(f"a run of format {data.get('format')}, this release reads {FORMAT}; replay it with its own")
        programs = {digest: Program.from_json(one) for digest, one in data["programs"].items()}
        placements = tuple(
            Placement(
                one["name"],
                one["digest"],
                one["symbol"],
                one["timeframe"],
                programs[one["program"]],
                Costs.from_json(one["costs"]),
                one["share"],
            )
            for one in data["placements"]
        )
        return cls(
            placements,
            base64.b64decode(data["state"]),
            {name: Candle(**candle) for name, candle in data["lasts"].items()},
            FeedRule(**data["feed"]),
            Terms(**data["terms"]),
            RiskRule.from_json(data["risk"]),
        )


def refuse_pairs(setup: Setup) -> None:
    """Refuse programs with a stop and a target where each would bind all that is held."""
    for one in setup.placements:
        if one.program.role("stop") is not None and one.program.role("target") is not None:
            raise Usage(
                f"{one.name}: a stop and a target at once, and this venue's spot market takes no pair of which "
                "one cancels the other; trade it on perpetuals, or leave out one of the two"
            )


def refuse_netting(setup: Setup) -> None:
    """Refuse programs of both sides on one contract, of which a venue holds one position for all of them.

    Their orders would close each other's positions, and a stop of one would find nothing to reduce.
    """
    sides: dict[str, dict[str, str]] = {}
    for one in setup.placements:
        for role, side in (("entry", "long"), ("short_entry", "short")):
            if one.program.role(role) is not None:
                sides.setdefault(one.symbol, {}).setdefault(side, one.name)
    placed = [one.symbol for one in setup.placements]
    for symbol, found in sides.items():
        if len(found) == 2 and placed.count(symbol) > 1:
            raise Usage(
                f"{symbol}: {found['long']} may be long and {found['short']} short, and the venue holds one position "
                "for both; trade them on symbols or accounts of their own"
            )

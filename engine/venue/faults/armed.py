"""A fault that is armed: when it acts, and what is written down when it does."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Any

from engine.venue.faults.kinds import Kind
from parquet_store.errors import Usage, unknown

__all__ = ["Armed", "Injected", "parse"]

_NUMBERS = ("times", "probability", "after", "at_ms", "at_bar", "size")


@dataclass(frozen=True)
class Injected:
    """One fault that happened.

    Attributes
    ----------
    number : int
        From 1, over all kinds.
    name : str
    opportunity : int
        The how-manieth chance of its arming it was, from 1.
    time_ms : int
        Venue time.
    what : str
        What it hit: method and path of a request, an event with its symbol, a message's role; never a secret.
    """

    number: int
    name: str
    opportunity: int
    time_ms: int
    what: str


@dataclass
class Armed:
    """A kind and when it acts.

    Parameters
    ----------
    kind : Kind
    seed : str
        What its own chance is drawn from, so that no other fault changes it.
    times : int
        How often it acts, 0 for always.
    probability : float
        Of each opportunity that is not skipped.
    after : int
        Opportunities that pass first.
    at_ms, at_bar : int
        Venue time, or bars played, before which there is no opportunity.
    on : str
        Only this role, event or symbol; empty for all the kind has.
    size : float
        The kind's number.

    Attributes
    ----------
    seen, acted : int
        Opportunities so far, and how many of them it took.
    passed : bool
        Whether it found nothing to do at the last one it took.
    """

    kind: Kind
    seed: str
    times: int
    probability: float = 1.0
    after: int = 0
    at_ms: int = 0
    at_bar: int = 0
    on: str = ""
    size: float = 0.0
    seen: int = 0
    acted: int = 0
    passed: bool = False
    chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        checks = {
            "times": (float(self.times).is_integer() and self.times >= 0, "a whole number, 0 for always"),
            "probability": (0.0 < self.probability <= 1.0, "above 0, at most 1"),
            "after": (float(self.after).is_integer() and self.after >= 0, "a whole number, 0 at least"),
            "at_ms": (self.at_ms >= 0, "ms since the epoch"),
            "at_bar": (self.at_bar >= 0, "bars played, 0 at least"),
            "size": (math.isfinite(self.size), "a finite number"),
        }
        for name, (right, expected) in checks.items():
            if not right:
                raise Usage(f"fault {self.kind.name}: {name} is {getattr(self, name):g}, expected {expected}")
        self.chance = random.Random(self.seed)

    def due(self, role: str, symbol: str, time_ms: int, bar: int) -> bool:
        """Return whether it acts at this opportunity, and count it."""
        kind = self.kind
        if (kind.on and role not in kind.on) or (self.on and self.on not in (role, symbol)):
            return False
        if (self.times and self.acted >= self.times) or time_ms < self.at_ms or bar < self.at_bar:
            return False
        self.seen += 1
        if self.seen <= self.after or (self.probability < 1.0 and self.chance.random() >= self.probability):
            return False
        self.acted += 1
        return True

    def pass_by(self) -> None:
        """Take an action back that found nothing to do; the opportunity is spent."""
        self.acted -= 1
        self.passed = True


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return name and numbers of ``NAME[:times=1,probability=0.1,after=N,at_ms=T,at_bar=N,size=X,on=WORD]``.

    Raises
    ------
    Usage
        For a word that is no such number.
    """
    name, _, rest = text.partition(":")
    found: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        word, equals, value = (x.strip() for x in part.partition("="))
        if not equals:
            raise Usage(f'fault {name}: found "{part}", expected NAME=VALUE, as in {name}:times=2,probability=0.1')
        found[word] = value
    return name.strip(), numbers(name, found)


def numbers(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a fault is armed with, words made numbers.

    Raises
    ------
    Usage
        For an unknown word, or a value that is no number.
    """
    found: dict[str, Any] = {}
    for word, value in given.items():
        if word == "on":
            found[word] = str(value)
            continue
        if word not in _NUMBERS:
            raise unknown(f"setting of fault {name}", word, (*_NUMBERS, "on"))
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        whole = word not in ("probability", "size")
        if not math.isfinite(number) or (whole and not number.is_integer()):
            raise Usage(f'fault {name}: {word} is "{value}", expected a {"whole " if whole else ""}number')
        found[word] = int(number) if whole else number
    return found

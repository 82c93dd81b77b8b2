"""From a scenario that breaks something to a simpler one that still does, and the events that lead there."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.live.journal import read_journal
from tests.chaos.case import Case
from tests.chaos.world import World

__all__ = ["events_of", "shortest", "simplest"]

SIMPLER: tuple[dict[str, Any], ...] = (
    {"kill": ""}, {"power": False}, {"fill_share": 0.0}, {"limit": False}, {"down_s": 1.0}, {"bar": 2}, {"bar": 3},
    {"bar": 4}, {"bar": 5}, {"bar": 6}, {"bar": 8},
)  # fmt: skip
QUIET = (
    "AccountStreamCut", "BalanceSeen", "CandlesAnswered", "CandlesStreamed", "ClockAdvanced", "Decided", "FetchCandles",
    "FetchHoldings", "FindOrder", "FundingSeen", "HoldingSeen",
)  # fmt: skip
INNER = ("request", "stop", "target", "report", "fills")
KEPT = (
    "client_id", "symbol", "kind", "side", "status", "filled", "quantity", "stop_price", "price", "meaning", "text",
    "about",
)  # fmt: skip


def shortest(name: str) -> list[str]:
    """Return the simplest scenario like the one that is named, and its events up to what it breaks."""
    case = simplest(Case.parse(name))
    return [case.name, *events_of(case)]


def simplest(case: Case) -> Case:
    """Return a simpler scenario that breaks something too, or the same."""
    for change in SIMPLER:
        tried = replace(case, **change)
        if tried != case and _broken(tried):
            case = tried
    return case


def _broken(case: Case) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        return World(case, Path(folder)).play().broken


def events_of(case: Case, most: int = 60) -> list[str]:
    """Return what happened to orders until the first thing that did not hold."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(case, Path(folder))
        broken = world.play().broken
        found = re.match(r"bar \d+, ([\d.]+) s", broken[0]) if broken else None
        end_s = float(found[1]) if found else float("inf")
        lines = []
        for entry in read_journal(world.path):
            at = (entry.time_ns - world.clock.start_ns) / 1e9
            if entry.kind not in ("events", "actions") or at > end_s + 1e-6:
                continue
            for one in entry.content:
                ((kind, body),) = one.items()
                if kind not in QUIET:
                    lines.append(f"{at:9.3f} {'>' if entry.kind == 'actions' else '<'} {kind} {brief(body)}")
    return [*lines[-most:], *broken[:1]]


def brief(body: Any) -> str:
    """Return a record in few words."""
    if isinstance(body, list):
        return "; ".join(brief(one) for one in body)
    if not isinstance(body, dict):
        return str(body)
    told = [(key, body[key]) for key in KEPT if body.get(key) not in (None, "", 0.0)]
    plain = [f"{key}={value}" for key, value in told if not isinstance(value, dict | list)]
    return " ".join([*plain, *(brief(body[key]) for key in INNER if isinstance(body.get(key), dict | list))])

"""All scenarios: every fault at every moment from several seeds, and the process killed at every write."""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from engine.venue.faults.table import TABLE
from tests.chaos.case import POINTS, Case
from tests.chaos.world import Outcome, play

__all__ = ["KINDS", "faulty", "killed", "played", "ran", "summary"]

# no client of ours asks for these, so that they have no opportunity here; benchmarks.live_faults has those of streams
IDLE = frozenset(
    {
        "balance_untold", "balance_zero_told", "book_crossed", "book_gap", "funding_sign_flip", "listen_key_expired",
        "market_unlisted", "open_order_missing", "open_order_twice", "pings_unanswered", "position_flipped_told",
        "ticker_frozen", "ticker_stream_frozen", "trade_repeated", "trade_skipped",
        "trade_zero", "trades_out_of_order",
    }
)  # fmt: skip
KINDS = tuple(
    name for name, kind in TABLE.items() if name not in IDLE and set(kind.protocols) & {"binance", "binanceusdm"}
)
ROOM = Path("/dev/shm")


def faulty(seeds: Iterable[int], kinds: Iterable[str] = KINDS, points: Iterable[str] = POINTS) -> Iterator[Case]:
    """Yield every fault at every point, once a seed; a third of them are killed somewhere besides."""
    points = tuple(points)
    for kind in kinds:
        for point in points:
            for seed in seeds:
                number = 1_000_000 * (1 + KINDS.index(kind)) + 10_000 * (1 + POINTS.index(point)) + seed
                draw = random.Random(number)
                protocols = TABLE[kind].protocols
                given: dict[str, Any] = {"kind": kind, "point": point}
                if not {"binance", "binanceusdm"} <= set(protocols):
                    given["spot"] = "binance" in protocols
                if point != "on_start" and draw.random() < 0.33:
                    given["kill"] = f"write {draw.randrange(20, 500)} {draw.choice(('before', 'after'))}"
                if point == "mid_fill":
                    given["fill_share"] = 0.02
                if kind.startswith("amend_"):
                    given |= {"limit": True, "amends": True, "spot": False, "chase": draw.choice(("follow", "cross"))}
                if kind in ("price_zero", "price_spike"):
                    given |= {"slippage": 0.005, "limit": False}
                if point == "mid_cancel" and "limit" not in given:
                    given["limit"] = draw.random() < 0.5
                yield Case.drawn(number, **given)


def killed(seeds: Iterable[int]) -> Iterator[Case]:
    """Yield a run killed at each of its writes, before it and after it, and at each moment of an order's way."""
    for seed in seeds:
        case = Case.drawn(seed)
        for n in range(1, ran(case).writes + 1):
            for when in ("before", "after"):
                yield Case.drawn(seed, kill=f"write {n} {when}", power=bool((n + (when == "after")) % 2))
        for point in POINTS[:-1]:
            for bar in range(1, 14):
                yield Case.drawn(seed, kill=point, bar=bar)


def ran(case: Case) -> Outcome:
    """Play a scenario in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=ROOM if ROOM.is_dir() else None) as folder:
        try:
            return play(case, Path(folder))
        except Exception as error:  # noqa: BLE001  (whatever it is, the scenario shows it)
            return Outcome(case, 0, [], [f"{type(error).__name__}: {error}"], b"", 0, 0, 0)


def played(cases: Iterable[Case], workers: int = 2) -> Iterator[Outcome]:
    """Play scenarios side by side, in their order."""
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(ran, cases, chunksize=16)


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return what came out, as the results keep it."""
    began = time.time()
    table: dict[str, dict[str, int]] = defaultdict(
        lambda: dict.fromkeys(("recovered", "halted", "violated", "idle"), 0)
    )
    total = dict.fromkeys(("recovered", "halted", "violated", "idle"), 0)
    broken: list[dict[str, Any]] = []
    seeds: set[int] = set()
    entries = fills = count = 0
    for one in outcomes:
        count += 1
        seeds.add(one.case.seed)
        entries, fills = entries + one.entries, fills + one.fills
        how = "violated" if one.broken else "idle" if not one.met else "halted" if one.halted else "recovered"
        table[one.case.kind or f"killed at {one.case.kill.split()[0] if one.case.kill else 'no moment'}"][how] += 1
        total[how] += 1
        if one.broken:
            broken.append({"case": one.case.name, "broken": one.broken})
    return {
        "kinds": sum(1 for name in table if name in TABLE),
        "scenarios": count,
        **total,
        "seeds": {"count": len(seeds), "first": min(seeds, default=0), "last": max(seeds, default=0)},
        "entries": entries,
        "fills": fills,
        "minutes": round((time.time() - began) / 60.0, 1),
        "table": dict(sorted(table.items())),
        "broken": broken[:50],
    }


def keep(found: dict[str, Any], place: Path) -> None:
    """Write the results."""
    place.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

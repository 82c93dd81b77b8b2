"""Three days in one process with a fault every few minutes: memory, tasks, files and warnings at their end.

``python -m tests.chaos.soak`` plays 72 simulated hours and keeps what it saw.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

from engine.live.events import Rearmed
from engine.venue.faults.table import TABLE
from tests.chaos.case import Case
from tests.chaos.matrix import KINDS, ROOM
from tests.chaos.world import World
from tests.data import ROOT

__all__ = ["Soak", "soaked"]

# what stays changed, or what a person has to look at before it trades on: they would end the trading here
LASTING = {
    "candle_corrected", "candle_spike", "candle_zero", "candles_corrected", "clock_ahead", "clock_behind",
    "clock_drifts", "leverage_changed", "liquidated", "login_refused", "market_delisted", "market_halted",
    "min_notional_raised", "money_withdrawn", "position_reduced", "precision_changed", "fees_raised", "stranger_order",
    "candle_volume_shrinks", "candles_volume_shrinks", "candle_off_grid", "candles_off_grid", "candles_zero",
}  # fmt: skip
OURS = ("engine/live", "engine/execution", "engine/graph", "engine/risk", "asyncio", "sqlite3")
HOUR = 60
ROUND = 64  # bars: what is kept to correct the past grows and goes in rounds of so many (`engine.live.correcting`)
STEP = 4


class Soak(World):
    """A world that goes wrong again and again.

    Attributes
    ----------
    sizes : list of int
        Bytes that the run's own code holds at each full hour, without the closed trades: 80 bytes each.
    early, late : list of int
        The same every few minutes of a round: of the third, before which what is kept of the past is not whole yet, and
        of the last.
    armed_so_far : int
        Faults armed.
    rearmed : int
        How often a person let it trade on.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        super().__init__(case, folder)
        self.sizes: list[int] = []
        self.early: list[int] = []
        self.late: list[int] = []
        self.armed_so_far = self.rearmed = 0
        self.draw = random.Random(case.seed)
        self.kinds = [name for name in KINDS if name not in LASTING and case.protocol in TABLE[name].protocols]

    def bar_opened(self, k: int) -> None:
        """Arm a fault now and then; each hour look at the memory, and as a person would at what was halted."""
        if k % HOUR == 0 and k:
            self._looked_at()
        if tracemalloc.is_tracing() and k:
            if k % HOUR == 0:
                self.sizes.append(self._held())
            for first, found in ((2 * ROUND, self.early), (self.case.bars - ROUND, self.late)):
                if first <= k < first + ROUND and k % STEP == 0:
                    found.append(self._held())
        if k < self.case.bars and self.draw.random() < 0.3:
            self.faults.arm(self.draw.choice(self.kinds))
            self.armed_so_far += 1
        if len(self.faults.armed) > 12:
            self.faults.armed = self.faults.armed[-12:]

    def _held(self) -> int:
        """Return the bytes that the run's own code holds, without the closed trades."""
        gc.collect()
        held = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, f"*{name}*") for name in OURS])
        own = sum(one.size for one in held.statistics("filename"))
        assert self.node is not None
        return own - sum(account.ledger.kept_bytes for account in self.node.loop.accounts)

    def _looked_at(self) -> None:
        """Rearm what trades no more, as ``lockstep kill --rearm`` does."""
        assert self.node is not None
        loop = self.node.loop
        if loop.halted or any(account.halted for account in loop.accounts):
            self.rearmed += 1
            self.node.put(Rearmed("looked at", self.clock.now_ns()))


def soaked(hours: int, seed: int = 1) -> dict[str, Any]:
    """Play so many simulated hours; return what was seen."""
    case = Case.drawn(seed, spot=False, limit=False, bars=hours * HOUR, fill_share=0.02, bar=1, loose=True)
    files = open_files()
    tracemalloc.start(1)
    try:
        with (
            warnings.catch_warnings(record=True) as told,
            tempfile.TemporaryDirectory(dir=ROOM if ROOM.is_dir() else None) as folder,
        ):
            warnings.simplefilter("always")
            world = Soak(case, Path(folder))
            outcome = world.play()
            entries = 0 if world.journal is None else world.journal.sequence
    finally:
        tracemalloc.stop()
    early, late = (round(sum(found) / len(found)) for found in (world.early, world.late))
    gc.collect()
    return {
        "hours": hours,
        "seed": seed,
        "faults": len(world.faults.record),
        "kinds": len({one.name for one in world.faults.record}),
        "entries": outcome.entries,
        "fills": outcome.fills,
        "journal_entries": entries,
        "bytes_third_round": early,
        "bytes_last_round": late,
        "bytes_each_hour": world.sizes,
        "growth": round(late / early - 1.0, 4),
        "tasks_left": sum(1 for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()),
        "files_left": open_files() - files,
        "warnings": sorted({str(one.message)[:100] for one in told}),
        "rearmed": world.rearmed,
        "halted": outcome.halted,
        "broken": outcome.broken,
    }


def open_files() -> int:
    """Return how many file handles this process has open."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def main() -> int:
    """Play, keep and say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--hours", type=int, default=72)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "soak.json")
    asked = parser.parse_args()
    found = soaked(asked.hours, asked.seed)
    text = json.dumps(found, indent=1, sort_keys=True)
    asked.out.write_text(text + "\n")
    print(text)
    return 1 if found["broken"] or found["warnings"] or found["tasks_left"] or found["files_left"] else 0


if __name__ == "__main__":
    sys.exit(main())

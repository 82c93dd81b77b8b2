"""Does the live loop decide what the batch run decides while streams fail?

``python -m benchmarks.live_faults [--bars 60] [--protocol binance ...]``: every fault of the table that touches a
stream of candles, trades or orders, or REST's candles, one a run, over real hours; decisions, node values and trades
are compared with the batch run, bit for bit.  A run that refused to decide on a bar says why; one whose bars
were corrected names them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any, Final

from benchmarks.live_parity import DATA, HISTORY, row_of, run_one, stored
from benchmarks.measure import keep, read_bars
from engine.live.locally import MARKETS
from engine.venue.faults import Faults
from engine.venue.faults.table import TABLE
from parquet_store import Store

CANDLES: Final = ("candles_", "empty_list")


def touches_streams(name: str) -> bool:
    """Return whether a kind is one of streams, or of the candles REST shows."""
    kind = TABLE[name]
    return kind.where in ("event", "message") or name.startswith(CANDLES) or name == "stream_refused"


def main() -> None:
    """Run every kind over every protocol, print a line each, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=60)
    parser.add_argument("--protocol", action="append", choices=sorted(MARKETS))
    asked = parser.parse_args()
    result: dict[str, Any] = {}
    wrong = 0
    for protocol in asked.protocol or MARKETS:
        for name in (one for one in TABLE if protocol in TABLE[one].protocols and touches_streams(one)):
            faults = Faults(seed=1)
            faults.arm(name, after=3)
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                bars = read_bars(
                    DATA / "binance_BTC-USDT_1h.parquet", "real:BTC/USDT:1h", -(HISTORY + asked.bars), 10**9
                )
                stored(Store(folder / "store"), bars)
                done, seconds = run_one(folder, protocol, bars, "BTC", "1h", asked.bars, faults)
            refused = {one.why for one in done.recorder.decided[0] if one.why}
            row: dict[str, Any] = {"injected": len(faults.record), **row_of(done.parity)}
            if refused:
                row |= {"refused": sorted(refused)}
            if done.recorder.corrections:
                row |= {"told": done.recorder.corrections}
            result[f"{protocol} {name}"] = row
            wrong += done.parity.mismatches > 0 and not (refused or done.recorder.corrections)
            print(f"{protocol:12} {name:28} {row}, {seconds:.0f} s", flush=True)
    keep("live_faults", result)
    if wrong:
        raise SystemExit(f"{wrong} kinds changed something and were not told")


if __name__ == "__main__":
    main()

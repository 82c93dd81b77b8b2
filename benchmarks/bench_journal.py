"""What does a journal entry cost: one that must be on the disk, one that need not, and in batches of 100?

``python -m benchmarks.bench_journal [FOLDER]``: an order of about 200 bytes, wall time of the call; the folder's disk
decides what a durable one takes, so give the one the journal will be on.  The chain is verified afterwards.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import keep
from engine.live.journal import Journal, verify_journal

ORDER = {
    "id": "q7k2m4x9c1v8b5n3", "symbol": "BTC/USDT:USDT", "side": "buy", "kind": "limit", "quantity": 0.01234,
    "price": 43_210.5, "reduce_only": False, "bar": 473_112, "manifest": "5f0c1d7e9a2b",
}  # fmt: skip


def quantiles(journal: Journal, calls: int, batch: int, durable: bool) -> dict[str, float]:
    """Return microseconds a call, and entries a second."""
    took = np.empty(calls)
    for k in range(calls):
        entries = [(k, "order", ORDER)] * batch
        start = time.perf_counter_ns()
        journal.append_many(entries, durable)
        took[k] = time.perf_counter_ns() - start
    p50, p99, p999 = np.percentile(took / 1e3, (50.0, 99.0, 99.9)).tolist()
    rate = calls * batch / (took.sum() / 1e9)
    return {"p50": round(p50, 1), "p99": round(p99, 1), "p99.9": round(p999, 1), "entries a second": round(rate)}


def main() -> None:
    """Measure, check, print one line, keep."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        path = Path(folder) / "journal.sqlite"
        with Journal(path) as journal:
            result: dict[str, Any] = {
                "durable": quantiles(journal, 2_000, 1, True),
                "not durable": quantiles(journal, 10_000, 1, False),
                "100 durable": quantiles(journal, 300, 100, True),
                "100 not durable": quantiles(journal, 300, 100, False),
            }
        start = time.perf_counter()
        if verify_journal(path, journal.chain)[0] != 72_000:
            raise SystemExit("the journal does not hold what was appended")
        result["verify, entries a second"] = round(72_000 / (time.perf_counter() - start))
    keep("bench_journal", result)
    print("journal, us a call:", result)


if __name__ == "__main__":
    main()

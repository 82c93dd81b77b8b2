"""How long does a million combinations take, and how much memory, with the table on disk and the verdict said?

Three sweeps through the same door as ``lockstep sweep``, each in a process of its own: a million combinations over
52,462 hours (six years), the plain strategy and then with all its parts; 10,000 combinations over 1,025,708 minutes.
Compile time is apart.  The best row's figures must be those of the plain simulation before a time is printed.

    python -m benchmarks.bench_large [plain parts minutes]
"""

from __future__ import annotations

import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MILLION: dict[str, str] = {
    "rsi_length": "3:42:1",  # 40
    "oversold": "15:39:1",  # 25
    "overbought": "55:79:1",  # 25
    "band_length": "10:55:5",  # 10
    "band_width": "1.5:2.25:0.25",  # 4
}
TEN_THOUSAND: dict[str, str] = {
    "rsi_length": "7,10,14,21,28",
    "oversold": "15:36:3",  # 8
    "overbought": "55:82:3",  # 10
    "band_length": "10,15,20,30,50",
    "band_width": "1.5:2.5:0.25",  # 5
}
OFF = {"stop_atr": "0", "var_limit": "0", "kelly_fraction": "0"}
ON = {"stop_atr": "2", "var_limit": "0.02", "kelly_fraction": "0.5"}
SWEEPS: dict[str, tuple[str, dict[str, str], float]] = {  # file, values, seconds allowed
    "plain": ("binance_BTC-USDT_1h", MILLION | OFF, 60.0),
    "parts": ("binance_BTC-USDT_1h", MILLION | ON, 240.0),
    "minutes": ("bitfinex_BTC-USD_1m", TEN_THOUSAND | OFF, 10.0),
}


def sweep(name: str, folder: Path) -> dict[str, Any]:
    """Run one sweep in this process and return what it took."""
    from benchmarks.measure import DATA
    from engine.graph import bind
    from engine.research.ranges import parse_values
    from engine.research.request import job_of
    from engine.research.run import Request, Run, run_sweep
    from engine.research.sweep import warm_up
    from engine.simulate import Costs, simulate_program
    from engine.strategies import find_strategy
    from parquet_store import Store
    from pipelines import import_file, load_bars

    file, values, _ = SWEEPS[name]
    venue, symbol, timeframe = file.split("_")
    store = Store(folder)
    source = f"{venue}:{symbol.replace('-', '/')}:{timeframe}"
    store.append(source, import_file(DATA / f"{file}.parquet").frame)
    wanted = {key: parse_values(text) for key, text in values.items()}
    request = Request("mean_reversion", wanted, (source,), Costs(), name=name)
    job = job_of(store, request)
    warm_up(job.series[0], job.sweep)
    few = {key: found[:2] for key, found in wanted.items()}
    run_sweep(store, Request("mean_reversion", few, (source,), Costs(), name="warm"))
    start = time.perf_counter()
    summary = run_sweep(store, request)
    seconds = time.perf_counter() - start
    best = Run.open(store, name).best()
    bars = load_bars(store, source)
    strategy = find_strategy("mean_reversion")
    plain = simulate_program(bind(strategy(), {key: best[key] for key in strategy.params}), bars, Costs()).metrics
    for figure in ("total_return", "sharpe", "max_drawdown", "trades"):
        assert math.isclose(best[figure], plain[figure], rel_tol=1e-9), figure
    disk = sum(path.stat().st_size for path in (store.root / "runs" / name).rglob("*") if path.is_file())
    return {
        "combinations": summary.combos,
        "bars": summary.bars,
        "seconds": seconds,
        "sweep_seconds": summary.seconds,
        "rate": summary.combos * summary.bars / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "disk_mb": disk / 2**20,
        "verdict": summary.verdict["conclusion"],
        "data": source,
    }


def main(names: list[str]) -> None:
    """Run each sweep, print and keep what it took."""
    from benchmarks.measure import DATA, RESULTS, keep

    kept: dict[str, Any] = {}
    if names and (RESULTS / "bench_large.json").exists():
        kept = json.loads((RESULTS / "bench_large.json").read_text())["sweeps"]
    for name in names or SWEEPS:
        file, _, allowed = SWEEPS[name]
        if not (DATA / f"{file}.parquet").is_file():
            print(f"bench_large {name}: skipped, {DATA / file}.parquet is not there (LOCKSTEP_TEST_DATA)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benchmarks.bench_large", "--one", name, folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = kept[name] = {**json.loads(done.stdout.splitlines()[-1]), "allowed_seconds": allowed}
        print(
            f"bench_large {name}: {found['combinations']:,} combinations x {found['bars']:,} bars in "
            f"{found['seconds']:.1f} s (of it the sweep {found['sweep_seconds']:.1f} s): {found['rate'] / 1e9:.3g} G "
            f"combination-bars/s; peak {found['peak_mb']:.0f} MB, {found['disk_mb']:.0f} MB on disk",
            flush=True,
        )
        keep("bench_large", {"sweeps": kept})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(sweep(sys.argv[2], Path(sys.argv[3]))))
    else:
        main(sys.argv[1:])

"""How long from the command until a bot trades, with one program and with 500?

``python -m benchmarks.bench_start [--times 3]``: ``lockstep live`` in a process of its own trades at a local venue in
another.  Every program sends an order at every close.  Measured is the time from the command until the venue has the
first order and the last of a close, and the processor time of the whole run; first without checkpoints, so that the
history is followed from its first bar, then with them.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_live import HISTORY, EveryBar, prepared
from benchmarks.live_venue import KEY
from benchmarks.measure import hourly_bars, keep
from engine.graph import bind
from pipelines import Bars

BARS: Final = 30_000  # of history
CLOSES: Final = 2
SETTINGS: Final = """mode = "live"
live = true
store = "{store}"
journal = "run/journal.sqlite"
[venue]
name = "binance"
rest_url = "{rest}"
stream_url = "{stream}"
"""
MANIFEST: Final = """[[manifests]]
path = "{path}"
symbols = {symbols}
share = {share}
"""


def traded(folder: Path, symbols: list[str], count: int) -> dict[str, float]:
    """Start a venue and a bot, and return seconds until the first order and the last, and of processor time."""
    words = [sys.executable, "-m", "benchmarks.live_venue", str(folder / "store"), str(BARS), *symbols]
    with subprocess.Popen([*words, "--orders", str(count)], stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        urls = json.loads(venue.stdout.readline())
        text = SETTINGS.format(store=folder / "store", rest=urls["rest"], stream=urls["stream"])
        for path in sorted(folder.glob("m*.json")):
            share = 1.0 / len(list(folder.glob("m*.json")))
            text += MANIFEST.format(path=path.name, symbols=json.dumps(symbols), share=share)
        (folder / "bot.toml").write_text(text)
        keys = {f"LOCKSTEP_BINANCE_{name}": KEY for name in ("KEY", "SECRET")}
        began, before = time.time_ns(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "engine.cli", "live", "bot.toml", "--yes", "--bars", str(CLOSES)]
        root = str(Path(__file__).resolve().parents[1])
        environment = os.environ | keys | {"PYTHONPATH": root}
        with open(folder / "bot.log", "w") as log:
            bot = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        told = [json.loads(venue.stdout.readline()) for _ in range(2)]
        if bot.wait():
            raise SystemExit((folder / "bot.log").read_text()[-2000:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        venue.kill()
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "first order, s": (told[0]["order_ns"] - began) / 1e9,
        "last order of the close, s": (told[1]["order_ns"] - began) / 1e9,
        "processor time of the run, s": spent,
    }


def measured(bars: Bars, symbols: list[str], programs: int, times: int) -> dict[str, Any]:
    """Return the best of some starts, without and with checkpoints."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder, bars, symbols, [bind(EveryBar(), {"above": 0.01 * k}) for k in range(programs)])
        count = len(symbols) * programs
        found: dict[str, Any] = {"from the first bar": traded(folder, symbols, count)}
        runs = []
        for _ in range(times):
            for path in (folder / "run").glob("*"):
                path.unlink()
            runs.append(traded(folder, symbols, count))
        found["from a checkpoint"] = {key: sorted(run[key] for run in runs) for key in runs[0]}
    return json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 2))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    bars, about = hourly_bars(BARS + HISTORY)
    result: dict[str, Any] = {"data": about, "bars of history": BARS}
    fifty = [f"C{k:02d}/USDT" for k in range(50)]
    for name, symbols, programs in (("1 program", ["BTC/USDT"], 1), ("500 programs: 50 symbols x 10", fifty, 10)):
        result[name] = measured(replace(bars), symbols, programs, asked.times)
        print(name, json.dumps(result[name]), f"load {os.getloadavg()[0]:.1f}", flush=True)
    result["load"] = round(os.getloadavg()[0], 1)
    keep("bench_start", result)


if __name__ == "__main__":
    main()

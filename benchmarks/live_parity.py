"""Does the live loop decide what the batch run decides, through CCXT and each protocol of the local venue?

``python -m benchmarks.live_parity [--bars 1000] [--protocol binance ...]``: real bars, hourly and minutes, played to a
bot at a local venue; every decision, every node's value and every trade is compared with the batch run, bit for bit.
Spot protocols trade mean reversion with a stop; those of perpetuals a strategy of both sides with stop and target.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.measure import DATA, keep, read_bars
from engine.graph import Bar, Param, Signals, Strategy, bind, ta
from engine.live.locally import MARKETS, LocalRun, trade_locally
from engine.live.parity import Parity
from engine.manifest import write_manifest
from engine.simulate import Costs
from engine.strategies import find_strategy
from engine.venue.faults import Faults
from parquet_store import Store
from pipelines import Bars

HISTORY: Final = 3000
HOURS: Final = ("BTC", "ETH", "SOL", "XRP", "LTC", "LINK")
MINUTES: Final = ("BTC", "ETH")


class BothSides(Strategy):
    """Follow two averages on both sides, with a stop and a target."""

    fast = Param(5, low=2, high=500)
    slow = Param(20, low=2, high=500)
    stop_atr = Param(1.5, low=0.1, high=20.0)
    target_atr = Param(3.0, low=0.1, high=20.0)

    def signals(self, bar: Bar) -> Signals:
        fast, slow = ta.ema(bar.close, self.fast), ta.ema(bar.close, self.slow)
        above, below = ta.crossed_above(fast, slow), ta.crossed_below(fast, slow)
        range_ = ta.atr(bar, 14)
        return Signals(
            entry=above,
            exit=below,
            short_entry=below,
            short_exit=above,
            stop=self.stop_atr * range_,
            target=self.target_atr * range_,
        )


def files() -> list[tuple[Path, str, str]]:
    """Return (file, base currency, timeframe) of the bars that are traded."""
    hours = [(DATA / f"binance_{base}-USDT_1h.parquet", base, "1h") for base in HOURS]
    return hours + [(DATA / f"binance_{base}-USDT-PERP_1m.parquet", base, "1m") for base in MINUTES]


def run_one(
    folder: Path, protocol: str, bars: Bars, base: str, timeframe: str, played: int, faults: Faults | None = None
) -> tuple[LocalRun, float]:
    """Trade one series over one protocol; return the run and the seconds it took."""
    perpetual = MARKETS[protocol][1] == "perpetual"
    quote = "USD" if protocol == "coinbase" else "USDT"
    symbol = f"{base}/{quote}:{quote}" if perpetual else f"{base}/{quote}"
    store = Store(folder / "store")
    source = f"real:{base}/USDT:{timeframe}"
    tick = 10.0 ** -max(0, 6 - len(str(int(bars.close[-1]))))
    rules = Costs(
        fee=0.0005 if perpetual else 0.001,
        slippage=0.0005,
        price_tick=tick,
        quantity_step=0.001,
        min_notional=5.0,
        short=perpetual,
        leverage=2.0 if perpetual else 1.0,
    )
    if perpetual:
        program = bind(BothSides())
    else:
        chosen = {"rsi_length": 3.0, "oversold": 40.0, "overbought": 60.0, "band_width": 1.0, "kelly_fraction": 0.0}
        program = bind(find_strategy("mean_reversion")(), chosen | {"var_limit": 0.0})
    manifest = folder / f"{protocol}-{base}-{timeframe}.json"
    write_manifest(manifest, program, rules, bars, strategy="parity", params={}, evidence={})
    began = time.perf_counter()
    done = trade_locally(
        store, manifest, symbol, folder / manifest.stem, source=source, bars=played, protocol=protocol, rules=rules,
        faults=faults, say=lambda text: None,
    )  # fmt: skip
    return done, time.perf_counter() - began


def row_of(found: Parity) -> dict[str, int]:
    """Return what a comparison found, by name."""
    return {
        "bars": found.bars,
        "trades": found.trades,
        "decisions that differ": found.decisions,
        "values that differ": found.values,
        "equities that differ": found.equities,
        "trades that differ": found.fills,
    }


def main() -> None:
    """Trade every file over every protocol, print a line each, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bars", type=int, default=1000)
    parser.add_argument("--protocol", action="append", choices=sorted(MARKETS))
    parser.add_argument("--files", type=int, default=99)
    asked = parser.parse_args()
    result: dict[str, Any] = {}
    for protocol in asked.protocol or MARKETS:
        for path, base, timeframe in files()[: asked.files]:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                bars = read_bars(path, f"real:{base}/USDT:{timeframe}", -(HISTORY + asked.bars), HISTORY + asked.bars)
                stored(Store(folder / "store"), bars)
                done, seconds = run_one(folder, protocol, bars, base, timeframe, asked.bars)
                result[f"{protocol} {base} {timeframe}"] = row = row_of(done.parity)
                print(f"{protocol:12} {base:5} {timeframe}: {row}, {seconds:.0f} s", flush=True)
                for line in done.parity.details:
                    print("   ", line)
    keep("live_parity", result)
    wrong = sum(one[name] for one in result.values() for name in one if name.endswith("that differ"))
    if wrong:
        raise SystemExit(f"{wrong} differences")


def stored(store: Store, bars: Bars) -> None:
    """Put bars into a store."""
    import polars as pl

    columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
    time_ = pl.Series("ts", bars.time).cast(pl.Datetime("ms", "UTC"))
    store.append(bars.source, pl.DataFrame({"ts": time_, **columns}))


if __name__ == "__main__":
    main()

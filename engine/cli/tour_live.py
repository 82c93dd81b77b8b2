"""The tour's last part: the exported manifest trades at the local venue, through the real CCXT client."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from engine.live.parity import Parity
    from parquet_store import Store

__all__ = ["BARS", "trade"]

BARS: Final = 500  # of the end of the history
SYMBOL: Final = "NASDAQ/USD"


def trade(
    store: Store, manifest: Path, bars: int, say: Callable[[str], None], progress: Callable[[int], None] | None
) -> Parity:
    """Let a bot trade the last bars of the manifest's series at a local venue, and compare with the backtest."""
    from engine.live.locally import trade_locally

    folder = store.root / "tour"
    shutil.rmtree(folder, ignore_errors=True)  # of the tour before
    return trade_locally(store, manifest, SYMBOL, folder, bars=bars, say=say, progress=progress).parity

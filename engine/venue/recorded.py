"""Recorded trades and order books of one market, as plain arrays in the order they happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.venue.events import Levels
from parquet_store.errors import Usage

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Depth", "Trades"]

_SIDES = {"buy": 1, "sell": -1}


@dataclass(frozen=True, eq=False)
class Trades:
    """Public trades.

    Attributes
    ----------
    time_ms, trade_id : ndarray of int64, shape (n,)
        Times never fall, ms since the epoch.
    price, quantity : ndarray of float64, shape (n,)
        Quote and base currency.
    side : ndarray of int64, shape (n,)
        The taker's: 1 bought, -1 sold, 0 not known.
    """

    time_ms: NDArray[np.int64]
    trade_id: NDArray[np.int64]
    price: NDArray[np.float64]
    quantity: NDArray[np.float64]
    side: NDArray[np.int64]

    def __post_init__(self) -> None:
        sizes = {len(column) for column in (self.time_ms, self.trade_id, self.price, self.quantity, self.side)}
        if len(sizes) != 1 or np.any(np.diff(self.time_ms) < 0) or not (self.price > 0.0).all():
            raise Usage("venue: recorded trades: expected columns of one length, times that never fall, prices above 0")

    def __len__(self) -> int:
        return len(self.time_ms)

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Trades:
        """Return the trades of a frame with ts or ts_event, trade_id, price, quantity or amount, and side.

        Sides are words (buy, sell) or signs, null where they are not known; ``ts_event``, the venue's own time, is
        taken where there is one.
        """
        import polars as pl

        when = "ts_event" if "ts_event" in frame.columns else "ts"
        amount = "quantity" if "quantity" in frame.columns else "amount"
        side = pl.col("side")
        if frame.schema["side"] == pl.String:
            side = side.replace_strict(_SIDES, default=0, return_dtype=pl.Int64)
        rows = frame.select(
            pl.col(when).dt.epoch("ms").alias("time"),
            pl.col("trade_id").cast(pl.Int64),
            pl.col("price").cast(pl.Float64),
            pl.col(amount).cast(pl.Float64).alias("quantity"),
            side.cast(pl.Int64).fill_null(0).alias("side"),
        ).sort("time", "trade_id", maintain_order=True)
        return cls(*(rows[name].to_numpy() for name in ("time", "trade_id", "price", "quantity", "side")))


class Depth:
    """An order book as it was recorded: snapshots, and updates that set the amount of a level.

    Parameters
    ----------
    time_ms : ndarray of int64, shape (n,)
        Never falls.
    snapshot : ndarray of bool, shape (n,)
        Rows of one update number that are snapshots are the whole book.
    update : ndarray of int64, shape (n,)
        The venue's number of the message a row is of; never falls.
    bid : ndarray of bool, shape (n,)
    price, amount : ndarray of float64, shape (n,)
        Amount 0: the level is gone.

    Attributes
    ----------
    update : int
        Number of the last message applied, 0 before the first.
    """

    def __init__(
        self,
        time_ms: NDArray[np.int64],
        snapshot: NDArray[np.bool_],
        update: NDArray[np.int64],
        bid: NDArray[np.bool_],
        price: NDArray[np.float64],
        amount: NDArray[np.float64],
    ) -> None:
        self._time = time_ms
        self._rows = list(zip(*(x.tolist() for x in (snapshot, update, bid, price, amount)), strict=True))
        self._at = self.update = 0
        self._whole = -1  # number of the last snapshot
        self._sides: tuple[dict[float, float], dict[float, float]] = {}, {}

    @classmethod
    def from_frame(cls, frame: pl.DataFrame) -> Depth:
        """Return the book of a frame with ts_event, kind, side, price, amount and last_update_id.

        Updates up to the first snapshot's number are left out; a snapshot without a time has that of what follows it.
        """
        import polars as pl

        kind = pl.col("kind") == "snapshot"
        first = frame.filter(kind)["last_update_id"].min()
        if first is None:
            raise Usage("venue: recorded book: found no snapshot, expected one")
        rows = (
            frame.filter(kind | (pl.col("last_update_id") > first))
            .sort(["last_update_id", ~kind], maintain_order=True)
            .select(
                pl.col("ts_event").dt.epoch("ms").fill_null(strategy="backward").cum_max().alias("time"),
                kind.alias("snapshot"),
                pl.col("last_update_id").alias("update"),
                (pl.col("side") == "bid").alias("bid"),
                "price",
                "amount",
            )
        )
        return cls(*(rows[name].to_numpy() for name in ("time", "snapshot", "update", "bid", "price", "amount")))

    def play(self, now_ms: int) -> None:
        """Apply what happened until a moment."""
        until = int(self._time.searchsorted(now_ms, side="right"))
        for snapshot, update, bid, price, amount in self._rows[self._at : until]:
            if snapshot and update != self._whole:
                self._sides[0].clear()
                self._sides[1].clear()
                self._whole = update
            self.update, side = update, self._sides[0 if bid else 1]
            if amount > 0.0:
                side[price] = amount
            else:
                side.pop(price, None)
        self._at = max(self._at, until)

    def levels(self, count: int) -> tuple[Levels, Levels]:
        """Return (bids, asks), best first, at most so many a side; empty before the first snapshot."""
        bids = tuple(sorted(self._sides[0].items(), reverse=True)[:count])
        return bids, tuple(sorted(self._sides[1].items())[:count])

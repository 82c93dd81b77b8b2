"""A walk-forward as plain data and as tables: what is kept, printed and drawn."""

from __future__ import annotations

from typing import Any

import polars as pl

from engine.graph.scalar import tidy
from engine.research.walk.course import WAYS_OUT
from engine.research.walk.forward import Tested, Walked
from parquet_store.moments import to_datetime
from pipelines import Bars

__all__ = ["course_frame", "swept_names", "told_of", "trades_frame"]

TIME = pl.Datetime("ms", "UTC")


def swept_names(space: dict[str, Any]) -> list[str]:
    """Return the parameters that vary in a space."""
    drawn = space["draw"]["intervals"] if space["draw"] is not None else {}
    return [name for name, values in space["values"].items() if len(values) > 1 or name in drawn]


def told_of(found: Walked) -> dict[str, Any]:
    """Return what is told of one series, as plain data."""
    bars = found.bars
    (inside, outside), (inside_sharpe, outside_sharpe) = found.annual_returns, found.sharpes
    return {
        "source": bars.source,
        "bars": len(bars),
        "bars_per_year": bars.bars_per_year,
        "calendar": bars.calendar,
        "combos": found.trials.trials,
        "folds": [_fold(k, tested, bars) for k, tested in enumerate(found.folds, 1)],
        "oos_bars": found.course.equity.size,
        "oos_span": _span(bars, found.course.window),
        "oos": found.course.metrics(bars),
        "benchmark": found.hold.metrics(bars),
        "in_sample": {"annual_return": inside, "sharpe": inside_sharpe},
        "out_of_sample": {"annual_return": outside, "sharpe": outside_sharpe},
        "efficiency": found.efficiency,
        "efficiency_sharpe": found.efficiency_sharpe,
    }


def _fold(number: int, tested: Tested, bars: Bars) -> dict[str, Any]:
    fold, choice = tested.fold, tested.choice
    return {
        "fold": number,
        "train": _span(bars, fold.train),
        "train_bars": fold.bars,
        "test": _span(bars, fold.test),
        "test_bars": fold.test[1] - fold.test[0],
        "combo": choice.combo,
        "params": {name: tidy(value) for name, value in tested.params.items()},
        "score": choice.score,
        "in_sample": {"annual_return": choice.annual_return, "sharpe": choice.sharpe, "trades": choice.trades},
        "out_of_sample": tested.metrics,
    }


def _span(bars: Bars, window: tuple[int, int]) -> list[str]:
    """Return the open times of a window's first and last bar."""
    return [to_datetime(int(bars.time[at])).isoformat() for at in (window[0], window[1] - 1)]


def course_frame(found: Walked) -> pl.DataFrame:
    """Return the stitched account, one row a bar."""
    bars, course = found.bars, found.course
    here = bars.slice(*course.window)
    folds = [k for k, tested in enumerate(found.folds, 1) for _ in range(*tested.fold.test)]
    return pl.DataFrame(
        {
            "source": pl.repeat(bars.source, len(here), eager=True),
            "time": pl.Series(here.time).cast(TIME),
            "fold": pl.Series(folds, dtype=pl.Int32),
            "equity": course.equity,
            "return": course.returns,
            "position": course.position,
            "buy_and_hold": found.hold.equity,
        }
    )


def trades_frame(found: Walked) -> pl.DataFrame:
    """Return the closed trades, one row each."""
    bars, trades = found.bars, found.course.trades
    folds = [k for k, tested in enumerate(found.folds, 1) for _ in range(tested.course.trades.size)]
    return pl.DataFrame(
        {
            "source": pl.repeat(bars.source, trades.size, eager=True, dtype=pl.String),
            "fold": pl.Series(folds, dtype=pl.Int32),
            "entry_time": pl.Series(bars.time[trades["entry_bar"]]).cast(TIME),
            "exit_time": pl.Series(bars.time[trades["exit_bar"]]).cast(TIME),
            "side": trades["side"].astype("int32"),
            "reason": pl.Series([WAYS_OUT[k] for k in trades["reason"].tolist()], dtype=pl.String),
            **{name: trades[name].copy() for name in ("quantity", "entry_price", "exit_price", "fees", "profit")},
        }
    )

"""What is known of a series beside its rows: its calendar, the bars in a year, where it came from."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from parquet_store.calendar import ALWAYS, SESSIONS, bars_per_year, calendar_of
from parquet_store.errors import Failed, Usage
from parquet_store.timeframe import Timeframe
from parquet_store.write import write_whole

NAME = "series.json"


@dataclass(frozen=True)
class SeriesMeta:
    """The annual figures of a series are built on these.

    Attributes
    ----------
    bars_per_year : float
        Bars in a year.
    calendar : str
        ``24/7`` or ``sessions``.
    chosen : bool
        True if somebody set them; False if they follow from the bars.
    provenance : tuple of str
        Where the rows came from, oldest first.
    """

    bars_per_year: float
    calendar: str
    chosen: bool = False
    provenance: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON can carry it."""
        return asdict(self) | {"provenance": list(self.provenance)}


def derive(times: npt.NDArray[np.int64], bar: Timeframe, calendar: str | None = None) -> SeriesMeta:
    """Return what the open times (int64 ms, increasing) say of a series, under a given calendar or their own."""
    calendar = calendar or calendar_of(times, bar)
    return SeriesMeta(bars_per_year(times, bar, calendar), calendar)


def choose(
    meta: SeriesMeta, times: npt.NDArray[np.int64], bar: Timeframe, figure: float | None, calendar: str | None
) -> SeriesMeta:
    """Return the record with what somebody set in it; neither given returns to what the bars say.

    Raises
    ------
    Usage
        If the calendar is not known or the number of bars is not positive and finite.
    """
    if calendar not in (None, ALWAYS, SESSIONS):
        raise Usage(f'unknown calendar "{calendar}": expected {ALWAYS} or {SESSIONS}')
    if figure is not None and not (np.isfinite(figure) and figure > 0):
        raise Usage(f"bars per year {figure}: expected a positive number")
    derived = derive(times, bar, calendar)
    return replace(
        derived,
        bars_per_year=derived.bars_per_year if figure is None else float(figure),
        chosen=figure is not None or calendar is not None,
        provenance=meta.provenance,
    )


def read_meta(folder: Path) -> SeriesMeta | None:
    """Return the stored record; None if there is none or a writer was stopped before it was brought up to date."""
    path = folder / NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["stale"]:
            return None
        return SeriesMeta(
            float(stored["bars_per_year"]), str(stored["calendar"]), bool(stored["chosen"]), tuple(stored["provenance"])
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise Failed(f"{path} cannot be read ({error}): remove it; it is made anew from the rows") from error


def read_provenance(folder: Path) -> tuple[str, ...]:
    """Return where the rows came from, also while a record is out of date."""
    try:
        return tuple(json.loads((folder / NAME).read_text(encoding="utf-8"))["provenance"])
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def write_meta(folder: Path, meta: SeriesMeta, *, stale: bool = False) -> None:
    """Store the record; ``stale`` says that rows are about to change, so that readers derive it from the rows."""
    text = json.dumps({"schema_version": 1, "stale": stale, **meta.to_dict()}, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / NAME, lambda file: file.write(text.encode()))

"""Which column of a file is which: by name, whatever the case, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from parquet_store.errors import Failed, Usage, unknown
from parquet_store.schema import BARS

LAYOUTS = ("binance", "cryptodatadownload", "freqtrade", "plain", "store", "yahoo")

# names as they are after lower() and without blanks and marks; the first that is there is taken
_KNOWN = {
    "ts": (
        "ts", "unix", "unixtime", "opentime", "timestamp", "datetime", "date", "time", "timeutc", "dateutc", "gmttime",
        "localtime", "starttime", "start", "candlestart", "t", "indexlevel0", "index", "",
    ),
    "open": ("open", "openprice", "o", "priceopen"),
    "high": ("high", "highprice", "h", "max", "pricehigh"),
    "low": ("low", "lowprice", "l", "min", "pricelow"),
    "close": ("close", "closeprice", "c", "last", "priceclose", "closelast"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "tickvol", "volumetraded"),
}  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """``names`` maps the store's columns to the file's; ``clock`` names a column of clock times beside one of dates."""

    names: dict[str, str]
    clock: str | None
    layout: str
    notes: tuple[str, ...]


def recognise(
    frame: pl.DataFrame, *, header: bool, columns: Mapping[str, str] | None, layout: str, path: str
) -> Recognised:
    """Return which of the frame's columns are times, prices and volume.

    Parameters
    ----------
    frame : DataFrame
        A file's content.
    header : bool
        Whether the file named its columns.
    columns : mapping, optional
        The store's name to the file's, for what cannot be recognised.
    layout : str
        ``auto``, or the layout the file must have.
    path : str
        For messages.

    Raises
    ------
    Usage
        If ``columns`` or ``layout`` name what there is not.
    Failed
        If a column is missing, or the file has another layout.
    """
    if layout not in ("auto", *LAYOUTS):
        raise unknown("layout", layout, ["auto", *LAYOUTS])
    given = dict(columns or {})
    for name, theirs in given.items():
        if name not in BARS.names:
            raise unknown("column", name, BARS.names)
        if theirs not in frame.columns:
            raise Usage(f"{path}: {unknown('column', theirs, frame.columns)}")
    plain = {_plain(name): name for name in reversed(frame.columns)}
    found = {name: plain[alias] for name, aliases in _KNOWN.items() for alias in reversed(aliases) if alias in plain}
    notes = []
    volumes = [name for name in frame.columns if re.fullmatch(r"(?i)volume[ _]\(?[a-z0-9]+\)?", name.strip())]
    if "volume" not in found and "volume" not in given and volumes:
        found["volume"] = _base_volume(frame, volumes, plain)
        notes.append(f"volume is column '{found['volume']}'")
    found |= given
    missing = [name for name in BARS.names if name not in found]
    if missing:
        raise Failed(
            f"{path}: no column for {', '.join(missing)}: found {', '.join(map(repr, frame.columns))}; "
            f"name it, as in --columns {missing[0]}=NAME"
        )
    clock = None
    if (
        "ts" not in given
        and _plain(found["ts"]) == "date"
        and "time" in plain
        and frame.schema[plain["time"]] == pl.String
    ):
        clock = plain["time"]
    kind = _layout(set(plain), volumes, header=header)
    if layout not in ("auto", kind):
        raise Failed(f"{path}: the layout is {kind}, not {layout}: found {', '.join(map(repr, frame.columns))}")
    adjusted = plain.get("adjclose") or plain.get("adjustedclose")
    if adjusted is not None and adjusted not in found.values():
        notes.append(f"column '{adjusted}' left out: prices are stored as quoted, without adjustment for dividends")
    return Recognised(found, clock, kind, tuple(notes))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


def _base_volume(frame: pl.DataFrame, volumes: list[str], plain: Mapping[str, str]) -> str:
    """Return the volume column in units of what is traded: the one whose unit the symbol begins with."""
    symbol = str(frame[plain["symbol"]][0]).upper() if "symbol" in plain and len(frame) else ""
    units = {name: re.sub(r"\W|_", "", name[6:]).upper() for name in volumes}
    return max(volumes, key=lambda name: len(units[name]) if symbol.startswith(units[name]) else 0)


def _layout(names: set[str], volumes: list[str], *, header: bool) -> str:
    if {"opentime", "closetime"} <= names:
        return "binance"
    if volumes and names & {"unix", "date"} and "symbol" in names:
        return "cryptodatadownload"
    if names & {"adjclose", "adjustedclose"}:
        return "yahoo"
    ohlcv = set(BARS.names[1:])
    if not header:
        return "plain"
    return "store" if names == ohlcv | {"ts"} else "freqtrade" if names == ohlcv | {"date"} else "plain"

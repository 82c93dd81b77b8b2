"""Imports: every layout, kind and unit that is recognised, and every file that is not right."""

from __future__ import annotations

import gzip
import math
import zipfile
from pathlib import Path

import polars as pl
import pytest

from parquet_store import BARS, Failed, Refuse, Store, Usage
from pipelines import import_file
from tests.data import BAR_FILES, DATA, needs_data
from tests.parquet_store.made import made_bars

HOURS = made_bars(30)


def texts(frame: pl.DataFrame, unit: int = 1_000) -> list[list[str]]:
    """Return the rows as a source writes them; ``unit`` is times a second."""
    return [
        [str(row[0] * unit // 1_000), *map(repr, row[1:])]
        for row in frame.with_columns(pl.col("ts").to_physical()).rows()
    ]


def write(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def klines(frame: pl.DataFrame, unit: int = 1_000) -> list[str]:
    return [
        ",".join([*row, str(int(row[0]) + 3_600 * unit - 1), "1000.5", "77", "500.25", "500.25", "0"])
        for row in texts(frame, unit)
    ]


@pytest.mark.parametrize(("unit", "name"), [(1_000, "milliseconds"), (1_000_000, "microseconds")])
def test_binance_klines_without_a_header(tmp_path: Path, unit: int, name: str) -> None:
    done = import_file(write(tmp_path / "BTCUSDT-1h-2024-01.csv", klines(HOURS, unit)))
    assert done.layout == "binance"
    assert done.frame.equals(HOURS)
    assert f"times are {name} since 1970" in done.notes


def test_binance_klines_that_change_their_unit_midway(tmp_path: Path) -> None:
    path = write(tmp_path / "k.csv", klines(HOURS[:10]) + klines(HOURS[10:], 1_000_000))
    assert import_file(path).frame.equals(HOURS)
    assert "times are milliseconds and microseconds since 1970" in import_file(path).notes


def test_binance_klines_with_a_header_in_a_zip(tmp_path: Path) -> None:
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote,ignore"
    )
    with zipfile.ZipFile(tmp_path / "k.zip", "w") as archive:
        archive.writestr("k.csv", "\n".join([header, *klines(HOURS)]))
    done = import_file(tmp_path / "k.zip", layout="binance")
    assert (done.layout, done.frame.equals(HOURS)) == ("binance", True)


@pytest.mark.parametrize(
    ("symbol", "columns"), [("BTC/USDT", "Volume BTC,Volume USDT"), ("BTCUSDT", "Volume USDT,Volume BTC")]
)
def test_cryptodatadownload_newest_first_with_the_base_volume(tmp_path: Path, symbol: str, columns: str) -> None:
    base_first = columns.startswith("Volume BTC")
    lines = ["https://www.CryptoDataDownload.com", f"unix,date,symbol,open,high,low,close,{columns},tradecount"]
    for row in reversed(texts(HOURS)):
        volumes = [row[5], "123456.7"] if base_first else ["123456.7", row[5]]
        lines.append(",".join([row[0], "2024-01-30 00:00:00", symbol, *row[1:5], *volumes, "9"]))
    done = import_file(write(tmp_path / "Binance_BTCUSDT_1h.csv", lines))
    assert done.layout == "cryptodatadownload"
    assert done.frame.reverse().equals(HOURS)
    assert "volume is column 'Volume BTC'" in done.notes


def test_cryptodatadownload_of_old_with_clock_hours(tmp_path: Path) -> None:
    lines = ["Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD"]
    for time, row in zip(HOURS["ts"], texts(HOURS), strict=True):
        lines.append(",".join([f"{time:%Y-%m-%d %I-%p}", "BTCUSD", *row[1:6], "5"]))
    assert import_file(write(tmp_path / "c.csv", lines)).frame.equals(HOURS)


def test_freqtrade_feather(tmp_path: Path) -> None:
    HOURS.rename({"ts": "date"}).write_ipc(tmp_path / "BTC_USDT-1h.feather", compression="lz4")
    done = import_file(tmp_path / "BTC_USDT-1h.feather")
    assert (done.layout, done.frame.equals(HOURS)) == ("freqtrade", True)


def test_yahoo_keeps_the_quoted_prices(tmp_path: Path) -> None:
    days = made_bars(30, "1d")
    lines = ["Date,Open,High,Low,Close,Adj Close,Volume"]
    for time, row in zip(days["ts"], texts(days), strict=True):
        lines.append(",".join([f"{time:%Y-%m-%d}", *row[1:5], "1.0", row[5]]))
    done = import_file(write(tmp_path / "QQQ.csv", lines))
    assert (done.layout, done.frame.equals(days)) == ("yahoo", True)
    assert any("without adjustment for dividends" in note for note in done.notes)


def test_yfinance_days_stamped_at_local_midnight_are_dates(tmp_path: Path) -> None:
    days = made_bars(200, "1d", "2024-02-01")  # over the change to summer time
    lines = ["Date,Open,High,Low,Close,Volume,Dividends,Stock Splits"]
    for time, row in zip(days["ts"], texts(days), strict=True):
        offset = "-05:00" if time.month < 3 else "-04:00"
        lines.append(",".join([f"{time:%Y-%m-%d} 00:00:00{offset}", *row[1:6], "0.0", "0.0"]))
    done = import_file(write(tmp_path / "y.csv", lines))
    assert done.frame.equals(days)
    assert "every time is local midnight: read as the session's date" in done.notes


def test_a_file_of_six_numbers_a_row_needs_no_header(tmp_path: Path) -> None:
    done = import_file(write(tmp_path / "ohlcv.csv", [",".join(row) for row in texts(HOURS)]))
    assert done.frame.equals(HOURS)
    assert "no header: columns are read as ts, open, high, low, close, volume" in done.notes


@pytest.mark.parametrize("header", ["TIMESTAMP;Open;HIGH;low;Close;VOLUME", "<Date>;<Open>;<High>;<Low>;<Close>;<Vol>"])
def test_names_are_known_in_any_case_and_with_any_separator(tmp_path: Path, header: str) -> None:
    lines = [header, *(";".join(row) for row in texts(HOURS))]
    assert import_file(write(tmp_path / "semicolons.txt", lines)).frame.equals(HOURS)


def test_columns_can_be_named_and_the_rest_is_said_to_be_left_out(tmp_path: Path) -> None:
    lines = ["when,first,top,bottom,final,traded,ts", *(",".join([*row, "7"]) for row in texts(HOURS))]
    names = {"ts": "when", "open": "first", "high": "top", "low": "bottom", "close": "final", "volume": "traded"}
    done = import_file(write(tmp_path / "own.csv", lines), columns=names)
    assert done.frame.equals(HOURS)
    assert "columns left out: ts" in done.notes


def test_dates_and_clock_times_in_two_columns(tmp_path: Path) -> None:
    lines = ["Date,Time,Open,High,Low,Close,Volume"]
    for time, row in zip(HOURS["ts"], texts(HOURS), strict=True):
        lines.append(",".join([f"{time:%Y.%m.%d}", f"{time:%H:%M}", *row[1:]]))
    assert import_file(write(tmp_path / "two.csv", lines)).frame.equals(HOURS)


@pytest.mark.parametrize("compress", ["gzip", "utf-16", "bom", "crlf"])
def test_text_in_other_wrappings_reads_the_same(tmp_path: Path, compress: str) -> None:
    text = "\n".join(["ts,open,high,low,close,volume", *(",".join(row) for row in texts(HOURS))])
    wrapped = {
        "gzip": gzip.compress(text.encode()),
        "utf-16": text.encode("utf-16"),
        "bom": text.encode("utf-8-sig"),
        "crlf": text.replace("\n", "\r\n").encode(),
    }[compress]
    (tmp_path / "file.csv").write_bytes(wrapped)
    assert import_file(tmp_path / "file.csv").frame.equals(HOURS)


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_times_without_a_zone_are_utc_and_a_note_says_so(tmp_path: Path, kind: str) -> None:
    frame = HOURS.with_columns(pl.col("ts").dt.replace_time_zone(None).dt.cast_time_unit("ns"))
    path = tmp_path / f"file.{kind}"
    if kind == "parquet":
        frame.write_parquet(path)
    else:
        frame.write_ipc(path)
    done = import_file(path)
    assert done.frame.equals(HOURS)
    assert done.notes == ("times without a zone are read as UTC",)


def test_a_missing_column_is_named_with_those_found_and_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "short.csv", ["when,open,high,low,close,volume", "1,2,3,4,5,6"])
    with pytest.raises(Failed, match=r"short\.csv: no column for ts: found 'when', 'open'.*--columns ts=NAME"):
        import_file(path)


def test_text_for_a_price_stays_text_and_the_store_names_row_and_value(tmp_path: Path) -> None:
    rows = texts(HOURS)
    rows[11][4] = "twelve"
    path = write(tmp_path / "text.csv", ["ts,open,high,low,close,volume", *(",".join(row) for row in rows)])
    frame = import_file(path).frame
    with pytest.raises(Refuse, match=r"1 x text .* row 12 \(2024-01-30 11:00\).*close 'twelve'"):
        Store(tmp_path / "store").append("x:Y:1h", frame)
    done = Store(tmp_path / "store").append("x:Y:1h", frame, quarantine=True)
    assert (done.rows, done.quarantined) == (29, 1)
    assert Store(tmp_path / "store").read("x:Y:1h").equals(HOURS.filter(pl.int_range(30) != 11))


@pytest.mark.parametrize(
    ("cell", "kind"), [("nan", "not_finite"), ("inf", "not_finite"), ("", "missing"), ("-5", "not_positive")]
)
def test_bad_numbers_reach_the_store_as_they_are(tmp_path: Path, cell: str, kind: str) -> None:
    rows = texts(HOURS)
    rows[3][3] = cell
    path = write(tmp_path / "bad.csv", ["ts,open,high,low,close,volume", *(",".join(row) for row in rows)])
    with pytest.raises(Refuse, match=f"1 x {kind} .*row 4 "):
        Store(tmp_path / "store").append("x:Y:1h", import_file(path).frame)


def test_a_time_that_is_none_reaches_the_store_as_unknown(tmp_path: Path) -> None:
    rows = texts(HOURS)
    rows[3][0] = "soon"
    path = write(tmp_path / "bad.csv", ["ts,open,high,low,close,volume", *(",".join(row) for row in rows)])
    with pytest.raises(Refuse, match=r"1 x time .*row 4 \(time unknown\).*: 'soon';"):
        Store(tmp_path / "store").append("x:Y:1h", import_file(path).frame)
    done = Store(tmp_path / "store").append("x:Y:1h", import_file(path).frame, quarantine=True)
    assert done.quarantine is not None
    assert pl.read_parquet(done.quarantine)["raw:ts"].to_list() == ["soon"]


def test_unsorted_and_repeated_rows_are_stored_sorted_once(tmp_path: Path) -> None:
    rows = [",".join(row) for row in texts(HOURS)]
    path = write(tmp_path / "mess.csv", ["ts,open,high,low,close,volume", *reversed(rows), *rows[:4]])
    done = Store(tmp_path / "store").append("x:Y:1h", import_file(path).frame)
    assert done.rows == 30
    assert len(done.notes) == 2
    assert Store(tmp_path / "store").read("x:Y:1h").equals(HOURS)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["parquet", "feather", "csv.gz", "zip"])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f"cut.{kind}"
    if kind == "parquet":
        HOURS.write_parquet(path)
    elif kind == "feather":
        HOURS.write_ipc(path)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("k.csv", "\n".join(klines(HOURS)))
    else:
        path.write_bytes(gzip.compress("\n".join(klines(HOURS)).encode()))
    content = path.read_bytes()
    path.write_bytes(content[: math.ceil(len(content) * share)])
    with pytest.raises(Failed, match=f"{path}"):
        import_file(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n", "is empty"),
        ("header.csv", b"ts,open,high,low,close,volume\n", "a header and no rows"),
        ("text.parquet", b"ts,open\n1,2\n", "is no parquet file"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is no text"),
        ("ragged.csv", b"ts,open,high,low,close,volume\n1,2,3,4,5,6,7,8\n", "damaged"),
        ("page.csv", b"<html><body>404</body></html>\n", "no column for ts"),
        ("slashes.csv", b"date,open,high,low,close,volume\n03/04/2024,1,1,1,1,1\n", "cannot be told apart"),
    ],
)
def test_a_file_that_is_not_right_says_what_is_wrong(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Failed, match=message) as error:
        import_file(tmp_path / name)
    assert name in str(error.value)


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"none\.csv cannot be opened"):
        import_file(tmp_path / "none.csv")
    with pytest.raises(Failed, match="cannot be opened"):
        import_file(tmp_path)


def test_names_nobody_knows_are_answered_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "f.csv", ["ts,open,high,low,close,volume", *(",".join(row) for row in texts(HOURS))])
    with pytest.raises(Usage, match='unknown layout "binanse": did you mean "binance"'):
        import_file(path, layout="binanse")
    with pytest.raises(Usage, match='unknown column "volum": did you mean "volume"'):
        import_file(path, columns={"volum": "volume"})
    with pytest.raises(Usage, match='unknown column "hihg": did you mean "high"'):
        import_file(path, columns={"high": "hihg"})
    with pytest.raises(Failed, match="the layout is store, not binance"):
        import_file(path, layout="binance")


@needs_data
@pytest.mark.parametrize("name", BAR_FILES)
def test_every_real_file_imports_as_it_is(name: str) -> None:
    done = import_file(DATA / name)
    assert done.layout == "store"
    assert done.frame.equals(pl.read_parquet(DATA / name).select(BARS.names))


@needs_data
@pytest.mark.parametrize("name", ["binance_XRP-ETH_1m.parquet", "yahoo_SPY_1d_adj.parquet"])
@pytest.mark.parametrize("way", ["csv", "klines", "feather"])
def test_real_bars_survive_every_format(tmp_path: Path, name: str, way: str) -> None:
    bars = pl.read_parquet(DATA / name).select(BARS.names)
    path = tmp_path / f"file.{way}"
    if way == "csv":
        bars.write_csv(path)
    elif way == "klines":
        write(path, klines(bars))
    else:
        bars.write_ipc(path, compression="zstd")
    assert import_file(path).frame.equals(bars)

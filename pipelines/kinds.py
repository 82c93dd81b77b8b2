"""Read a file of any kind into a frame, telling its kind by its first bytes rather than by its name."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from parquet_store.errors import Failed

_KINDS = (
    (b"PAR1", "parquet"),
    (b"ARROW1", "feather"),
    (b"FEA1", "feather1"),
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
)
_NAMES = {".parquet": "parquet", ".pq": "parquet", ".feather": "feather", ".arrow": "feather", ".ipc": "feather"}
_PLAIN = ("ts", "open", "high", "low", "close", "volume")
_KLINE = (
    "open_time",
    *_PLAIN[1:],
    "close_time",
    "quote_volume",
    "count",
    "taker_volume",
    "taker_quote_volume",
    "ignore",
)
_HEADLESS = {len(names): names for names in (_PLAIN, _KLINE)}


@dataclass(frozen=True)
class Table:
    """A file's content: every cell of text files is text; ``header`` is false where names were given by the layout."""

    frame: pl.DataFrame
    kind: str
    header: bool
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Return the content of a CSV (plain, gzip or zip), Parquet or Feather file.

    Raises
    ------
    Failed
        If there is no such file, or it is empty, damaged or of another kind; the message names it.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(8)
    except OSError as error:
        raise Failed(
            f"{path} cannot be opened: {error.strerror}: give the path of a CSV, Parquet or Feather file"
        ) from error
    if not head:
        raise Failed(f"{path} is empty: expected a CSV, Parquet or Feather file")
    kind = next((kind for magic, kind in _KINDS if head.startswith(magic)), "csv")
    named = _NAMES.get(path.suffix.lower())
    if kind == "feather1" or (named is not None and kind == "csv"):
        raise Failed(f"{path} is no {named or 'feather'} file, or an outdated one: its first bytes are {head!r}")
    try:
        if kind == "parquet":
            return Table(pl.read_parquet(path, glob=False, hive_partitioning=False), kind, header=True)
        if kind == "feather":
            return Table(pl.read_ipc(path), kind, header=True)
        return _read_text(path, kind)
    except (pl.exceptions.PolarsError, OSError, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Failed(f"{path} is damaged, cut short or no {kind} file ({reason}): fetch or export it again") from error


def _read_text(path: Path, kind: str) -> Table:
    content = path.read_bytes()
    if kind == "gzip":
        content = gzip.decompress(content)
    elif kind == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise Failed(f"{path} holds {len(names)} files: expected a zip of one CSV file")
            content = archive.read(names[0])
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        content = content.decode("utf-16").encode()
    content = content.removeprefix(b"\xef\xbb\xbf").lstrip(b"\r\n")
    if not content.strip():
        raise Failed(f"{path} is empty: expected a header or rows")
    if b"\0" in content[:4096]:
        raise Failed(f"{path} is no text: expected a CSV, Parquet or Feather file; its first bytes are {content[:8]!r}")
    notes = []
    top, _, rest = content.partition(b"\n")
    if top.strip().lower().startswith((b"http://", b"https://", b"www.")):
        notes.append(f"first line left out: {top.decode(errors='replace').strip()}")
        content = rest
    first = content.split(b"\n", 1)[0].decode(errors="replace")
    separator = max(",;\t|", key=first.count)
    cells = [cell.strip().strip('"') for cell in first.split(separator)]
    headless = len(cells) > 4 and all(_is_number(cell) for cell in cells[1:5])
    frame = pl.read_csv(content, has_header=not headless, separator=separator, infer_schema=False)
    if headless and len(cells) in _HEADLESS:
        given = _HEADLESS[len(cells)]
        frame = frame.rename(dict(zip(frame.columns, given, strict=True)))
        notes.append(f"no header: columns are read as {', '.join(given)}")
    return Table(frame, "csv", header=not headless, notes=tuple(notes))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

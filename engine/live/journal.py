"""The journal of a live run: an append-only chain of entries in one SQLite file, whole after a kill at any moment.

Each entry carries the SHA-256 of the one before it and of itself.  The file is in WAL mode: an entry that asks to be
durable is on the disk when `Journal.append` returns (``synchronous=FULL`` for its transaction), and with it all
before it; the others survive the end of the process and reach the disk with the next durable one or checkpoint.
One process writes, held by the lock of its folder (`parquet_store.write.sole_writer`); any number read meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from parquet_store.errors import Failed, Halt, Usage
from parquet_store.write import sole_writer

__all__ = ["Entry", "Journal", "last_of", "read_journal", "verify_journal"]

APPLICATION, FORMAT = 0x4C4B5354, 1
START = bytes(32)
TABLE = """CREATE TABLE entries (
    sequence INTEGER PRIMARY KEY, time_ns INTEGER NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, chain BLOB NOT NULL
) STRICT"""
COLUMNS = "sequence, time_ns, kind, body, chain"


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes
    ----------
    sequence : int
        1, 2, 3, ... without a gap.
    time_ns : int
        When, in nanoseconds since the epoch, by the clock of the run.
    kind : str
    body : bytes
        Canonical JSON: keys sorted, no spaces, UTF-8.
    chain : bytes
        SHA-256 of the chain before it and of the four above, 32 bytes.
    """

    sequence: int
    time_ns: int
    kind: str
    body: bytes
    chain: bytes

    @property
    def content(self) -> Any:
        """The body as plain data."""
        return orjson.loads(self.body)


def canonical(content: Any) -> bytes:
    """Return plain data as canonical JSON.

    Unknown and infinite numbers become null, since JSON has no words for them.

    Raises
    ------
    Usage
        Something in it is no plain data, or a whole number has more than 64 bits.
    """
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise Usage(f"a journal entry cannot be written as JSON: {error}; give plain data") from error


def linked(before: bytes, sequence: int, time_ns: int, kind: str, body: bytes) -> bytes:
    """Return the chain after an entry."""
    name = kind.encode()
    return hashlib.sha256(before + struct.pack("<qqq", sequence, time_ns, len(name)) + name + body).digest()


class Journal:
    """A journal open for writing, made if absent; use it in ``with`` or close it.  Threads take turns.

    Attributes
    ----------
    path : Path
    sequence : int
        Of the last entry, 0 if there is none.
    chain : bytes
        After the last entry: one number that stands for the whole journal.

    Raises
    ------
    Failed
        Another process writes here; the file is no journal, of another format or damaged at its end; the folder may
        not be written; the disk is full.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._turn = threading.Lock()
        self._broken = ""
        with ExitStack() as stack:
            stack.enter_context(sole_writer(self.path.parent, wait=False))
            with telling(self.path, Failed):
                made = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                self._connection = stack.enter_context(closing(made))
                self._prepare()
                last = made.execute(f"SELECT {COLUMNS} FROM entries ORDER BY sequence DESC LIMIT 2").fetchall()
            before = last[1][4] if len(last) > 1 else START
            if last and linked(before, *last[0][:4]) != last[0][4]:
                raise Failed(f"{self.path}: entry {last[0][0]} is damaged (its chain does not fit); {RESTORE}")
            self.sequence: int = last[0][0] if last else 0
            self.chain: bytes = last[0][4] if last else START
            self._stack = stack.pop_all()

    def _prepare(self) -> None:
        connection = self._connection
        if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
            raise Failed(f"{self.path}: its file system cannot hold a journal (no shared memory); use a local disk")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id={APPLICATION}")
            connection.execute(f"PRAGMA user_version={FORMAT}")
            connection.execute(TABLE)
            connection.execute("COMMIT")
            flush_folder(self.path.parent)
        check_format(self.path, connection)
        self._synchronous = True

    def append(self, time_ns: int, kind: str, content: Any, durable: bool = False) -> int:
        """Append one entry and return its sequence; the rest is that of `append_many`."""
        return self.append_many([(time_ns, kind, content)], durable)

    def append_many(self, entries: Iterable[tuple[int, str, Any]], durable: bool = False) -> int:
        """Append entries in one transaction: all of them or none.

        Parameters
        ----------
        entries : iterable of (time_ns, kind, content)
            Content is plain data, or bytes that are canonical JSON already.
        durable : bool
            Whether they, and all before them, must survive the end of the machine's power once this returns; costs
            a flush of the disk.  Without it they survive the end of the process.

        Returns
        -------
        int
            The sequence of the last entry.

        Raises
        ------
        Usage
            Content is no plain data; nothing was appended.
        Halt
            The disk is full, fails or was made read-only: what was appended before is intact, whether these entries
            are there is known after the journal was opened again, and until then it takes no more.
        """
        with self._turn:
            if self._broken:
                raise Halt(f"{self.path}: takes no entries since {self._broken}; open it again once that is mended")
            sequence, chain, rows = self.sequence, self.chain, []
            for time_ns, kind, content in entries:
                sequence += 1
                body = content if isinstance(content, bytes) else canonical(content)
                chain = linked(chain, sequence, time_ns, kind, body)
                rows.append((sequence, time_ns, kind, body, chain))
            if not rows:
                return sequence
            try:
                with telling(self.path, Halt):
                    self._write(rows, durable)
            except Halt as error:
                self._broken = str(error)
                raise
            self.sequence, self.chain = sequence, chain
            return sequence

    def _write(self, rows: list[tuple[int, int, str, bytes, bytes]], durable: bool) -> None:
        connection = self._connection
        if durable != self._synchronous:
            connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._synchronous = durable
        if len(rows) <= MOST_ROWS:  # a statement of its own is a transaction, and other threads run between statements
            connection.execute(INSERT + ROW * (len(rows) - 1), [value for row in rows for value in row])
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file and let others write."""
        self._broken = self._broken or "it was closed"
        self._stack.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


INSERT = f"INSERT INTO entries ({COLUMNS}) VALUES (?, ?, ?, ?, ?)"
ROW = ", (?, ?, ?, ?, ?)"
MOST_ROWS = 16  # of one statement
RESTORE = "restore the file from a copy; nothing after that entry can be trusted"


def flush_folder(folder: Path) -> None:
    """Put the name of a new file on the disk too."""
    if os.name == "posix":  # elsewhere a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def check_format(path: Path, connection: sqlite3.Connection) -> None:
    """Refuse a file that is no journal of this format."""
    own = (
        connection.execute("PRAGMA application_id").fetchone()[0],
        connection.execute("PRAGMA user_version").fetchone()[0],
    )
    if own != (APPLICATION, FORMAT):
        raise Failed(f"{path}: not a journal of format {FORMAT} (found {own[0]:#x}, {own[1]}); give another file")


def read_journal(path: Path | str, start: int = 1) -> Iterator[Entry]:
    """Yield entries in order from a sequence on, also while another process writes; none is verified.

    Raises
    ------
    Usage
        There is no such file.
    Failed
        The file is no journal or cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise Usage(f"{path}: no such file; expected a journal of a live run")
    with telling(path, Failed), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        check_format(path, connection)
        query = f"SELECT {COLUMNS} FROM entries WHERE sequence >= ? ORDER BY sequence"
        for row in connection.execute(query, (start,)):
            yield Entry(*row)


def last_of(path: Path | str, kind: str) -> int | None:
    """Return the sequence of the last entry of a kind, None if there is none; errors are those of `read_journal`."""
    path = Path(path)
    with telling(path, Failed), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        check_format(path, connection)
        found = connection.execute("SELECT max(sequence) FROM entries WHERE kind = ?", (kind,)).fetchone()[0]
        return None if found is None else int(found)


def verify_journal(path: Path | str, chain: bytes | None = None) -> tuple[int, bytes]:
    """Verify every entry and return the number of entries and the chain after the last.

    Entries missing at the end cannot be seen from the file alone: give the ``chain`` that was known before.

    Raises
    ------
    Failed
        An entry was changed, is missing or repeated, named by its sequence; the chain given occurs nowhere.
    """
    before, count, met = START, 0, chain in (None, START)
    for entry in read_journal(path):
        where = f"{path}: entry {entry.sequence}"
        if entry.sequence != count + 1:
            between = (
                f"entry {count + 1}" if entry.sequence == count + 2 else f"entries {count + 1} to {entry.sequence - 1}"
            )
            raise Failed(f"{path}: {between} missing; {RESTORE}")
        if entry.chain == before:
            raise Failed(f"{where} repeats entry {count}; {RESTORE}")
        if linked(before, entry.sequence, entry.time_ns, entry.kind, entry.body) != entry.chain:
            raise Failed(f"{where} was changed (its chain does not fit); {RESTORE}")
        before, count = entry.chain, entry.sequence
        met = met or before == chain
    if not met:
        raise Failed(f"{path}: ends at entry {count}, before the chain it is known to have reached; {RESTORE}")
    return count, before


@contextmanager
def telling(path: Path, kind: type[Failed]) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith("SQLITE_FULL"):
            raise kind(
                f"no space left on the disk of {path}: what was written before is intact; free some space"
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            raise kind(
                f"{path}: may not be opened or written ({error}); mend the rights of the file and its folder"
            ) from error
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise kind(f"{path}: not a journal, or damaged ({error}); {RESTORE}") from error
        raise kind(f"{path}: {error} ({name or 'SQLite'}); look at its disk") from error

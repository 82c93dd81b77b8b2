"""Put a file in its place whole or not at all, and hold other writers off meanwhile.

A file is written beside its place under a temporary name, flushed to the disk, then renamed: a kill, a full disk or
Ctrl-C at any moment leaves the old file or the new one.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import polars as pl

from parquet_store.errors import Failed
from parquet_store.layout import TEMPORARY, leftovers
from parquet_store.schema import Dataset


@contextmanager
def sole_writer(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold other processes and threads off a folder, and sweep up what a killed one left there.

    The lock is the operating system's: it goes with its holder, however that ends.

    Raises
    ------
    Failed
        Another one writes there, and ``wait`` is false; otherwise its end is waited for.
    """
    import filelock

    with telling_disk_errors(folder):
        make_folder(folder)
    lock = filelock.FileLock(folder / ".lock")
    with telling_disk_errors(folder):
        try:
            lock.acquire(timeout=-1 if wait else 0)
        except filelock.Timeout as error:
            raise Failed(f"{folder.name}: another process is at work on it; wait until it ends, or stop it") from error
        try:
            for path in leftovers(folder):
                path.unlink(missing_ok=True)
            yield
        finally:
            lock.release()


@contextmanager
def telling_disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals below ``path`` into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Failed(
                f"no space left on the disk of {path}: what was stored is intact, files begun were removed; "
                "free some space and run the same command again"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Failed(f"may not write to {path} ({error.strerror}): give another store with --store") from error
        raise Failed(f"cannot write to {path}: {error.strerror or error}") from error


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Create or replace the file at ``path`` by what ``write`` puts into the open file it is given.

    Raises
    ------
    OSError
        As the operating system gave it; the old file is then intact and the temporary one removed.
    """
    make_folder(path.parent)
    temporary = path.parent / f".{path.name}.{os.getpid()}.{uuid.uuid4().hex}{TEMPORARY}"
    try:
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def write_rows(path: Path, rows: pl.DataFrame, dataset: Dataset, **about: str) -> None:
    """Write rows with exactly the dataset's columns to a Parquet file, as ``write_whole`` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_arrays(rows.to_arrow().columns, schema=dataset.arrow(**about))
    write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))


def make_folder(folder: Path) -> None:
    """Create a folder and those above it, each flushed to the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened; its file system orders renames itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

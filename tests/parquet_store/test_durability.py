"""What a kill, Ctrl-C, a full disk or another writer may not do to what is stored."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from parquet_store import Failed, Store
from tests.data import ROOT
from tests.parquet_store.made import made_bars

NAME = "made:A/B:1d"
MONTHS = 4
COUNT = 31 + 28 + 31 + 30  # January to April 2023


def version(seed: int) -> pl.DataFrame:
    return made_bars(COUNT, "1d", "2023-01-01", seed=seed)


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def temporary_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.endswith(".tmp")]


def stored_versions(root: Path, seeds: range) -> list[int]:
    """Return which version each month holds, whole; fail if it holds a part of one or a mixture."""
    rows = Store(root).read(NAME)
    assert len(rows) == COUNT
    found = []
    for month in range(1, MONTHS + 1):
        mine = rows.filter(pl.col("ts").dt.month() == month)
        (seed,) = [seed for seed in seeds if mine.equals(version(seed).filter(pl.col("ts").dt.month() == month))]
        found.append(seed)
    return found


CRASHES = 30
CRASH_AT_EVERY_STEP = """
    import os, signal, sys
    import filelock, polars, pyarrow.parquet
    from parquet_store import Store
    import parquet_store.append, parquet_store.write
    from tests.parquet_store.test_durability import NAME, version

    def crash_at(step):
        left = [step]
        def counted(call):
            def wrapped(*arguments, **options):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return call(*arguments, **options)
            return wrapped
        for name in ("fsync", "replace"):
            setattr(os, name, counted(getattr(os, name)))
        pyarrow.parquet.write_table = counted(pyarrow.parquet.write_table)

    for step in range(int(sys.argv[2])):
        child = os.fork()
        if child == 0:
            crash_at(step)
            Store(f"{sys.argv[1]}/{step}").append(NAME, version(1))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)
"""


def test_a_kill_at_every_step_leaves_whole_months(tmp_path: Path) -> None:
    before = Store(tmp_path / "before")
    before.append(NAME, version(0))
    for step in range(CRASHES):
        shutil.copytree(before.root, tmp_path / str(step))
    writer = run_python(CRASH_AT_EVERY_STEP, tmp_path, CRASHES)
    output, errors = writer.communicate(timeout=120)
    assert writer.returncode == 0, errors
    signals = [int(line) for line in output.split()]
    killed = signals.count(signal.SIGKILL)
    assert signals == [signal.SIGKILL] * killed + [0] * (CRASHES - killed)
    assert killed == 3 * 2 + 4 * MONTHS  # the record, before and after; each month: write, flush, rename, flush
    seen, left = set(), 0
    for step in range(CRASHES):
        versions = stored_versions(tmp_path / str(step), range(2))
        assert versions == sorted(versions, reverse=True)  # oldest month first
        seen.add(tuple(versions))
        left += len(temporary_files(tmp_path / str(step)))
        assert Store(tmp_path / str(step)).meta(NAME).calendar == "24/7"
    assert len(seen) == MONTHS + 1  # every state between the old and the new was met
    assert left > 0  # and killed writers did leave temporary files,
    for step in range(killed):
        assert Store(tmp_path / str(step)).append(NAME, version(1)).rows == COUNT
        assert stored_versions(tmp_path / str(step), range(2)) == [1] * MONTHS
        assert temporary_files(tmp_path / str(step)) == []  # which the next writer swept up


WRITE_FOR_EVER = """
    import sys
    from parquet_store import Store
    from tests.parquet_store.test_durability import NAME, version
    versions = [version(seed) for seed in range(3)]
    for turn in range(10**6):
        Store(sys.argv[1]).append(NAME, versions[turn % 3])
        if turn == 0:
            print("ready", flush=True)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_kill_at_a_random_moment_leaves_whole_months(tmp_path: Path, seed: int) -> None:
    writer = run_python(WRITE_FOR_EVER, tmp_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(random.Random(seed).uniform(0.01, 0.3))
    writer.kill()
    writer.communicate(timeout=30)
    stored_versions(tmp_path, range(3))
    assert Store(tmp_path).append(NAME, version(0)).rows == COUNT
    assert stored_versions(tmp_path, range(3)) == [0] * MONTHS


def test_ctrl_c_leaves_whole_months_and_no_temporary_file(tmp_path: Path) -> None:
    writer = run_python(WRITE_FOR_EVER, tmp_path)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    time.sleep(0.15)
    writer.send_signal(signal.SIGINT)
    _, errors = writer.communicate(timeout=30)
    assert "KeyboardInterrupt" in errors
    stored_versions(tmp_path, range(3))
    assert temporary_files(tmp_path) == []


WRITE_EVERY_OTHER_DAY = """
    import sys
    import polars as pl
    from parquet_store import Store
    from tests.parquet_store.test_durability import COUNT, NAME, version
    mine = version(0).filter(pl.int_range(COUNT) % 2 == int(sys.argv[2]))
    for row in range(0, len(mine), 4):
        Store(sys.argv[1]).append(NAME, mine[row : row + 4], provenance=sys.argv[2])
"""


def test_two_processes_writing_one_series_lose_nothing(tmp_path: Path) -> None:
    writers = [run_python(WRITE_EVERY_OTHER_DAY, tmp_path, odd) for odd in (0, 1)]
    for writer in writers:
        _, errors = writer.communicate(timeout=120)
        assert writer.returncode == 0, errors
    assert Store(tmp_path).read(NAME).equals(version(0))
    assert sorted(Store(tmp_path).meta(NAME).provenance) == ["0", "1"]


def test_threads_writing_one_series_lose_nothing(tmp_path: Path) -> None:
    chunks = [version(0)[row : row + 10] for row in range(0, COUNT, 10)]
    threads = [threading.Thread(target=Store(tmp_path).append, args=(NAME, chunk)) for chunk in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Store(tmp_path).read(NAME).equals(version(0))


def test_a_writer_waits_for_the_one_before(tmp_path: Path) -> None:
    from parquet_store.layout import series_folder
    from parquet_store.series import Series
    from parquet_store.write import sole_writer

    Store(tmp_path).append(NAME, version(0))
    second = threading.Thread(target=Store(tmp_path).append, args=(NAME, version(1)))
    with sole_writer(series_folder(tmp_path, "bars", Series.parse(NAME))):
        second.start()
        second.join(0.3)
        assert second.is_alive()
        assert stored_versions(tmp_path, range(2)) == [0] * MONTHS
    second.join(60)
    assert stored_versions(tmp_path, range(2)) == [1] * MONTHS


@pytest.mark.parametrize("call", range(0, 10, 2))
def test_a_disk_that_fills_up_keeps_what_was_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    Store(tmp_path).append(NAME, version(0))
    calls = iter(range(10**6))
    real = os.fsync

    def full(handle: int) -> None:
        if next(calls) == call:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Failed, match=r"no space left on the disk .* free some space"):
        Store(tmp_path).append(NAME, version(1))
    monkeypatch.undo()
    versions = stored_versions(tmp_path, range(2))
    assert versions == sorted(versions, reverse=True)
    assert 0 in versions
    assert temporary_files(tmp_path) == []
    Store(tmp_path).append(NAME, version(1))
    assert stored_versions(tmp_path, range(2)) == [1] * MONTHS


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    command: list[Any] = [mount, "-t", "tmpfs", "-o", "size=512k", "tmpfs", place]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small disk (tmpfs) can only be mounted as root")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_really_full_disk_keeps_what_was_stored(small_disk: Path) -> None:
    store = Store(small_disk / "store")
    store.append(NAME, version(0))
    many = made_bars(40_000, "1m", "2023-01-01")
    with pytest.raises(Failed, match="no space left on the disk"):
        store.append("made:A/B:1m", many)
    assert stored_versions(store.root, range(1)) == [0] * MONTHS
    assert [str(series) for series in store.series()] == [NAME]
    assert temporary_files(store.root) == []
    assert store.append("made:A/B:1m", many[:1_000]).rows == 1_000
    with pytest.raises(Failed, match="no space left on the disk"):
        store.append("made:A/B:1m", many)
    assert store.read("made:A/B:1m").equals(many[:1_000])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_may_not_be_written_says_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(Failed, match="may not write"):
        Store(tmp_path / "store").append(NAME, version(0))

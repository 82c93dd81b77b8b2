"""Kill -9, Ctrl-C and a full disk, during an import and during a sweep: the store is as before, or further along."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engine.cli import main
from parquet_store import Store
from tests.cli.conftest import MADE
from tests.parquet_store.made import made_bars

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and mounts of POSIX")

LOCKSTEP = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
NAMED = ("--venue", "mine", "--symbol", "A/B", "--timeframe", "1d")
BARS = 12_000  # in as many as 395 months
SMALL = ("sweep", "mean_reversion", "--data", MADE, "--param", "rsi_length=3,5,9", "--param", "oversold=45")
LONG = (
    "sweep", "mean_reversion", "--data", MADE, "--param", "rsi_length=2:101:1", "--param", "oversold=1:60:1",
    "--param", "overbought=40:99:1", "--param", "band_width=0.1:6:0.1",
)  # fmt: skip
ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 1}
STEADY = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # the runner may have it ignored


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of daily bars from 1930 on."""
    path = tmp_path / "bars.csv"
    made_bars(BARS, "1d", start="1930-01-01").with_columns(pl.col("ts").dt.strftime("%Y-%m-%d")).write_csv(path)
    return path


def stopped(how: signal.Signals, ready: Callable[[], bool], *argv: str) -> tuple[int, str, str]:
    """Start the command, stop it once it is ready for that, and return its status and what it printed."""
    code = f"{STEADY}; import sys; from engine.cli import main; sys.exit(main())"
    deadline = time.monotonic() + 120
    with subprocess.Popen(
        [sys.executable, "-c", code, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not ready():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < deadline
                time.sleep(0.005)
            process.send_signal(how)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, out, err


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.endswith(".tmp")]


def leftover_bytes(root: Path) -> int:
    """Size of the largest file that is being written, while others come and go."""
    largest = 0
    for folder, _, names in os.walk(root):
        for name in names:
            if name.endswith(".tmp"):
                with contextlib.suppress(FileNotFoundError):
                    largest = max(largest, os.stat(os.path.join(folder, name)).st_size)
    return largest


@pytest.mark.parametrize("how", ENDS, ids=lambda how: how.name)
def test_an_import_that_is_stopped_leaves_whole_months(how: signal.Signals, file: Path, tmp_path: Path) -> None:
    root = tmp_path / ".lockstep"
    months = root / "bars" / "venue=mine" / "symbol=A%2FB" / "timeframe=1d"

    def ready() -> bool:
        return len(list(months.glob("month=*/part.parquet"))) >= 20

    status, out, err = stopped(how, ready, "data", "import", str(file), *NAMED)
    assert status == ENDS[how]
    assert out == ""
    assert "Traceback" not in err
    if how is signal.SIGINT:
        assert err.endswith("interrupted: what was stored before is intact\n")
        assert leftovers(root) == []
    stored = Store(root).read("mine:A/B:1d")
    whole = made_bars(BARS, "1d", start="1930-01-01")
    assert 0 < len(stored) < BARS
    assert stored["ts"].equals(whole["ts"].head(len(stored)))
    assert whole["ts"][len(stored)].day == 1  # the last month that is there is complete
    assert main(["data", "check"]) == 0
    assert main(["data", "import", str(file), *NAMED]) == 0
    assert Store(root).read("mine:A/B:1d")["ts"].equals(whole["ts"])
    assert leftovers(root) == []


@pytest.mark.parametrize("how", ENDS, ids=lambda how: how.name)
def test_a_sweep_that_is_stopped_leaves_whole_parts(how: signal.Signals, store: Path) -> None:
    assert main([*SMALL, "--name", "before"]) == 0
    before = {path: path.read_bytes() for path in (store / "runs" / "before").rglob("*") if path.is_file()}
    folder = store / "runs" / "long"

    def ready() -> bool:
        return leftover_bytes(folder) > 100_000

    status, out, err = stopped(how, ready, *LONG, "--name", "long")
    assert status == ENDS[how]
    assert out == ""
    assert "Traceback" not in err
    if how is signal.SIGINT:
        assert err == "interrupted: what was stored before is intact\n"
        assert leftovers(folder) == []
    assert {path: path.read_bytes() for path in before} == before
    assert main(["results", "before"]) == 0
    assert main(["results", "long"]) == 2
    assert main([*SMALL, "--name", "long"]) == 2  # the name is taken by what can be gone on with


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 400 kB with a store of 60 made bars on it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk needs the superuser and leave to mount")
    try:
        Store(place / "store").append(MADE, made_bars(60, "1d", start="2020-01-01"))
        yield place / "store"
    finally:
        subprocess.run(["umount", str(place)], check=True)


def content(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*.parquet")}


def full(root: Path, *argv: str) -> dict[str, Any]:
    """Run a command that fills the disk, and return its document."""
    done = subprocess.run(
        [*LOCKSTEP, *argv, "--store", str(root), "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: no space left on the disk")
    assert "Traceback" not in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_an_import_on_a_full_disk_is_said_and_keeps_what_is_stored(small_disk: Path, file: Path) -> None:
    before = content(small_disk)
    assert "no space left" in full(small_disk, "data", "import", str(file), *NAMED)["error"]
    assert {path: data for path, data in content(small_disk).items() if path in before} == before
    assert leftovers(small_disk) == []
    assert main(["data", "check", "--store", str(small_disk)]) == 0


def test_a_sweep_on_a_full_disk_is_said_and_keeps_what_is_stored(small_disk: Path) -> None:
    before = content(small_disk)
    wide = ("--param", "rsi_length=2:60:1", "--param", "oversold=20:60:1", "--param", "overbought=40:90:1")
    assert "no space left" in full(small_disk, *SMALL[:4], *wide, "--name", "wide")["error"]
    assert content(small_disk) == before
    assert leftovers(small_disk) == []
    assert main([*SMALL, "--name", "narrow", "--store", str(small_disk)]) == 0

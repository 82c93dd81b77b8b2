"""Where the real bars for tests lie, and the mark for tests that need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("LOCKSTEP_TEST_DATA", ROOT.parent / "shared" / "data")).resolve()

needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no market data at {DATA}; set LOCKSTEP_TEST_DATA to a folder that has it"
)

# every bar file: name -> (venue, symbol, timeframe)
BAR_FILES: dict[str, tuple[str, str, str]] = {}
if DATA.is_dir():
    for _path in sorted(DATA.glob("*.parquet")):
        _parts = _path.stem.split("_")
        if len(_parts) < 3 or _parts[2] not in ("1m", "5m", "1h", "1d"):
            continue
        _pair = _parts[1].removesuffix("-PERP")
        _symbol = _pair.replace("-", "/")
        if _parts[1].endswith("-PERP"):
            _symbol += ":" + _pair.split("-")[-1]
        BAR_FILES[_path.name] = (_parts[0], _symbol, _parts[2])

"""An indicator of the user's own: written in their file, swept, exported, replayed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from engine.graph import Advance, Bar, bind, columns
from engine.kernels.step import STEPS
from engine.manifest import load_manifest
from engine.simulate import Costs
from engine.strategies import find_strategy, load_module
from parquet_store import Store
from parquet_store.errors import Failed, Usage
from pipelines import Bars
from tests.graph.drawing import advanced, made_bars, program_of, same_bytes, values_of

SOURCE = '''
from engine.graph import Param, Signals, Strategy, indicator, ta
from engine.kernels.memory import load, store


@indicator(outputs=("middle", "width"), state=(0.0, 0.0), ring=lambda length, share: length)
def channel(state, ring, high, low, *, length: int, share):
    """The middle and the width of the last bars' range."""
    seen, at = state
    store(ring, int(at), high - low)
    total = 0.0
    for k in range(length):
        total += load(ring, k)
    at = at + 1.0 if at + 1.0 < length else 0.0
    known = seen + 1.0 >= length
    return (seen + 1.0, at), ((high + low) * 0.5 if known else float("nan"), share * total / length)


@indicator(outputs=("value",))
def half(state, x):
    """Half of it."""
    return state, x * 0.5


class Channel(Strategy):
    """Buy under the middle, sell above."""

    length = Param(5, low=2, high=50)
    share = Param(0.5, low=0.1, high=2.0)

    def signals(self, bar):
        found = channel(bar.high, bar.low, length=self.length, share=self.share)
        return Signals(
            entry=bar.close < found.middle - half(found.width),
            exit=bar.close > found.middle + half(found.width),
            stop=ta.atr(bar, 14),
        )
'''
HEAD = "from engine.graph import indicator\nfrom engine.kernels.memory import load, store\n\n\n"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "own_channel.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("own_channel", None)
    for name in [name for name in STEPS if ":" in name and name.startswith(("own_channel", "bad_step"))]:
        del STEPS[name]
    sys.modules.pop("bad_step", None)


def test_a_step_of_ones_own_runs_in_every_driver(own: Path) -> None:
    program = bind(find_strategy(f"{own}:Channel")())
    bars = made_bars(6, 600)
    whole = columns(program, bars)
    same_bytes(whole.values, columns(program, bars, 89).values, program)
    same_bytes(whole.values, advanced(Advance(program), bars, 0, 600), program)
    assert {"own_channel:channel", "own_channel:half"} <= {node.step for node in program.nodes}
    assert whole.role("entry").sum() > 10  # type: ignore[union-attr]
    module = load_module(own)
    bar = Bar()
    found = values_of(module.channel(bar.high, bar.low, length=4, share=1.0).width, bars)  # type: ignore[attr-defined]
    spans = bars.high - bars.low
    np.testing.assert_allclose(found[3:], [spans[t - 3 : t + 1].mean() for t in range(3, 600)], rtol=1e-12)
    assert np.isnan(values_of(module.channel(bar.high, bar.low, length=4, share=1.0).middle, bars)[:3]).all()  # type: ignore[attr-defined]


def test_a_call_with_wrong_names_or_inputs_is_told(own: Path) -> None:
    channel, bar = load_module(own).channel, Bar()  # type: ignore[attr-defined]
    with pytest.raises(Usage, match='did you mean "length"'):
        channel(bar.high, bar.low, lenght=4, share=1.0)
    with pytest.raises(Usage, match="length not given"):
        channel(bar.high, bar.low, share=1.0)
    with pytest.raises(Usage, match="got 1 inputs, expected 2: high, low"):
        channel(bar.high, length=4, share=1.0)
    with pytest.raises(Usage, match=r"own_channel:channel: length is 2\.5"):
        channel(bar.high, bar.low, length=2.5, share=1.0)
    assert channel.__doc__.startswith("The middle")
    assert program_of(stop=channel(bar.high, bar.low, length=4, share=1).width).nodes[0].params == (4.0, 1.0)


@pytest.mark.parametrize(
    ("declared", "body", "told"),
    [
        ("ring=lambda length: length", "store(ring, length, x)\n    return state, x", "outside its ring"),
        ("ring=lambda length: length", "return state, load(ring, -1)", "outside its ring"),
        (
            "ring=lambda length: 1",
            "return state, x * ((length * 3 + 2**62) * 2 // 3)",
            "compiled and .* in plain Python",
        ),
        ("ring=lambda length: 1", "return state, [x, x]", "bad_step:bad"),
    ],
)
def test_a_step_that_is_wrong_is_refused_by_name_and_not_kept(
    tmp_path: Path, own: Path, declared: str, body: str, told: str
) -> None:
    path = tmp_path / "bad_step.py"
    path.write_text(
        f"{HEAD}@indicator(outputs=('a',), {declared})\ndef bad(state, ring, x, *, length: int):\n    {body}\n"
    )
    with pytest.raises(Usage, match=told) as caught:
        load_module(path)
    assert "bad_step:bad" in str(caught.value)
    assert "bad_step:bad" not in STEPS
    assert "bad_step" not in sys.modules


def test_it_is_swept_exported_and_replayed_with_its_file_given(own: Path, tmp_path: Path) -> None:
    from engine.live import replay
    from engine.research.export import export
    from engine.research.run import Request, run_sweep
    from engine.research.table import Run
    from pipelines import load_bars

    store, bars = Store(tmp_path / "store"), made_bars(6, 900)
    put(store, bars)
    values = {"length": [4.0, 9.0], "share": [0.5, 1.0]}
    summary = run_sweep(store, Request(f"{own}:Channel", values, ("made:UP/DOWN:1m",), Costs(fee=0.0), name="own"))
    assert summary.combos == 4
    done = export(store, Run.open(store, "own"), "trades", to=tmp_path / "own.json", despite="a test")
    manifest = load_manifest(done.path)
    content = json.loads(done.path.read_text())
    assert "def channel(state, ring, high, low" in content["step_sources"]["own_channel:channel"]
    report = replay(manifest, load_bars(store, "made:UP/DOWN:1m"))
    assert (report.mismatches, report.bars) == (0, 900)
    assert report.trades == done.metrics["trades"] > 5

    del STEPS["own_channel:channel"]
    with pytest.raises(Usage, match=r"needs the step own_channel:channel; .*--steps own_channel.py"):
        load_manifest(done.path)
    code = (
        "import sys; from pathlib import Path; from engine.strategies import load_module\n"
        "from engine.manifest import load_manifest\n"
        "load_module(Path(sys.argv[1])); print(load_manifest(Path(sys.argv[2])).program.digest)"
    )
    run = [sys.executable, "-c", code, str(own), str(done.path)]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip() == manifest.program.digest
    own.write_text(SOURCE.replace("(high + low) * 0.5", "(high + low) * 0.25"))
    told = subprocess.run(run, capture_output=True, text=True, check=False)
    assert told.returncode != 0
    assert "the kernel of step own_channel:channel is not the one it was swept with" in told.stderr


def put(store: Store, bars: Bars) -> None:
    import polars as pl

    from parquet_store import Series

    frame = {"ts": pl.Series(bars.time).cast(pl.Datetime("ms", "UTC"))}
    frame |= {name: pl.Series(getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    store.append(Series.parse(bars.source), pl.DataFrame(frame), provenance="made")


def test_a_file_that_fails_says_where(tmp_path: Path) -> None:
    path = tmp_path / "bad_step.py"
    path.write_text("import math\nx = 1 / 0\n")
    with pytest.raises(Failed, match=r"bad_step.py: ZeroDivisionError while importing it"):
        load_module(path)

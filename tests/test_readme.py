"""The README's code runs as it stands and prints what it says; its figures are those of benchmarks/results."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.cli import main
from tests.data import ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, re.DOTALL)


def run(words: list[str], folder: Path) -> str:
    env = {**os.environ, "LOCKSTEP_STORE": str(folder / "my-store")}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


def commands(first: str) -> list[list[str]]:
    """Return the commands of the block that begins with ``first``."""
    text = next(body for _, body in BLOCKS if body.startswith(first))
    return [shlex.split(line) for line in text.strip().splitlines()]


def lockstep(words: list[str], folder: Path) -> str:
    assert words[0] == "lockstep"
    return run([sys.executable, "-c", "from engine.cli import main; main()", *words[1:]], folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("arch")
    made = tmp_path_factory.mktemp("readme")
    programs = [body for kind, body in BLOCKS if kind == "python"]
    (made / "first.py").write_text(programs[0])
    (made / "first.txt").write_text(run([sys.executable, "first.py"], made))
    (made / "midpoint.py").write_text(programs[1])
    rng = np.random.default_rng(4)
    close = 20_000 * np.exp(np.cumsum(rng.normal(0, 0.006, 3000)))
    open = np.concatenate([close[:1], close[:-1]])
    rows = ["ts,open,high,low,close,volume"]
    for k in range(3000):
        high, low = max(open[k], close[k]) * 1.001, min(open[k], close[k]) * 0.999
        rows.append(f"{1_600_000_000 - 1_600_000_000 % 3600 + 3600 * k},{open[k]},{high},{low},{close[k]},1.5")
    (made / "btc.csv").write_text("\n".join(rows) + "\n")
    return made


def test_the_first_program_prints_what_stands_below_it(folder: Path) -> None:
    assert (folder / "first.txt").read_text() == BLOCKS[1][1]


def test_an_own_indicator_is_swept_exported_and_replayed(folder: Path) -> None:
    said = [lockstep(words, folder) for words in commands("lockstep sweep midpoint.py")]
    assert "0 mismatches" in said[-1]


def test_the_way_from_data_to_a_replayed_manifest(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vectorbt")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOCKSTEP_STORE", str(folder / "my-store"))
    *way, replay = commands("lockstep data import")
    for words in way:
        assert words[0] == "lockstep"
        assert main(words[1:]) == 0, words
    assert replay[:2] == ["lockstep", "replay"]
    assert "0 mismatches" in lockstep(replay, folder)  # by a process of its own


def test_quoted_figures_are_those_of_the_results() -> None:
    cases = json.loads((ROOT / "benchmarks" / "results" / "bench_sweep.json").read_text())["cases"]
    assert set(cases) == {"grid", "random", "stops", "cross"}
    for case in cases.values():
        rate = max(case["one_thread"]["rate"], case["two_threads"]["rate"])
        quoted = f"| {rate / 1e9:.2f} G | {case['vectorbt']['rate'] / 1e6:.2f} M | {case['ratio']:,.0f} |"
        assert quoted in README, f"README does not say {quoted}"
    grid = cases["grid"]
    assert f"{grid['peak_mb']:.0f} MB against {grid['vectorbt']['peak_mb']:,.0f} MB" in README


def test_quoted_figures_of_large_sweeps_and_kernels_are_those_of_the_results() -> None:
    results = ROOT / "benchmarks" / "results"
    large = json.loads((results / "bench_large.json").read_text())["sweeps"]
    plain, parts, minutes = (large[name]["seconds"] for name in ("plain", "parts", "minutes"))
    assert f"{plain:.0f} s plain and {parts:.0f} s with stop" in README
    assert f"at {large['plain']['peak_mb']:,.0f} MB; " in README
    assert f"1,025,708 minutes take {minutes:.0f} s" in README
    kernels = json.loads((results / "bench_kernels.json").read_text())
    ratios = kernels["talib_ratio"]
    least = min(ratios, key=lambda name: ratios[name])
    told = f"divided by {kernels['talib_geometric_mean']:.2f} (geometric mean of {len(ratios)}; least {least}, "
    assert f"{told}{ratios[least]:.2f})" in README
    for words, memory in (("on two in a new process", "fresh memory"), ("where the allocator", "memory used before")):
        one, two = (kernels["graph"][memory]["ratio"][f"{n} threads"] for n in (1, 2))
        assert words in README
        between = " on one thread and " if memory == "fresh memory" else " and "
        assert f"{one:.1f}{between}{two:.1f}" in README


def test_quoted_figures_of_the_live_loop_are_those_of_the_results() -> None:
    results = ROOT / "benchmarks" / "results"
    live = json.loads((results / "bench_live.json").read_text())
    one, many = live["one symbol, an order a close"], live["50 symbols x 10 manifests"]

    def pair(found: dict[str, float], unit: float, places: int) -> str:
        return f"{found['p50'] / unit:.{places}f} and {found['p99'] / unit:.{places}f}"

    whole, decision = one["message to acknowledgement"], one["message to decision"]
    assert f"{pair(whole, 1e3, 1)} ms, of which {pair(decision, 1e3, 1)} to the decision" in README
    assert f"{pair(many['first message to last decision'], 1e3, 0)} ms from the first message" in README
    peers = live["a window anew, mean_reversion"]
    step, talib = live["step alone, mean_reversion"], peers["TA-Lib, 500 candles anew"]
    assert f"{pair(step, 1.0, 0)} us (`mean_reversion`), beside {pair(talib, 1.0, 0)} for TA-Lib" in README
    inner = step["of it bar to decision, compiled"]
    assert f"of it {pair(inner, 1.0, 0)} us are from the bar to the decision" in README
    assert f"{peers['pandas-ta-classic, 500 candles anew']['p50'] / 1e3:.0f} ms for pandas-ta-classic" in README
    assert f"took {live['a Python loop of 100']['p50']:.0f} us" in README
    review, disk = live["decision and review, 100 positions open, all limits"], live["an entry on the disk (fsync)"]
    assert review["p99"] < 50.0
    assert f"with 100 positions open takes {pair(review, 1.0, 0)} us, its decision included" in README
    assert f"is on the disk after {pair(disk, 1.0, 0)} us" in README
    slowest = max(one["seconds"] for one in live["kill switch to flat, 20 positions and stops"])
    assert slowest < 1.0
    assert f"leaves 20 positions and their stops in {slowest * 1e3:.0f} ms" in README
    advance = json.loads((results / "bench_advance.json").read_text())["microseconds"]
    ten, all_nodes = (advance[name]["1000 symbols"] for name in ("ten nodes", "mean_reversion"))
    assert f"ten nodes each: {pair(ten, 1.0, 0)} us" in README
    assert f"16 nodes {pair(all_nodes, 1.0, 0)}." in README
    start = json.loads((results / "bench_start.json").read_text())
    first = [sorted(start[name]["from a checkpoint"]["first order, s"])[1] for name in start if "program" in name]
    one_s, many_s = sorted(first)
    assert f"the first order {one_s:.1f} s with one program and {many_s:.1f} s with 500" in README


def test_quoted_figures_of_the_matrix_are_those_of_the_results() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "chaos.json").read_text())
    count = f"{found['scenarios']:,} scenarios of {found['kinds']} kinds of faults"
    came = f"{found['recovered']:,} recovered, {found['halted']:,} halted safely, {found['violated']} with"
    assert f"{count}, {came}" in README


def test_quoted_figures_of_the_soak_are_those_of_the_results() -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "soak.json").read_text())
    assert found["hours"] == 72
    assert abs(found["growth"]) <= 0.02
    assert [found[name] for name in ("broken", "warnings", "tasks_left", "files_left")] == [[], [], 0, 0]
    count = f"{found['faults']:,} faults of {found['kinds']} kinds, {found['entries']:,} entries"
    assert f"72 simulated hours, {count}, memory {found['growth']:+.1%}" in README

"""A manifest is believed only whole, with its kernels and with its data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import engine.manifest as subject
from engine.graph import bind
from engine.kernels.step import STEPS
from engine.live import replay
from engine.manifest import CONTROL_BARS, control_hash, digest_of, load_manifest, text_of, write_manifest
from engine.simulate import Costs
from engine.strategies import STRATEGIES
from parquet_store.errors import Failed, LockstepError, Usage
from pipelines import Bars
from tests.graph.drawing import made_bars

COSTS = Costs(fee=0.0007, quantity_step=0.001, short=True)
Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("manifest") / "best.json"
    write(path)
    return path


def write(path: Path, bars: Bars | None = None, costs: Costs = COSTS) -> str:
    return write_manifest(
        path,
        bind(STRATEGIES["mean_reversion"](), {"rsi_length": 9}),
        costs,
        bars or made_bars(1, 1_200),
        strategy="mean_reversion",
        params={"rsi_length": 9.0, "stop_atr": 2.5},
        evidence={"metrics": {"sharpe": 1.25, "calmar": math.nan, "trades": np.int64(3)}, "run": "Größe"},
    )


def signed(path: Path, change: Change, to: Path) -> Path:
    """Write the manifest with a change and a digest that fits it."""
    content = json.loads(path.read_bytes())
    del content["digest"]
    change(content)
    content["digest"] = digest_of(content)
    to.write_bytes(text_of(content))
    return to


def test_what_was_written_is_what_is_read(written: Path, tmp_path: Path) -> None:
    found, program = load_manifest(written), bind(STRATEGIES["mean_reversion"](), {"rsi_length": 9})
    assert found.program == program
    assert found.program.digest == program.digest
    assert found.costs == COSTS
    assert found.params == {"rsi_length": 9.0, "stop_atr": 2.5}
    assert found.evidence["metrics"] == {"sharpe": 1.25, "calmar": None, "trades": 3}
    assert found.digest == write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == written.read_bytes()
    assert found.data["bars"] == 1_200
    found.check_data(made_bars(1, 1_200))
    assert replay(found, made_bars(1, 1_200)).mismatches == 0


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_changed_byte_is_refused(written: Path, data: st.DataObject) -> None:
    raw = written.read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != raw[at]))
    wrong = written.with_name("wrong.json")
    wrong.write_bytes(raw[:at] + bytes([byte]) + raw[at + 1 :])
    with pytest.raises(Failed, match="damaged or changed"):
        load_manifest(wrong)


def test_one_changed_bit_anywhere_is_refused(written: Path, tmp_path: Path) -> None:
    raw, wrong = written.read_bytes(), tmp_path / "wrong.json"
    for at in range(0, len(raw), 7):
        wrong.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        with pytest.raises(Failed, match="damaged or changed"):
            load_manifest(wrong)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"null", b"7", b"\x00", b"\xff\xfe", b"[" * 100_000, b'{"digest": "x"}']
)
def test_what_is_no_manifest_is_refused(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(raw)
    with pytest.raises(Failed, match="damaged or changed"):
        load_manifest(path)


def test_a_longer_shorter_or_reordered_text_is_refused(written: Path, tmp_path: Path) -> None:
    raw, path = written.read_bytes(), tmp_path / "m.json"
    content = json.loads(raw)
    for text in (raw + b"\n", raw[:-1], raw.replace(b"\n", b"\r\n"), json.dumps(content).encode(), raw + raw):
        path.write_bytes(text)
        with pytest.raises(Failed, match="damaged or changed"):
            load_manifest(path)


def test_an_absent_file_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no.json", tmp_path):
        with pytest.raises(Usage, match="no such file"):
            load_manifest(path)


CHANGES: list[tuple[Change, str]] = [
    (lambda c: c.update(lockstep=2), "manifest format 2, this release reads 1"),
    (lambda c: c.pop("lockstep"), "manifest format None"),
    (lambda c: c["kernels"].update(rsi="0" * 64), "kernel of step rsi is not the one"),
    (lambda c: c["kernels"].update(rsii=c["kernels"].pop("rsi")), 'did you mean "rsi"'),
    (lambda c: c["kernels"].pop("rsi"), "reads differently here"),
    (lambda c: c.update(program_digest="0" * 64), "reads differently here"),
    (lambda c: c["program"].update(trailing=True), "reads differently here"),
    (lambda c: c["program"].pop("nodes"), "expected version, nodes"),
    (lambda c: c["program"]["nodes"][0].update(step=None), "expected a str"),
    (lambda c: c["costs"].update(feee=1), 'did you mean "fee"'),
    (lambda c: c["costs"].update(fee=0.9), "fee is 0.9"),
    (lambda c: c["costs"].update(fee="free"), "fee is 'free'"),
    (lambda c: c["data"].update(bars="many"), "not a manifest"),
    (lambda c: c.update(data=None), "not a manifest"),
    (lambda c: c.update(params={"rsi_length": None}), "not a manifest"),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_content_that_does_not_fit_is_refused_though_its_digest_does(
    change: Change, told: str, written: Path, tmp_path: Path
) -> None:
    with pytest.raises(LockstepError, match=told):
        load_manifest(signed(written, change, tmp_path / "signed.json"))


@pytest.mark.parametrize(
    "key",
    ["strategy", "params", "program", "program_digest", "kernels", "costs", "data", "evidence"],
)
def test_a_missing_part_is_refused(key: str, written: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="export it again"):
        load_manifest(signed(written, lambda c: c.pop(key), tmp_path / "signed.json"))


def test_another_kernel_of_the_same_name_is_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STEPS, "rsi", replace(STEPS["rsi"], told=lambda: "f" * 64))
    with pytest.raises(Failed, match="the kernel of step rsi is not the one it was swept with"):
        load_manifest(written)


def test_changed_bars_of_its_own_series_are_refused(written: Path) -> None:
    manifest, bars = load_manifest(written), made_bars(1, 1_200)
    close = bars.close.copy()
    close[700] = np.nextafter(close[700], 0.0)
    for wrong in (
        replace(bars, close=close),
        bars.slice(0, 1_199),
        bars.slice(1, 1_200),
        replace(bars, volume=bars.volume + 1.0),
        bars.slice(0, 0),
    ):
        with pytest.raises(Failed, match="the stored data changed since the export"):
            manifest.check_data(wrong)
        with pytest.raises(Failed, match="the stored data changed"):
            replay(manifest, wrong)


def test_more_bars_of_its_series_and_bars_of_another_are_fine(tmp_path: Path) -> None:
    bars = made_bars(1, 1_200)
    write(tmp_path / "m.json", bars.slice(100, 900))
    manifest = load_manifest(tmp_path / "m.json")
    manifest.check_data(bars)
    assert replay(manifest, bars).mismatches == 0
    other = replace(made_bars(2, 400), source="made:OTHER:1m")
    manifest.check_data(other)
    assert replay(manifest, other).mismatches == 0


def test_kernels_that_give_other_bits_are_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, right = load_manifest(written), subject.columns

    def wrong(*given: Any) -> Any:
        found = right(*given)
        found.values[1, -1] = np.nextafter(found.values[1, -1], np.inf)
        return found

    monkeypatch.setattr(subject, "columns", wrong)
    with pytest.raises(Failed, match="give other bits"):
        manifest.check_data(made_bars(1, 1_200))


def test_the_control_hash_covers_the_last_bars_of_every_node() -> None:
    program, bars = bind(STRATEGIES["ibs_band"]()), made_bars(2, CONTROL_BARS + 200)
    whole = control_hash(program, bars)
    assert whole == control_hash(program, bars)
    assert whole != control_hash(program, bars.slice(0, len(bars) - 1))
    assert whole != control_hash(bind(STRATEGIES["ibs_band"](), {"high_length": 11}), bars)


def test_a_write_that_fails_leaves_the_old_file(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(written.read_bytes())

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(Failed, match="no space left"):
            write(path, made_bars(3, 300))
    assert path.read_bytes() == written.read_bytes()
    assert [item.name for item in tmp_path.iterdir()] == ["m.json"]


def test_sizes_fixed_at_the_fill_are_not_exported(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="--size-at decision"):
        write(tmp_path / "m.json", costs=Costs(size_at="fill"))
    assert not (tmp_path / "m.json").exists()


def test_it_holds_no_address_no_path_no_clock_and_no_secret(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BINANCE_SECRET", "hunter2hunter2")
    write(tmp_path / "m.json")
    text = (tmp_path / "m.json").read_text()
    assert text == written.read_text(), "nothing of the place or the time is in it"
    assert "hunter2" not in text
    assert str(tmp_path) not in text
    assert not re.search(r"0x[0-9a-f]{6}", text)
    largest = max(int(number) for number in re.findall(r"(?<=[ \[])\d+(?=[,\n\]])", text))
    assert largest < 2**41, "nothing larger than a time in milliseconds: no addresses"

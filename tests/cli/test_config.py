"""``lockstep config``: settings checked with the manifests they name, and shown without a key in sight."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from engine.graph import bind
from engine.manifest import write_manifest
from engine.settings import credential_names
from engine.simulate import Costs
from engine.strategies import find_strategy
from parquet_store import Store
from pipelines import load_bars
from tests.cli.conftest import MADE

Document = Callable[..., dict[str, Any]]
TEXT = "hunter2-do-not-show"
BOT = """
[venue]
name = "okx"
[[manifests]]
path = "chosen.json"
symbols = ["BTC/USDT"]
share = 1.0
"""


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in credential_names("okx"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bot(tmp_path: Path, store: Path) -> Path:
    """Settings beside a manifest."""
    bars = load_bars(Store(store), MADE)
    program = bind(find_strategy("buy_and_hold")(), {})
    write_manifest(
        tmp_path / "chosen.json", program, Costs(), bars, strategy="buy_and_hold", params={}, evidence={"metrics": {}}
    )
    (tmp_path / "bot.toml").write_text(BOT)
    return tmp_path / "bot.toml"


def test_settings_in_order_are_summed_up(bot: Path, document: Document, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", str(bot)]) == 0
    said = capsys.readouterr().out
    assert "bot.toml: in order\n  paper on okx spot" in said
    assert "chosen.json: BTC/USDT with 100% of the account" in said
    assert document("config", "check")["mode"] == "paper"


def test_a_changed_manifest_and_missing_keys_are_told_together(bot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = bot.parent / "chosen.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"buy_and_hold", b"buy_and_sell"))
    bot.write_text(f"mode = 'demo'\nsteps = ['own.py']\n{BOT}")
    assert main(["config", "check", str(bot)]) == 2
    said = capsys.readouterr().err
    assert "error: bot.toml: steps: " in said
    assert "bot.toml: manifests[0]: " in said
    assert "damaged or changed since it was exported" in said
    assert "LOCKSTEP_OKX_PASSWORD is not set" in said


def test_live_without_its_limits_is_refused_with_the_reason(bot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bot.write_text(f"mode = 'live'\nlive = true\n{BOT}\n[risk.account]\ndrawdown = 'off'\n")
    assert main(["config", "check", str(bot)]) == 2
    assert "account.drawdown off under [risk]; give each a number" in capsys.readouterr().err


def test_faults_of_the_file_are_wrong_usage(bot: Path, document: Document) -> None:
    bot.write_text(BOT.replace("name =", "nam ="))
    assert 'bot.toml: venue.nam: unknown key; did you mean "name"?' in document("config", "check", status=2)["error"]


def test_keys_are_shown_as_set_or_not_and_nothing_else(
    bot: Path, document: Document, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCKSTEP_OKX_SECRET", TEXT)
    found = document("config", "show")
    assert found["keys"] == {
        "LOCKSTEP_OKX_KEY": "not set",
        "LOCKSTEP_OKX_SECRET": "set",
        "LOCKSTEP_OKX_PASSWORD": "not set",
    }
    assert found["settings"]["feed"]["stale_seconds"] == 30.0
    assert found["settings"]["manifests"][0]["symbols"] == ["BTC/USDT"]
    assert main(["config", "show", str(bot), "--store", "elsewhere"]) == 0
    said = capsys.readouterr()
    assert "elsewhere" in said.out
    assert "manifests[0].share" in said.out
    assert "LOCKSTEP_OKX_SECRET" in said.out
    assert TEXT not in said.out + said.err + str(found)

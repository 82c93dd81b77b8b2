"""What a trader's install does without: a bot that trades imports none of the libraries of research."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.served import served

pytest.importorskip("ccxt")
ROOT = Path(__file__).resolve().parents[2]
RESEARCH = ("vectorbt", "pandas", "plotly", "optuna", "arch", "ray")  # scipy: numba looks whether it is there
CODE = """
import json, sys
from engine.cli import main
code = main(sys.argv[1:])
ccxt = sum(name.startswith("ccxt.") for name in sys.modules)
print(json.dumps({"code": code, "ccxt": ccxt, "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


@pytest.mark.parametrize("mode", ["live", "paper"])
def test_a_bot_trades_without_the_libraries_of_research(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(tmp_path) as bot:
        monkeypatch.setenv("LOCKSTEP_BINANCE_KEY", bot.key)
        monkeypatch.setenv("LOCKSTEP_BINANCE_SECRET", bot.secret)
        yes = ["--yes"] if mode == "live" else []
        words = [sys.executable, "-c", CODE, mode, str(bot.file), "--bars", "12", "--json", *yes]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["code"], done.returncode) == (0, 0), done.stderr
    assert sorted(set(RESEARCH) & set(found["modules"])) == []
    assert {"ccxt", "polars", "numba"} <= set(found["modules"])
    assert found["ccxt"] < 60  # one venue's classes, not those of a hundred
    assert json.loads("\n".join(done.stdout.splitlines()[:-1]))["bars"] == 12

"""One class of CCXT without the others: the same class, and all of CCXT for whoever asks for it later."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ccxt")
ROOT = Path(__file__).resolve().parents[2]
LEAN = """
import json, sys
from engine.execution.ccxt_class import ccxt_class

found = {}
for name in ("binance", "binanceusdm", "okx", "coinbase"):
    made = ccxt_class(name)
    found[name] = [f"{one.__module__}.{one.__qualname__}" for one in made.__mro__]
early = sorted(one for one in sys.modules if one.startswith("ccxt."))
public = ccxt_class("binance", "ccxt.async_support")
client = ccxt_class("okx")({"apiKey": "k"})
assert client.id == "okx" and client.has["watchOHLCV"]
assert ccxt_class("nonsense") is None
import ccxt, ccxt.async_support, ccxt.pro
assert issubclass(ccxt_class("binance"), public)
assert ccxt.async_support.binance is public
for package in (ccxt, ccxt.async_support, ccxt.pro):
    for name in package.exchanges:
        made = getattr(package, name)
        assert isinstance(made, type) and made.__name__ == name, (package, name, made)
    assert issubclass(package.NetworkError, Exception)
    assert not hasattr(package, "nonsense")
    assert {"kraken", "NetworkError", "exchanges"} <= set(dir(package))
from ccxt.pro import kraken
from ccxt.async_support import bybit as rest
assert issubclass(ccxt.pro.bybit, rest)
print(json.dumps({"classes": found, "early": early, "version": ccxt.__version__}))
"""
WHOLE = """
import json, ccxt.pro
names = ("binance", "binanceusdm", "okx", "coinbase")
found = {name: [f"{one.__module__}.{one.__qualname__}" for one in getattr(ccxt.pro, name).__mro__] for name in names}
from engine.execution.ccxt_class import ccxt_class
assert ccxt_class("binance") is ccxt.pro.binance
print(json.dumps({"classes": found, "version": ccxt.__version__}))
"""


def said(code: str) -> dict[str, object]:
    """Run code in a process of its own and return what it says."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_a_class_is_the_same_and_all_of_ccxt_is_there_for_whoever_asks_later() -> None:
    lean, whole = said(LEAN), said(WHOLE)
    assert lean["classes"] == whole["classes"]
    assert lean["version"] == whole["version"]
    early = lean["early"]
    assert isinstance(early, list)
    assert len(early) < 60
    assert "ccxt.pro.okx" in early
    assert "ccxt.pro.kraken" not in early

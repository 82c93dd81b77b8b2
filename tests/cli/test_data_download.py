"""``lockstep data download`` as a user runs it, against a local venue."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.cli import data_download, main
from engine.cli.output import Output
from parquet_store import Store
from tests.execution.downloading import bars_without, venue_of, watched
from tests.venue.client import made_bars

pytest.importorskip("ccxt")
Document = Callable[..., dict[str, Any]]
SOURCE = "binance:BTC/USDT:1h"
ASKED = ("data", "download", "binance", "BTC/USDT", "1h", "--since", "2020-09-01")


@pytest.fixture
def urls() -> Iterator[tuple[str, str]]:
    """The addresses of a venue with gaps and of one without, served by a thread."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    found: list[str] = []

    async def serve() -> None:
        nonlocal stop
        stop = asyncio.Event()
        bars, whole = bars_without([7, 8, 30]), made_bars(200, seed=5)
        async with watched(venue_of(bars)) as first, watched(venue_of(whole)) as second:
            found.extend((first.server.rest_url, second.server.rest_url))
            ready.set()
            await stop.wait()

    stop: asyncio.Event
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(20.0)
    yield found[0], found[1]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20.0)
    loop.close()


def test_bars_are_downloaded_repaired_listed_and_checked(
    urls: tuple[str, str], document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = document(*ASKED, "--url", urls[0])["series"]
    counts = {name: one[name] for name in ("source", "kind", "new", "stored", "repaired", "error")}
    assert counts == {"source": SOURCE, "kind": "bars", "new": 196, "stored": 196, "repaired": 0, "error": None}
    assert [gap["missing"] for gap in one["gaps"]] == [2, 1]
    assert one["gaps"][0]["first"] == "2020-09-13T19:00:00+00:00"
    assert main([*ASKED, "--url", urls[0]]) == 0
    assert "3 absent in 2 gaps" in capsys.readouterr().out
    repair = ("--repair-from", "binanceus", "--repair-url", urls[1])
    (one,) = document(*ASKED, "--url", urls[0], *repair)["series"]
    assert (one["new"], one["repaired"], one["gaps"]) == (0, 3, [])
    (listed,) = document("data", "list")["series"]
    assert (listed["rows"], listed["repaired"]) == (199, 3)
    assert listed["provenance"] == ["binance by CCXT", "gaps repaired from binanceus"]
    (checked,) = document("data", "check")["series"]
    (repaired,) = checked["repaired"]
    assert (repaired["source"], repaired["bars"], checked["findings"]) == ("binanceus", 3, [])
    assert main(["data", "check"]) == 0
    assert "repaired: 3 from binanceus, between 2020-09-13 19:00 and 2020-09-14 18:00" in capsys.readouterr().out
    sql = "select count(*) n from bars anti join repairs using (venue, symbol, timeframe, ts)"
    assert document("data", "query", sql)["rows"] == [{"n": 196}]


def test_trades_are_downloaded_and_listed(
    urls: tuple[str, str], document: Document, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("data", "download", "binance", "BTC/USDT", "--kind", "trades", "--since", "2020-09-13T12:00")
    (one,) = document(*words, "--until", "2020-09-13T15:00", "--url", urls[0])["series"]
    assert (one["source"], one["kind"], one["new"]) == ("binance:BTC/USDT", "trades", 12)
    (listed,) = document("data", "list")["events"]
    assert (listed["kind"], listed["rows"]) == ("trades", 12)
    assert listed["complete"] == [["2020-09-13T12:00:00+00:00", "2020-09-13T15:00:00+00:00"]]
    assert main(["data", "list"]) == 0
    assert "2020-09-13 12:00 to 2020-09-13 15:00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("binanse", "BTC/USDT", "1h", "--since", "2020-01-01"), 'did you mean "binance"?'),
        (("binance", "BTC/USDT", "1h", "--since", "soon"), '"soon" is no time'),
        (("binance", "BTC/USDT", "1h", "--since", "2021-01-01", "--until", "2020-01-01"), "is not before"),
        (("binance", "BTC/USDT", "--since", "2020-01-01"), "bars need a timeframe"),
        (("binance", "BTC/USDT", "--kind", "trade"), 'did you mean "trades"?'),
        (("binance", ",", "1h", "--since", "2020-01-01"), "no symbol given"),
        (("binance", "BTC/USDT", "1h", "--since", "2020-01-01", "--url", "http://10.0.0.1"), "on this machine"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "download", *words]) == 2
    assert told in capsys.readouterr().err


def test_no_network_is_exit_status_1_with_the_remedy_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("engine.execution.download.ask.FIRST_DELAY_S", 0.0)
    assert main([*ASKED, "--url", "http://127.0.0.1:9", "--json"]) == 1
    told = capsys.readouterr()
    assert "check the network" in json.loads(told.out)["error"]
    assert "Traceback" not in told.err
    assert not Store(tmp_path / ".lockstep").root.exists()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_is_shown_how_far_each_symbol_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with data_download._bars_of_progress(Output()) as moved:
        assert moved is not None
        moved("binance:A/B:1h", 50, 200)
        moved("binance:C/D:1h", 0, 100)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "binance:A/B:1h" in shown
    assert "25 %" in shown
    with data_download._bars_of_progress(Output(json=True)) as moved:
        assert moved is None

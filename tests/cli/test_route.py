"""``lockstep route`` by the books of two venues that are asked over the wire, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.app import run
from engine.execution.routing import Offer, routed
from engine.venue.core import Venue
from engine.venue.server import Server
from tests.venue.client import KEY, SECRET, made_venue
from tests.venue.okx_client import PASSPHRASE, made_spot_venue

pytest.importorskip("ccxt")
SYMBOL = "BTC/USDT"
FEES = "binance=0.001,okx=0.001"
Output = pytest.CaptureFixture[str]


@contextlib.contextmanager
def listening(venue: Venue, protocol: str) -> Iterator[Server]:
    """Serve a venue in a thread of its own."""
    server, loop = Server(venue, protocol=protocol), asyncio.new_event_loop()
    loop.run_until_complete(server.__aenter__())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, Venue], list[str]]]:
    """Serve two venues and yield them with the files of two bots."""
    venues = {"binance": made_venue(), "okx": made_spot_venue()}
    for name in venues:
        monkeypatch.setenv(f"LOCKSTEP_{name.upper()}_KEY", KEY)
        monkeypatch.setenv(f"LOCKSTEP_{name.upper()}_SECRET", SECRET)
    monkeypatch.setenv("LOCKSTEP_OKX_PASSWORD", PASSPHRASE)
    files = []
    with contextlib.ExitStack() as stack:
        for name, venue in venues.items():
            server = stack.enter_context(listening(venue, name))
            file = tmp_path / f"{name}.toml"
            file.write_text(
                f'[venue]\nname = "{name}"\nrest_url = "{server.rest_url}"\nstream_url = "{server.stream_url}"\n'
                f'[[manifests]]\npath = "none.json"\nsymbols = ["{SYMBOL}"]\nshare = 1.0\n'
            )
            files.append(str(file))
        yield venues, files


def test_an_order_is_split_by_the_books_of_two_venues(two: tuple[dict[str, Venue], list[str]], capsys: Output) -> None:
    venues, files = two
    asks = {name: venue.tapes[SYMBOL].book()[1] for name, venue in venues.items()}
    size = 1.5 * sum(amount for _, amount in asks["binance"][:3])
    assert run(["route", SYMBOL, *files, "--side", "buy", "--quantity", f"{size:g}", "--fee", FEES, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = routed(
        "buy", float(f"{size:g}"), [Offer(name, one, 0.001, 0.001, 0.001, 5.0) for name, one in asks.items()]
    )
    assert len(expected.parts) == 2
    assert [(one["venue"], one["quantity"]) for one in found["parts"]] == [
        (one.venue, one.quantity) for one in expected.parts
    ]
    assert found["price"] == pytest.approx(expected.price, rel=1e-12)
    assert found["reason"] == expected.reason
    assert all(not account.orders for venue in venues.values() for account in venue.accounts.values())
    assert run(["route", SYMBOL, *files, "--side", "buy", "--quantity", "0.1", "--fee", "binance=0.01,okx=0"]) == 0
    text = capsys.readouterr().out
    assert "all to okx at" in text
    assert "1.0000%" in text


def test_no_more_is_sent_anywhere_than_the_account_has_there(
    two: tuple[dict[str, Venue], list[str]], capsys: Output
) -> None:
    venues, files = two
    venues["okx"].accounts[KEY].cash["BTC"] = 0.004
    assert run(["route", SYMBOL, *files, "--side", "sell", "--quantity", "1", "--funded", "--fee", FEES, "--json"]) == 0
    found = {one["venue"]: one["quantity"] for one in json.loads(capsys.readouterr().out)["parts"]}
    assert found["okx"] == 0.004
    venues["binance"].accounts[KEY].cash["USDT"] = 100.0
    assert run(["route", SYMBOL, *files, "--side", "buy", "--quantity", "2", "--funded", "--fee", FEES, "--json"]) == 0
    totals = {one["venue"]: one["total"] for one in json.loads(capsys.readouterr().out)["parts"]}
    assert 99.0 < totals["binance"] <= 100.0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--side", "hold", "--quantity", "1"], "--side hold --quantity 1, expected buy or sell"),
        (["--side", "buy", "--quantity", "-1"], "--quantity -1, expected buy or sell and a quantity above 0"),
        (["--side", "buy", "--quantity", "1", "--fee", "kraken=0.1"], "--fee names kraken, expected one of"),
    ],
)
def test_what_is_no_order_is_refused_in_a_line(
    words: list[str], said: str, two: tuple[dict[str, Venue], list[str]], capsys: Output
) -> None:
    assert run(["route", SYMBOL, *two[1], *words]) == 2
    found = capsys.readouterr().err
    assert said in found
    assert "Traceback" not in found


def test_a_market_that_a_venue_has_not_and_a_venue_named_twice_are_refused(
    two: tuple[dict[str, Venue], list[str]], capsys: Output
) -> None:
    files = two[1]
    assert run(["route", "ETH/USDT", *files, "--side", "buy", "--quantity", "1"]) == 2
    assert "ETH/USDT" in capsys.readouterr().err
    assert run(["route", SYMBOL, files[0], files[0], "--side", "buy", "--quantity", "1"]) == 2
    assert "each once" in capsys.readouterr().err

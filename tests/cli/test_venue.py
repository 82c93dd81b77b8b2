"""``lockstep venue``: a local exchange over stored bars, run as a user runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from engine.cli import main
from tests.cli.conftest import MADE


def get(url: str, method: str = "GET") -> dict[str, object]:
    """Return what an address on this machine answers."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
        found: dict[str, object] = json.loads(answer.read())
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_serves_plays_a_bar_when_told_and_ends_when_interrupted(store: Path) -> None:
    run = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]
    command = [*run, "venue", "--data", MADE, "--start", "2021-01-01", "--lockstep", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            urls = json.loads(server.stdout.readline())
            assert set(urls) == {"rest", "stream", "control"}
            first = get(f"{urls['rest']}/klines?symbol=AB&interval=1d&limit=1")
            assert get(f"{urls['control']}/release", "POST")["played"] is True
            assert get(f"{urls['rest']}/klines?symbol=AB&interval=1d&limit=1") != first
        finally:
            server.send_signal(signal.SIGINT)
            _, error = server.communicate(timeout=30)
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "both or neither"),
        (["--lockstep", "--speed", "2"], "both or neither"),
        (["--speed", "-1"], "a number above 0"),
        (["--lockstep", "--costs", "fees=0.1"], "fee"),
    ],
)
def test_what_makes_no_sense_is_refused(
    store: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert main(["venue", "--data", MADE, *words]) == 2
    assert told in capsys.readouterr().err


def test_a_series_that_is_not_stored_is_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["venue", "--data", "made:A/C:1d", "--lockstep"]) == 2
    assert "A/C" in capsys.readouterr().err

"""A quiet place for every test of the command: its own folder, no store named by the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.cli import main
from parquet_store import Store
from tests.parquet_store.made import made_bars

MADE = "made:A/B:1d"


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in a folder of its own."""
    monkeypatch.delenv("LOCKSTEP_STORE", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with 600 made daily bars, the one the command finds by itself."""
    root = tmp_path / ".lockstep"
    Store(root).append(MADE, made_bars(600, "1d", start="2020-01-01"))
    return root


@pytest.fixture
def document(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command with ``--json`` and return the one document on stdout, the status checked."""

    def run(*argv: str, status: int = 0) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*argv, "--json"]) == status
        found = capsys.readouterr()
        content: dict[str, Any] = json.loads(found.out)
        return content

    return run

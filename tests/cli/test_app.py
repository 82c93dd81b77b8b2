"""The command as a whole: help, typing errors, exit statuses, what a failure looks like."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from engine.cli import main
from engine.cli.app import app

HEAVY = ("numpy", "polars", "numba", "duckdb", "pyarrow", "pandas", "rich", "pydantic", "vectorbt")
LOCKSTEP = [sys.executable, "-c", "import sys; from engine.cli import main; sys.exit(main())"]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every subcommand with its words."""
    for name, sub in getattr(command, "commands", {}).items():
        if hasattr(sub, "commands"):
            yield from commands(sub, (*path, name))
        else:
            yield (*path, name), sub


ALL = dict(commands(typer.main.get_command(app)))


def test_every_command_asked_for_is_there() -> None:
    wanted = {("data", name) for name in ("sample", "import", "download", "list", "check", "query", "resample")}
    wanted |= {("config", "check"), ("config", "show")}
    assert set(ALL) == wanted | {
        (name,)
        for name in (
            "strategies",
            "sweep",
            "search",
            "venue",
            "results",
            "walk-forward",
            "report",
            "prove",
            "export",
            "replay",
            "tour",
            "paper",
            "demo",
            "live",
            "status",
            "backtest",
            "kill",
            "limits",
            "reconcile",
            "route",
        )
    }


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example_and_takes_json_and_store(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"Example:\n    lockstep {' '.join(words)}" in text
    assert "--json" in text
    assert ("--store PATH" in text) is (words != ("route",)), "a route knows no stored bars"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from engine.cli import main; status = main(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], status, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    assert "lockstep tour" in done.stdout


def test_the_module_answers_from_a_process_of_its_own() -> None:
    done = subprocess.run([*LOCKSTEP, "datta"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == 'error: unknown command "datta": did you mean "data"? (see lockstep --help)\n'
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sweeep", 'unknown command "sweeep": did you mean "sweep"?'),
        ("data chek", 'unknown command "chek": did you mean "check"?'),
        ("data list --jsno", 'unknown option "--jsno": did you mean "--json"?'),
        ("sweep mean_reversion --data a:B:1d --verfy 3", 'unknown option "--verfy": did you mean "--verify"?'),
        ("zzz", 'unknown command "zzz": known: '),
        ("sweep", "lockstep sweep needs STRATEGY, as in mean_reversion"),
        ("data query", "Missing argument 'SQL'"),
        ("strategies mean_revrsion", 'unknown strategy "mean_revrsion": did you mean "mean_reversion"?'),
        ("results nowhere", 'unknown run "nowhere"'),
        ("sweep mean_reversion", "lockstep sweep needs --data, as in sample:NASDAQ:1d"),
        ("data check here", '"here" is no source of bars'),
    ],
)
def test_wrong_usage_gives_the_nearest_name_and_status_2(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    found = capsys.readouterr()
    assert found.err.startswith(f"error: {message}")
    assert found.out == ""


def test_no_command_shows_the_help_and_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: lockstep")


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lockstep {version('lockstep-engine')}\n"


def test_with_json_an_error_is_a_document_too(document: Callable[..., dict[str, Any]]) -> None:
    found = document("strategies", "buy_and_hodl", status=2)
    assert set(found) == {"error", "exit_status"}
    assert 'did you mean "buy_and_hold"?' in found["error"]
    assert found["exit_status"] == 2


def broken(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "interrupted: what was stored before is intact\n"),
        (MemoryError(), "error: out of memory: "),
        (OSError(28, "No space left on device", "/x/y"), "error: no space left on the disk (/x/y): "),
        (PermissionError(13, "Permission denied", "/x"), "error: permission denied (/x): "),
        (FileNotFoundError(2, "No such file or directory", "/x"), "error: No such file or directory (/x)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_the_machine_refuses_is_one_line_and_status_1(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.cli.data.open_store", broken(error))
    assert main(["data", "list"]) == 1
    found = capsys.readouterr()
    assert found.err.startswith(message)
    assert found.err.count("\n") == 1


class Panic(BaseException):
    """What compiled libraries raise; no Exception."""


@pytest.mark.parametrize("kind", [ZeroDivisionError, Panic])
def test_an_internal_error_leaves_its_traceback_in_the_store(
    kind: type[BaseException], store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("engine.cli.data.show_series", broken(kind("a defect")))
    assert main(["data", "list"]) == 1
    said = capsys.readouterr().err
    (log,) = (store / "logs").iterdir()
    assert said == f"error: internal error: {kind.__name__}: a defect; the traceback is in {log}\n"
    assert "Traceback (most recent call last)" in log.read_text()


def test_an_internal_error_without_a_store_leaves_its_traceback_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("engine.cli.data.open_store", broken(ZeroDivisionError("a defect")))
    assert main(["data", "list", "--store", str(tmp_path / "none"), "--json"]) == 1
    (log,) = tmp_path.glob("lockstep-*/error-*.txt")
    found = capsys.readouterr()
    assert str(log) in found.err
    assert json.loads(found.out)["exit_status"] == 1
    assert not (tmp_path / "none").exists()


def test_a_reader_that_goes_away_is_no_traceback(store: Path) -> None:
    process = subprocess.Popen(
        [*LOCKSTEP, "data", "query", "select * from bars", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=store.parent,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert said == b""

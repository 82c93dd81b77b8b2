"""The command ``lockstep``: its subcommands, and what happens when one of them fails.

Its help must answer at once, so what only a failure needs is imported when it happens.
"""

from __future__ import annotations

import difflib
import errno
import itertools
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from engine.cli import (
    backtest,
    bot,
    chosen,
    config,
    data,
    prove,
    results,
    route,
    search,
    strategies,
    sweep,
    tour,
    venue,
    walk_forward,
)
from parquet_store.errors import LockstepError

_ORDER = (
    "tour",
    "data",
    "strategies",
    "sweep",
    "search",
    "results",
    "walk-forward",
    "report",
    "prove",
    "export",
    "replay",
    "config",
    "backtest",
    "paper",
    "demo",
    "live",
    "status",
    "kill",
    "limits",
    "reconcile",
    "route",
    "venue",
)


class _Ordered(TyperGroup):
    """Lists its commands in the order one uses them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, groups where they belong."""
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    name="lockstep",
    cls=_Ordered,
    help=(
        "A research and signal engine for traders: what was swept is what runs, bit for bit.\n\n"
        "\b\nExample:\n  lockstep tour\n  lockstep data sample\n"
        "  lockstep sweep mean_reversion --data sample:NASDAQ:1d --param rsi_length=5:30:5 --name first\n"
        "  lockstep results first\n\n"
        "Exit status: 0 done, 1 failed, 2 asked for wrongly."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs twice the time of everything else together
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
strategies.register(app)
sweep.register(app)
results.register(app)
search.register(app)
walk_forward.register(app)
chosen.register(app)
prove.register(app)
backtest.register(app)
tour.register(app)
bot.register(app)
route.register(app)
venue.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"lockstep {version('lockstep-engine')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command; every failure becomes a message on stderr and an exit status, never a traceback.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; the process's own if not given.

    Returns
    -------
    int
        0 done, 1 failed or interrupted, 2 wrong usage.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without Unicode is no reason to fail
    try:
        status = app(args=given, prog_name="lockstep", standalone_mode=False)
        sys.stdout.flush()
        if status == 130:  # how typer returns from Ctrl-C
            return _interrupted()
        return status if isinstance(status, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted()
    except LockstepError as error:
        return _failed(str(error), error.exit_status, given)
    except MemoryError:
        return _failed("out of memory: ask for less at once, or close other programs; the store is intact", 1, given)
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(_system_message(error), 1, given)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001  (the last resort, panics of Polars too: the traceback goes to a file)
        if hasattr(error, "format_message"):
            return _failed(_usage_message(error), int(getattr(error, "exit_code", 2)), given)
        if "interrupt" in str(error).lower() or _caused_by_interrupt(error):  # as DuckDB and compiled code pass it on
            return _interrupted()
        place = _write_traceback(given)
        return _failed(f"internal error: {type(error).__name__}: {error}; the traceback is in {place}", 1, given)


def _caused_by_interrupt(error: BaseException) -> bool:
    """Return whether Ctrl-C stands anywhere behind an exception."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, KeyboardInterrupt):
            return True
        behind = behind.__cause__ or behind.__context__
    return False


def _interrupted() -> int:
    print("interrupted: what was stored before is intact", file=sys.stderr)
    return 1


def _failed(message: str, status: int, given: Sequence[str]) -> int:
    print(message if message.startswith("Usage:") else f"error: {message}", file=sys.stderr, flush=True)
    if "--json" in given:
        import json

        print(json.dumps({"error": message, "exit_status": status}, indent=2), flush=True)
    return status


def _system_message(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk{where}: free some space and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"permission denied{where}: choose a place you may write to, as with --store PATH"
    return f"{error.strerror or error}{where}"


def _usage_message(error: Any) -> str:
    """Return what typer says of wrong usage, with the nearest name where a command or an option is unknown."""
    message = str(error.format_message())
    context = getattr(error, "ctx", None)
    if message.startswith("Usage:") or context is None:
        return message
    command, found = context.command, re.match(r"No such (command|option):? '?([^' ]+?)'?[.\s]", f"{message} ")
    if found:
        kind, name = found.groups()
        options = [name for param in command.params for name in (*param.opts, *param.secondary_opts)]
        known = [o for o in options if o.startswith("-")] if kind == "option" else list(command.commands)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"?' if near else f"known: {', '.join(known)}"
        message = f'unknown {kind} "{name}": {hint}'
    return f"{message.rstrip('.')} (see {context.command_path} --help)"


def _write_traceback(given: Sequence[str]) -> Path:
    """Write the traceback of the exception at hand to the store, or where temporary files go; return the file."""
    import tempfile
    import traceback

    words = ["lockstep", *given]
    store = next((b for a, b in itertools.pairwise(words) if a == "--store"), None)
    root = Path(store or os.environ.get("LOCKSTEP_STORE") or ".lockstep").expanduser().absolute()
    text = f"command: {words}\npython: {sys.version}\n\n{traceback.format_exc()}"
    name = f"error-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.txt"
    try:
        if not root.is_dir():
            raise FileNotFoundError(root)
        folder = root / "logs"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
        (folder / name).write_text(text, encoding="utf-8")
    return folder / name

"""``lockstep config``: whether a bot's settings hold together, and what they come to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.options import AsJson, StorePath
from engine.cli.output import Output
from parquet_store.errors import LockstepError, Usage

if TYPE_CHECKING:
    from engine.settings import BotSettings

app = typer.Typer(help="Check a bot's settings, or show them.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(metavar="[FILE]", help="Settings in TOML; else ./bot.toml.", show_default=False)]


@app.command()
def check(file: File = Path("bot.toml"), store: StorePath = None, json: AsJson = False) -> None:
    """Check settings, the manifests they name, and whether the keys they need are set; nothing is connected to.

    \b
    Example:
      lockstep config check bot.toml
    """
    from engine.settings import live_summary, load_settings

    out = Output(json)
    settings = _placed(load_settings(file), store)
    faults = _faults(settings)
    if faults:
        raise Usage("\n".join(f"{file.name}: {fault}" for fault in faults))
    lines = live_summary(settings)
    if json:
        out.document({"file": file, "mode": settings.mode, "summary": lines})
        return
    out.say("\n".join([f"{file}: in order", *(f"  {line}" for line in lines)]))


@app.command()
def show(file: File = Path("bot.toml"), store: StorePath = None, json: AsJson = False) -> None:
    """Show every setting, defaults included, and of each key only whether it is set.

    \b
    Example:
      lockstep config show bot.toml
    """
    from engine.settings import load_settings

    out = Output(json)
    settings = _placed(load_settings(file), store)
    keys = _keys(settings)
    if json:
        out.document({"file": file, "settings": settings.model_dump(), "keys": keys})
        return
    rows = [[name, value] for name, value in _flat("", settings.model_dump())]
    out.table(["setting", "value"], rows)
    out.table([f"key from the {settings.venue.keys_from}", "state"], [[name, state] for name, state in keys.items()])


def _placed(settings: BotSettings, store: Path | None) -> BotSettings:
    return settings if store is None else settings.model_copy(update={"store": store})


def _faults(settings: BotSettings) -> list[str]:
    """Return what keeps a bot from starting that the file alone cannot show."""
    from engine.manifest import load_manifest
    from engine.settings import load_credentials, refuse_unsafe
    from engine.strategies import load_module

    faults: list[str] = []
    try:
        for file in settings.steps:
            load_module(file)
    except LockstepError as error:
        faults.append(f"steps: {error}")
    for index, one in enumerate(settings.manifests):
        try:
            load_manifest(one.path)
        except LockstepError as error:
            faults.append(f"manifests[{index}]: {error}")
    try:
        refuse_unsafe(settings, yes=True)
        if settings.mode != "paper":
            load_credentials(settings.venue.name, settings.venue.keys_from)
    except LockstepError as error:
        faults.append(str(error))
    return faults


def _keys(settings: BotSettings) -> dict[str, str]:
    """Return whether each key is set; a keyring that cannot be opened is said in place of a state."""
    from engine.settings import credential_names
    from engine.settings.secret import find_credentials

    try:
        found = find_credentials(settings.venue.name, settings.venue.keys_from, os.environ)
    except LockstepError as error:
        return dict.fromkeys(credential_names(settings.venue.name), f"unknown: {error}")
    return {name: "set" if value else "not set" for name, value in found.items()}


def _flat(place: str, value: Any) -> list[tuple[str, object]]:
    """Return settings one a line, named as in messages."""
    if isinstance(value, dict):
        return [row for name, item in value.items() for row in _flat(f"{place}.{name}".lstrip("."), item)]
    if isinstance(value, tuple) and any(isinstance(item, dict) for item in value):
        return [row for index, item in enumerate(value) for row in _flat(f"{place}[{index}]", item)]
    if isinstance(value, tuple):
        return [(place, ", ".join(map(str, value)))]
    return [(place, value)]

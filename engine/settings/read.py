"""From the text of a TOML file to settings, or to everything that is wrong with it at once."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from engine.settings.model import DEMO, STREAMLESS, BotSettings
from engine.settings.secret import credential_names
from parquet_store.errors import Usage
from parquet_store.write import telling_disk_errors

__all__ = ["load_settings", "parse_settings"]

_SECRET_NAME = re.compile(r"[a-z0-9]*(key|secret|password|passphrase|passwd|token|credential)(id)?s?")
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
_PLACES = ("store", "journal", "path", "steps")
_MOST_BYTES = 1 << 20


def load_settings(path: Path | str) -> BotSettings:
    """Read a bot's settings; relative paths in the file are beside the file.

    Parameters
    ----------
    path : Path or str
        A TOML file, UTF-8, of at most 1 MB.

    Raises
    ------
    Usage
        There is no such file, or something in it is wrong: every fault is named, one a line.
    Failed
        The file cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise Usage(f"{path}: no such file; expected settings in TOML, such as examples/bot.toml")
    with telling_disk_errors(path):
        if path.stat().st_size > _MOST_BYTES:
            raise Usage(f"{path}: larger than 1 MB; expected settings in TOML")
        raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Usage(f"{path}: not UTF-8; save it as UTF-8 text") from None
    return parse_settings(text, path.name, path.absolute().parent)


def parse_settings(text: str, name: str, folder: Path) -> BotSettings:
    """Return the settings a text in TOML means.

    Parameters
    ----------
    text : str
    name : str
        Of the file, for messages.
    folder : Path
        What relative paths start from.

    Raises
    ------
    Usage
        As ``load_settings``.
    """
    try:
        content = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else re.sub(r"['\"].*['\"] ", "", str(error))
        raise Usage(f"{name}: no TOML: {why}; correct it there") from None
    secrets = dict(_secrets(content, (), _venue(content)))
    faults, settings = dict(secrets), None
    try:
        settings = BotSettings.model_validate(content)
    except ValidationError as error:
        for one in error.errors(include_url=False):
            place = tuple(part for part in one["loc"] if not str(part).startswith(("function-", "constrained-")))
            empty = one["type"] != "too_short" or not one["input"]  # pydantic calls a list of faulty items too short
            if empty and not any(place[: len(held)] == held for held in secrets):
                faults.setdefault(place, _told(one, place, content))
    else:
        for place, message in _contradictions(settings):
            faults.setdefault(place, message)
    if faults or settings is None:
        lines = [f"{name}: {_written(place)}{message}" for place, message in sorted(faults.items(), key=_order)]
        raise Usage("\n".join(lines))
    return _beside(settings, folder)


Place = tuple[int | str, ...]


def _order(item: tuple[Place, str]) -> list[str]:
    return [f"{part:06}" if isinstance(part, int) else part for part in item[0]]


def _written(place: Place) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{text}: " if text else ""


def _secrets(value: Any, place: Place, venue: str) -> Iterator[tuple[Place, str]]:
    """Give the place of everything that looks like a key, by its name or by itself, and what to do about it."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            plain = not isinstance(item, Mapping | list) and item != ""
            if plain and _SECRET_NAME.fullmatch(re.sub(r"[\W_]", "", name.lower())):
                yield (*place, name), _remedy(venue)
            else:
                yield from _secrets(item, (*place, name), venue)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _secrets(item, (*place, index), venue)
    elif isinstance(value, str):
        names = [part for part in place if isinstance(part, str)]
        mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
        if "-----BEGIN" in value or (names[-1:] and names[-1] not in _PLACES and mixed and _KEY_TEXT.fullmatch(value)):
            yield place, _remedy(venue)


def _remedy(venue: str) -> str:
    names = ", ".join(credential_names(venue)) if venue else "LOCKSTEP_VENUE_KEY, LOCKSTEP_VENUE_SECRET"
    return (
        f"looks like a key or a secret, and those do not belong in a file: take it out, revoke it if others could "
        f"read the file, and set {names} in the environment, or say keys_from = 'keyring' under [venue]"
    )


def _venue(content: Mapping[str, Any]) -> str:
    venue = content.get("venue")
    name = venue.get("name") if isinstance(venue, Mapping) else None
    try:
        return str(name) if credential_names(str(name)) else ""
    except Usage:
        return ""


def _told(error: ErrorDetails, place: Place, content: Mapping[str, Any]) -> str:
    """Return what is wrong in the words of a setting: found, expected, what to do."""
    kind, about, found = error["type"], error.get("ctx") or {}, error.get("input")
    if kind == "setting":
        return str(about["message"])
    if kind == "extra_forbidden":
        known = list(_model_at(place[:-1]).model_fields)
        near = difflib.get_close_matches(str(place[-1]).replace("-", "_"), known, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"? ' if near else ""
        return f"unknown key; {hint}known: {', '.join(known)}"
    if kind == "missing":
        return f"missing; {_EXAMPLES.get(str(place[-1]), 'set it')}"
    if kind == "literal_error":
        expected = str(about["expected"])
        near = difflib.get_close_matches(str(found), re.findall(r"'([^']*)'", expected), n=1, cutoff=0.5)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        return f"found {_shown(found)}, expected {expected}{hint}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"found {_shown(found)}, expected a table: [{place[-1] if place else ''}] and settings below it"
    if kind == "too_short":
        return f"empty; {_EXAMPLES.get(str(place[-1]), 'name at least one')}"
    if kind == "tuple_type":
        return f"found {_shown(found)}, expected a list in square brackets"
    wanted = (
        error["msg"].replace("Input should be ", "").replace("a valid ", "a ").replace("a boolean", "true or false")
    )
    wanted = wanted.replace("less than or equal to", "at most").replace("greater than or equal to", "at least")
    return f"found {_shown(found)}, expected {wanted}"


_EXAMPLES = {
    "venue": 'add [venue] with name = "binance"',
    "name": 'as in name = "binance"',
    "manifests": 'add [[manifests]] with path = "btc.json", symbols = ["BTC/USDT"], share = 1.0',
    "path": 'the file `lockstep export` wrote, as in path = "btc.json"',
    "symbols": 'as in symbols = ["BTC/USDT"]',
    "share": "what part of the account it may use, as in share = 0.5",
}


def _shown(value: Any) -> str:
    """Return a found value in one short line; of a table or list only what it is."""
    if isinstance(value, Mapping | list | tuple):
        return "a table" if isinstance(value, Mapping) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 40 else f"{text[:36]}..."


def _model_at(place: Place) -> type[BaseModel]:
    model: type[BaseModel] = BotSettings
    for part in place:
        if isinstance(part, str):
            kind = model.model_fields[part].annotation
            model = next(one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, BaseModel))
    return model


def _contradictions(settings: BotSettings) -> Iterator[tuple[Place, str]]:
    """Give what is wrong between settings that are right by themselves."""
    venue, feed = settings.venue, settings.feed
    total = sum(one.share for one in settings.manifests)
    if total > 1.0 + 1e-9 and not settings.account.shared:
        yield ("manifests",), f"the shares add up to {total:g}, expected at most 1 where the cash is not shared"
    seen: set[tuple[Path, str]] = set()
    for index, one in enumerate(settings.manifests):
        for symbol in one.symbols:
            if (one.path, symbol) in seen:
                yield ("manifests", index), f"{one.path} trades {symbol} above already; name it once"
            seen.add((one.path, symbol))
            if (":" in symbol) != (venue.market == "perpetual"):
                other = "BTC/USDT:USDT" if venue.market == "perpetual" else "BTC/USDT"
                yield (
                    ("manifests", index, "symbols"),
                    f'found "{symbol}", expected a symbol of market = "{venue.market}" such as {other}',
                )
    if settings.mode == "demo" and venue.name not in DEMO and not venue.is_local:
        yield ("mode",), f"{venue.name} has no demo trading; use paper, or one of {', '.join(DEMO)}"
    if venue.name in STREAMLESS and not feed.candles_from:
        yield ("feed", "candles_from"), f'{venue.name} has no candles; take another venue\'s, as in "coinbase"'
    if settings.mode == "live" and not settings.live:
        yield (
            ("live",),
            "mode is live and live is not true; live trading needs live = true here, and a yes when it starts",
        )


def _beside(settings: BotSettings, folder: Path) -> BotSettings:
    def place(path: Path) -> Path:
        return folder / path.expanduser()

    manifests = tuple(one.model_copy(update={"path": place(one.path)}) for one in settings.manifests)
    moved = {"store": place(settings.store), "journal": place(settings.journal), "manifests": manifests}
    return settings.model_copy(update={**moved, "steps": tuple(map(place, settings.steps))})

"""What the commands have in common: the options every one of them takes, and text options turned into values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from parquet_store.errors import Usage

if TYPE_CHECKING:
    from parquet_store import Store

StorePath = Annotated[
    Path | None,
    typer.Option("--store", metavar="PATH", help="Folder of the store; else $LOCKSTEP_STORE, else ./.lockstep."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, everything else on stderr.")]


def open_store(path: Path | None) -> Store:
    """Return the store a command works on."""
    from parquet_store import Store

    return Store.open(path)


def pairs(text: str, option: str, example: str) -> dict[str, str]:
    """Return the names and values of ``name=value,name=value``.

    Raises
    ------
    Usage
        A part is no pair, or a name comes twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise Usage(f'{option} "{text}": found "{part.strip()}", expected name=value, as in {option} {example}')
        if name in found:
            raise Usage(f'{option} "{text}": {name} is given twice')
        found[name] = value
    return found


def number(text: str, option: str) -> float:
    """Return text as a number; ``option`` is named if it is none."""
    try:
        return float(text)
    except ValueError:
        raise Usage(f'{option}: "{text}" is no number') from None


def number_pairs(text: str, option: str, example: str) -> dict[str, float]:
    """Return the names and numbers of ``name=1,name=2.5``."""
    return {name: number(value, f"{option} {name}") for name, value in pairs(text, option, example).items()}


def grid(params: Sequence[str]) -> dict[str, list[float]]:
    """Return the values of each ``name=14,21`` or ``name=20:40:5``; a name given again adds its values."""
    return {name: values for name, values in ranges(params)[0].items() if values}


def ranges(params: Sequence[str]) -> tuple[dict[str, list[float]], dict[str, tuple[float, float]]]:
    """Return (the values of each ``name=14,21`` or ``name=20:40:5``, the ends of each ``name=20:40``)."""
    from engine.research.ranges import parse_interval, parse_values

    found: dict[str, list[float]] = {}
    intervals: dict[str, tuple[float, float]] = {}
    for text in params:
        name, equals, values = (piece.strip() for piece in text.partition("="))
        if not (name and equals and values):
            raise Usage(f'--param "{text}": expected name=values, as in --param rsi_length=14,21 or 20:40:5')
        ends = parse_interval(values)
        if ends is None:
            found.setdefault(name, []).extend(parse_values(values))
        elif name in intervals:
            raise Usage(f'--param "{text}": {name} has an interval already')
        else:
            intervals[name] = ends
    return found, intervals


def memory_size(text: str) -> int:
    """Return the bytes of ``512MB`` or ``1GB``.

    Raises
    ------
    Usage
        No number with a unit, or less than 16 MB.
    """
    found = re.fullmatch(r"([0-9.]+)\s*([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise Usage(f'--memory "{text}": expected a size such as 512MB or 1GB')
    size = number(found[1], "--memory") * 1024 ** " KMGT".index(found[2] or " ")
    if not 16 << 20 <= size < 1 << 50:
        raise Usage(f'--memory "{text}": expected 16MB or more')
    return int(size)

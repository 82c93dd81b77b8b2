"""Every event and action fits into the journal as it is, and every event out of it again."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import Any

import orjson
import pytest

from engine.execution.orders import Fill, OrderReport, OrderRequest
from engine.live.actions import Action
from engine.live.events import Event, pack, unpack
from engine.live.journal import canonical
from pipelines.candles import Candle

EVENTS, ACTIONS = typing.get_args(Event), typing.get_args(Action)
PARTS = {"Candle": Candle, "Fill": Fill, "OrderReport": OrderReport, "OrderRequest": OrderRequest}


def made(kind: type[Any], number: float) -> Any:
    """Return a record whose every field is another value; floats are ``number`` now and then."""
    values: dict[str, Any] = {}
    for k, item in enumerate(dataclasses.fields(kind)):
        text = str(item.type)
        inner = next((part for name, part in PARTS.items() if name in text), None)
        if inner and text.startswith("tuple"):
            values[item.name] = (made(inner, number), made(inner, 0.1 * k))
        elif inner:
            values[item.name] = made(inner, number)
        else:
            values[item.name] = {"int": 1_700_000_000_000_000_000 + k, "float": number if k % 2 else 0.1 + k}.get(
                text, bool(k % 2) if text == "bool" else f"text {k}"
            )
    return kind(**values)


@pytest.mark.parametrize("kind", [*EVENTS, *ACTIONS], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("number", [1.5, -0.0, math.nan])
def test_a_record_is_packed_as_dataclasses_would(kind: type[Any], number: float) -> None:
    record = made(kind, number)
    expected = {kind.__name__: dataclasses.asdict(record)}
    assert canonical(pack(record)) == canonical(expected)
    assert list(pack(record)[kind.__name__]) == list(expected[kind.__name__])


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_an_event_comes_back_as_it_was(kind: type[Any]) -> None:
    record = made(kind, 0.1)
    assert unpack(orjson.loads(canonical(pack(record)))) == record
    unknown = unpack(orjson.loads(canonical(pack(made(kind, math.nan)))))
    assert canonical(pack(unknown)) == canonical(pack(made(kind, math.nan)))

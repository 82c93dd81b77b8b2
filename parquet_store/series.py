"""The name of one run of bars: where it trades, what it is, how long a bar lasts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from parquet_store.errors import Usage
from parquet_store.timeframe import Timeframe

_EXAMPLE = "expected venue:SYMBOL:timeframe, such as binance:BTC/USDT:1h"


@dataclass(frozen=True, order=True)
class Series:
    """One venue's bars of one symbol at one timeframe, written ``binance:BTC/USDT:1h``.

    Parameters
    ----------
    venue : str
        Where the prices come from; no colon.
    symbol : str
        What is traded; may hold colons (``BTC/USDT:USDT`` is a perpetual settled in USDT).
    timeframe : str
        A bar length that :class:`Timeframe` reads.

    Raises
    ------
    Usage
        If a part is empty, holds blanks or control characters, is too long for a folder name, or is no timeframe.
    """

    venue: str
    symbol: str
    timeframe: str

    def __post_init__(self) -> None:
        for kind, text in (("venue", self.venue), ("symbol", self.symbol)):
            if not text or not text.isprintable() or any(letter.isspace() for letter in text):
                raise Usage(f'{kind} "{text}" is empty or holds blanks or control characters: {_EXAMPLE}')
            if len(text.encode()) > 60:
                raise Usage(f'{kind} "{text}" is longer than 60 bytes')
        if ":" in self.venue:
            raise Usage(f'venue "{self.venue}" holds a colon: {_EXAMPLE}')
        Timeframe.parse(self.timeframe)

    @classmethod
    def parse(cls, text: str) -> Series:
        """Return the series that ``text`` names: venue before the first colon, timeframe after the last."""
        venue, _, rest = text.partition(":")
        symbol, _, timeframe = rest.rpartition(":")
        if not (venue and symbol and timeframe):
            raise Usage(f'"{text}" is no source of bars: {_EXAMPLE}')
        return cls(venue, symbol, timeframe)

    def __str__(self) -> str:
        return f"{self.venue}:{self.symbol}:{self.timeframe}"

    @cached_property
    def bar(self) -> Timeframe:
        """The timeframe as a :class:`Timeframe`."""
        return Timeframe.parse(self.timeframe)

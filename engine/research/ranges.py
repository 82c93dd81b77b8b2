"""The values of a parameter as a user writes them: lists, ranges with a step, intervals to draw from."""

from __future__ import annotations

import math

from parquet_store.errors import Usage

__all__ = ["parse_interval", "parse_values"]

LONGEST = 10**6


def parse_values(text: str) -> list[float]:
    """Return the values of ``14,21``, ``20:40:5`` (start:stop:step, stop included) or a mixture of both.

    A range has floor((stop - start) / step + 1e-9) + 1 values, start + i * step rounded to 12 digits.

    Raises
    ------
    Usage
        Not a number, a range without values, more than 10^6 values in all.
    """
    out: list[float] = []
    for part in text.split(","):
        pieces = part.split(":")
        try:
            numbers = [float(piece) for piece in pieces]
        except ValueError:
            numbers = []
        if len(numbers) not in (1, 3) or not all(math.isfinite(x) for x in numbers):
            raise Usage(f'values "{part.strip()}": expected a number or start:stop:step, as in 14,21 or 20:40:5')
        if len(numbers) == 1:
            out += numbers
            continue
        start, stop, stride = numbers
        if stride <= 0 or stop < start:
            raise Usage(f'range "{part}": has no values; expected start <= stop and step > 0')
        reach = (stop - start) / stride  # infinite where it is beyond all numbers
        if len(out) + reach >= LONGEST:
            many = f"{math.floor(reach + 1e-9) + 1:,}" if reach < 1e15 else f"{reach:.0e}"
            raise Usage(f'range "{part}": {many} values; expected at most {LONGEST:,} for one parameter')
        count = math.floor(reach + 1e-9) + 1
        out += [round(start + i * stride, 12) for i in range(count)]
    return out


def parse_interval(text: str) -> tuple[float, float] | None:
    """Return the ends of ``low:high``, an interval to draw from; None if the text is no interval.

    Raises
    ------
    Usage
        The ends are not finite, or the second is not above the first.
    """
    pieces = text.split(":")
    try:
        numbers = [float(piece) for piece in pieces]
    except ValueError:
        return None
    if len(numbers) != 2:
        return None
    low, high = numbers
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise Usage(f'interval "{text}": expected low:high with low < high, as in 20:40')
    return low, high

"""The compiled calls of many programs: one bar of some symbols, or the history of one."""

from __future__ import annotations

import numpy as np

from engine.graph.machine import call_step
from engine.jit import compiled_bare, inlined_bare
from engine.kernels.column import ANCHOR_BARS

__all__ = ["NEVER", "advance_rows", "follow_rows"]

NEVER = -(2**63)
NO_SYMBOL, NOT_LATER, TWICE = range(3)
TAKEN = 2


@inlined_bare
def run_groups(groups, starts, first, stop):
    """Advance the rows of symbols ``first`` to ``stop`` in every group, what is read before what reads it."""
    none = np.uintp(0)
    for g in range(groups.shape[0]):
        low, high = starts[g, first], starts[g, stop]
        if low < high:
            call_step(groups[g, 0], low, high, groups[g, 1], groups[g, 2], groups[g, 4], groups[g, 3], none, none)


@inlined_bare
def take_bars(cells, last, fresh, first, stop, numbers, bars, row):
    """Write rows of bars where the nodes of symbols ``first`` to ``stop`` read them, and if sums start afresh."""
    for k in range(np.uintp(stop - first)):
        number, before = numbers[np.uintp(row) + k], last[np.uintp(first) + k]
        fresh[np.uintp(first) + k] = (before != NEVER) & (number // ANCHOR_BARS != before // ANCHOR_BARS)
        last[np.uintp(first) + k] = number
    bars = bars.reshape(-1)
    for k in range(np.uintp(5 * (stop - first))):
        cells[np.uintp(5 * first) + k] = bars[np.uintp(5 * row) + k]


@inlined_bare
def read_roles(links, link_starts, cells, roles, first, stop):
    for j in range(np.uintp(link_starts[first]), np.uintp(link_starts[stop])):
        roles[np.uintp(links[j, 1])] = cells[np.uintp(links[j, 0])]


@inlined_bare
def ascending(last, symbols, numbers):
    """Return whether the symbols ascend and all bars can be taken: the usual case, and quickly told."""
    count = symbols.size
    if count == 0 or symbols[0] < 0 or symbols[count - 1] >= last.size:
        return False
    fine = True
    for k in range(1, count):
        fine &= symbols[k] > symbols[k - 1]
    if fine:
        for k in range(count):
            fine &= numbers[k] > last[np.uintp(symbols[k])]
    return fine


@inlined_bare
def first_wrong(last, fresh, symbols, numbers):
    """Return 3 k + the reason for the first bar k that cannot be taken, -1 if there is none."""
    wrong = -1
    done = 0
    for k in range(symbols.size):
        s = np.uintp(symbols[k])  # a negative number is beyond all
        if s >= np.uintp(last.size):
            wrong = 3 * k + NO_SYMBOL
        elif fresh[s] == TAKEN:
            wrong = 3 * k + TWICE
        elif numbers[k] <= last[s]:
            wrong = 3 * k + NOT_LATER
        if wrong >= 0:
            break
        fresh[s] = TAKEN
        done = k + 1
    if wrong >= 0:
        for k in range(done):
            fresh[symbols[k]] = 0
    return wrong


@compiled_bare
def advance_rows(groups, starts, cells, last, fresh, links, link_starts, roles, symbols, numbers, bars, runs):
    """Advance some symbols by a bar each; return -1, or what `first_wrong` says, and then nothing has changed.

    Symbols that follow each other are one run of rows in every group.
    """
    if not ascending(last, symbols, numbers):
        wrong = first_wrong(last, fresh, symbols, numbers)
        if wrong >= 0:
            return wrong
    count, k = 0, 0
    while k < symbols.size:
        first, row = symbols[k], k
        stop = first
        while k < symbols.size and symbols[np.uintp(k)] == stop:
            stop += 1
            k += 1
        take_bars(cells, last, fresh, first, stop, numbers, bars, row)
        runs[count, 0], runs[count, 1] = first, stop
        count += 1
    none = np.uintp(0)
    for g in range(groups.shape[0]):
        for r in range(count):
            low, high = starts[g, runs[r, 0]], starts[g, runs[r, 1]]
            if low < high:
                call_step(groups[g, 0], low, high, groups[g, 1], groups[g, 2], groups[g, 4], groups[g, 3], none, none)
    for r in range(count):
        read_roles(links, link_starts, cells, roles, runs[r, 0], runs[r, 1])
    return -1


@compiled_bare
def follow_rows(groups, starts, cells, last, fresh, links, link_starts, roles, symbol, numbers, bars):
    """Advance one symbol by many bars."""
    for t in range(numbers.size):
        take_bars(cells, last, fresh, symbol, symbol + 1, numbers, bars, t)
        run_groups(groups, starts, symbol, symbol + 1)
    read_roles(links, link_starts, cells, roles, symbol, symbol + 1)

"""The compiled calls of many programs: one bar of some symbols, or the history of one."""

from __future__ import annotations

import numpy as np

from engine.graph.machine import call_step
from engine.jit import compiled, inlined
from engine.kernels.column import ANCHOR_BARS

__all__ = ["NEVER", "advance_rows", "follow_rows"]

NEVER = -(2**63)
NO_SYMBOL, NOT_LATER, TWICE = range(3)
TAKEN = 2


@inlined
def run_groups(groups, starts, first, stop):
    """Advance the rows of symbols ``first`` to ``stop`` in every group, what is read before what reads it."""
    none = np.uintp(0)
    for g in range(groups.shape[0]):
        low, high = starts[g, first], starts[g, stop]
        if low < high:
            call_step(groups[g, 0], low, high, groups[g, 1], groups[g, 2], none, groups[g, 3], none, none)


@inlined
def take_bar(cells, last, fresh, symbol, number, bar):
    """Write a bar where the symbol's nodes read it, and whether rolling sums start afresh."""
    for k in range(5):
        cells[5 * symbol + k] = bar[k]
    before = last[symbol]
    fresh[symbol] = before != NEVER and number // ANCHOR_BARS != before // ANCHOR_BARS
    last[symbol] = number


@inlined
def read_roles(links, link_starts, cells, roles, first, stop):
    for j in range(link_starts[first], link_starts[stop]):
        roles[links[j, 1]] = cells[links[j, 0]]


@inlined
def first_wrong(last, fresh, symbols, numbers):
    """Return 3 k + the reason for the first bar k that cannot be taken, -1 if there is none."""
    wrong = -1
    done = 0
    for k in range(symbols.size):
        s = symbols[k]
        if s < 0 or s >= last.size:
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


@compiled
def advance_rows(groups, starts, cells, last, fresh, links, link_starts, roles, symbols, numbers, bars, runs):
    """Advance some symbols by a bar each; return -1, or what `first_wrong` says, and then nothing has changed.

    Symbols that follow each other are one run of rows in every group.
    """
    wrong = first_wrong(last, fresh, symbols, numbers)
    if wrong >= 0:
        return wrong
    count = 0
    for k in range(symbols.size):
        s = symbols[k]
        take_bar(cells, last, fresh, s, numbers[k], bars[k])
        if count > 0 and runs[count - 1, 1] == s:
            runs[count - 1, 1] = s + 1
        else:
            runs[count, 0], runs[count, 1] = s, s + 1
            count += 1
    none = np.uintp(0)
    for g in range(groups.shape[0]):
        for r in range(count):
            low, high = starts[g, runs[r, 0]], starts[g, runs[r, 1]]
            if low < high:
                call_step(groups[g, 0], low, high, groups[g, 1], groups[g, 2], none, groups[g, 3], none, none)
    for r in range(count):
        read_roles(links, link_starts, cells, roles, runs[r, 0], runs[r, 1])
    return wrong


@compiled
def follow_rows(groups, starts, cells, last, fresh, links, link_starts, roles, symbol, numbers, bars):
    """Advance one symbol by many bars."""
    for t in range(numbers.size):
        take_bar(cells, last, fresh, symbol, numbers[t], bars[t])
        run_groups(groups, starts, symbol, symbol + 1)
    read_roles(links, link_starts, cells, roles, symbol, symbol + 1)

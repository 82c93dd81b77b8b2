"""Finding the trades of some combinations side by side: while one waits for memory the others go on."""

from __future__ import annotations

import numpy as np

from engine.jit import compiled_bare, inlined_bare
from engine.kernels.memory import prefetch
from engine.research.accounts import SEGMENT
from engine.research.scan import Bitmap, next_set
from engine.research.trades import LINE, STAMP, key_of, place_of, recall

RUNNING = 32  # bytes of a row of ``Market.running``


@inlined_bare
def next_entry(accounts, k, t, bars, slots):
    """Return the bar of the first entry a combination decides from bar ``t`` on, ``bars`` if there is none."""
    decided = next_set(Bitmap(accounts.words[k], accounts.summaries[k]), t)
    if decided + 1 >= bars:
        return np.int64(bars)
    prefetch(np.uintp(slots.ctypes.data + 8 * (decided + 1)))
    return decided + 1


@inlined_bare
def last_bar(leave, entry, longest):
    """Return the last bar at whose close a trade is held by its signals; ``longest``: its max_hold, 0 if none."""
    last = next_set(leave, entry)
    return min(last, entry + longest - 1) if longest > 0 else last


@compiled_bare
def walk_on(accounts, count, leave, longest, bars, slots):
    """Find up to ``SEGMENT`` more trades of each combination where signals alone end them; return whether any was."""
    found = False
    for _ in range(SEGMENT):
        waiting = False
        for k in range(count):
            account = accounts.each[k]
            entry = account.next
            if entry < bars:
                waiting = True
                left = min(last_bar(leave, entry, longest) + 1, np.int64(bars))
                accounts.entries[k, account.found], accounts.lefts[k, account.found] = entry, left
                account.found += 1
                account.next = next_entry(accounts, k, left, bars, slots)
        if not waiting:
            break
        found = True
    return found


@inlined_bare
def ask_for(memory, row):
    """Ask for the memory of a row."""
    prefetch(np.uintp(memory.figures.ctypes.data + LINE * row))


@compiled_bare
def look_up(accounts, k, i, market, terms, costs, memory):
    """Find the rows of the trades of account ``k`` that ``walk_on`` found, which is combination ``i``.

    What the slots do not tell is asked for in three goes, each of which asks for the memory of the next.
    """
    n, digits, stamp, slots = market.close.size, memory.digits, memory.state[STAMP], memory.slots
    entries, lefts, rows, missing = accounts.entries[k], accounts.lefts[k], accounts.rows[k], np.int64(0)
    for at in range(accounts.each[k].found):
        entry, left = entries[at], lefts[at]
        slot = np.int64(slots[entry, 0])
        if slot >> digits == stamp and np.int64(slots[entry, 1]) == 2 * left:
            rows[at] = slot & ((1 << digits) - 1)
            ask_for(memory, rows[at])
        else:
            rows[at] = place_of(key_of(entry, left, np.int64(0), n, memory), memory)
            accounts.missing[missing] = at
            missing += 1
            prefetch(np.uintp(memory.places.ctypes.data + 4 * rows[at]))
            prefetch(np.uintp(market.running.ctypes.data + RUNNING * entry))
            prefetch(np.uintp(market.running.ctypes.data + RUNNING * (left - 1)))
    for m in range(missing):
        row = memory.places[rows[accounts.missing[m]]]
        prefetch(np.uintp(memory.facts.ctypes.data + LINE * max(row, 0)))
    for m in range(missing):
        at = accounts.missing[m]
        rows[at] = recall(market, terms, i, entries[at], lefts[at] - 1, costs, memory)
        ask_for(memory, rows[at])


@compiled_bare
def search_on(accounts, count, first, leave, market, order, terms, costs, memory):
    """Find up to ``SEGMENT`` more trades of each combination and their rows; return whether any was."""
    bars, found = market.close.size, False
    for _ in range(SEGMENT):
        waiting = False
        for k in range(count):
            account = accounts.each[k]
            entry = account.next
            if entry < bars:
                waiting = True
                i = order[first + k]
                row = recall(market, terms, i, entry, last_bar(leave, entry, terms.rules[i, 1]), costs, memory)
                if row < 0:
                    account.next = next_entry(accounts, k, entry, bars, memory.slots)
                    continue
                ask_for(memory, row)
                left = np.int64(memory.slots[entry, 1]) >> 1
                account.next = next_entry(accounts, k, left, bars, memory.slots)
                accounts.entries[k, account.found], accounts.lefts[k, account.found] = entry, left
                accounts.rows[k, account.found] = row
                account.found += 1
        if not waiting:
            break
        found = True
    return found

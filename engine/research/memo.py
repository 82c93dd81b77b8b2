"""Sweeping with a memory: what a trade does to an account of 1 is computed once and recalled across combinations.

Exact wherever a trade scales with the equity it begins with and nothing else of the past: sizes that are a fraction
of equity, no quantity steps, no minimum notional, no reversals, costs above 0 (without costs equal equities tie, and
ties would hang on rounding).  Elsewhere the sweep runs ``engine.research.events``.
"""

from __future__ import annotations

import numpy as np

from engine.jit import compiled_bare
from engine.research.accounts import SEGMENT, SIDE_BY_SIDE, add_trades, close_account, open_account
from engine.research.lookup import look_up, next_entry, search_on, walk_on
from engine.research.private import fill_private
from engine.research.scan import Bitmap, fill_but, summarise
from engine.research.trades import CONFIG, make_room, renew


@compiled_bare
def run_remembered(market, asked, configs, groups, costs, bounds, accounts, scratch, memory, start, stop, answers):
    """Run long-only combinations ``start`` to ``stop`` of ``asked.order`` with a memory.

    Parameters
    ----------
    configs : ndarray of int64, shape (m,)
        For each combination the number of its distances, rules and size.
    groups : ndarray of int64, shape (m,)
        For each combination the number of its exit stream and config; equal numbers should be neighbours in the order.
    """
    n, state = market.close.size, memory.state
    shared, roots, terms = len(asked.bitmaps), asked.recipe.roots, asked.terms
    group, at = np.int64(-1), start
    while at < stop:
        first, count, i = at, 0, asked.order[at]
        fill_private(i, asked, scratch)
        b = asked.streams[i, 1]
        long_exit = asked.bitmaps[b] if b < shared else scratch.words[roots[1]]
        leave = Bitmap(long_exit, accounts.summaries[SIDE_BY_SIDE])
        if groups[i] != group:
            group = groups[i]
            if configs[i] != state[CONFIG]:
                state[CONFIG] = configs[i]
                renew(memory)
            summarise(leave)
        while count < SIDE_BY_SIDE and at < stop and groups[asked.order[at]] == group:
            j = asked.order[at]
            fill_private(j, asked, scratch)  # the exit stays: the group shares it
            a = asked.streams[j, 0]
            long_entry = asked.bitmaps[a] if a < shared else scratch.words[roots[0]]
            fill_but(long_entry, long_exit, Bitmap(accounts.words[count], accounts.summaries[count]))
            open_account(accounts.each[count], costs.initial_cash)
            accounts.each[count].next = next_entry(accounts, count, np.int64(0), n, memory.slots)
            count, at = count + 1, at + 1
        rests = terms.distances[i, 0] >= 0 or terms.distances[i, 1] >= 0
        found = True
        while found:
            make_room(memory, count * SEGMENT)
            if rests:
                found = search_on(accounts, count, first, leave, market, asked.order, terms, costs, memory)
            else:
                found = walk_on(accounts, count, leave, terms.rules[i, 1], n, memory.slots)
            for k in range(count):
                j = asked.order[first + k]
                if not rests:
                    look_up(accounts, k, j, market, terms, costs, memory)
                add_trades(
                    accounts.each[k], accounts.entries[k], accounts.lefts[k], accounts.rows[k], market, memory,
                    bounds, answers.sums[j],
                )  # fmt: skip
        for k in range(count):
            j = asked.order[first + k]
            answers.lists[j] = close_account(accounts.each[k], n, answers.sums[j], answers.tally[j])

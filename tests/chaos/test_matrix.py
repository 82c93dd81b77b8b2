"""A sample of the matrix, what it says of itself, and that it fails once a safeguard is taken away."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from engine.live.events import CallFailed
from engine.live.subaccount import SubAccount
from tests.chaos.case import POINTS, Case
from tests.chaos.matrix import KINDS, Outcome, faulty, ran, summary
from tests.chaos.page import page
from tests.chaos.shrink import events_of, simplest
from tests.data import ROOT

pytest.importorskip("ccxt")
SAMPLE = [case for k, case in enumerate(faulty(range(1))) if k % 5 == (k // len(POINTS)) % 5]
KEPT = ROOT / "benchmarks" / "results" / "chaos.json"


@pytest.mark.parametrize("part", range(4))
def test_a_sample_of_faults_at_all_moments_breaks_nothing(part: int) -> None:
    found = [ran(case) for case in SAMPLE[part::4]]
    assert [(one.case.name, one.broken) for one in found if one.broken] == []
    assert sum(1 for one in found if one.met) > 0.8 * len(found)
    assert sum(one.fills for one in found) > 10 * len(found)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_that_is_killed_at_any_write_goes_on(seed: int) -> None:
    writes = ran(Case.drawn(seed)).writes
    assert writes > 100
    for n in range(3 + seed, writes, 29):
        for when in ("before", "after"):
            found = ran(Case.drawn(seed, kill=f"write {n} {when}", power=n % 2 == 0))
            assert found.met
            assert found.broken == [], found.case.name


@pytest.mark.parametrize("point", POINTS[:-1])
def test_a_run_that_is_killed_at_any_moment_of_an_orders_way_goes_on(point: str) -> None:
    for seed in (3, 4):
        found = ran(Case.drawn(seed, kill=point, bar=3, fill_share=0.02))
        assert found.met
        assert found.broken == [], found.case.name


@pytest.mark.parametrize("kind", ["timeout_after_acceptance", "stream_dropped", "partial_fill_then_cancel"])
def test_the_same_seed_gives_the_same_journal(kind: str) -> None:
    case = Case.drawn(7, kind=kind, point="before_send", kill="write 150 after", bar=3)
    first, second = ran(case), ran(case)
    assert first == second
    assert len(first.chain) == 32


# --- without a safeguard


def first_of(cases: Iterable[Case], words: str) -> Outcome | None:
    """Return the first scenario that breaks what is said in these words."""
    return next((one for one in map(ran, cases) if any(words in text for text in one.broken)), None)


def test_orders_that_leave_before_they_are_written_show() -> None:
    cases = (Case.drawn(seed, kill=f"write {n} before", off=("written",)) for seed in (0, 1) for n in range(40, 160))
    assert first_of(cases, "was sent before it was written")


def test_orders_that_are_sent_again_where_nobody_knows_show(monkeypatch: pytest.MonkeyPatch) -> None:
    told = SubAccount._not_placed

    def again(self: SubAccount, ticket: Any, event: CallFailed) -> list[Any]:
        if event.meaning != "unknown":
            return told(self, ticket, event)
        ticket.becomes("rejected")  # as if an unknown outcome were a failure
        del self.tickets[ticket.request.client_id]
        if ticket.into is not None:
            return [self._entry_order(ticket.into, ticket.request.quantity, event.time_ns)]
        return self._exit_over(ticket, event.time_ns) if ticket.leg == "exit" else self._protect(event.time_ns)

    monkeypatch.setattr(SubAccount, "_not_placed", again)
    kinds = ("timeout_after_acceptance", "unknown_outcome", "reset_after", "gateway_timeout")
    assert first_of(faulty(range(4), kinds, ("before_send", "after_ack")), "for one decision")


def test_entries_without_a_review_show() -> None:
    assert first_of((Case.drawn(seed, off=("review",)) for seed in range(6)), "positions of")


def test_an_entry_while_an_order_is_unknown_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SubAccount, "unknown", "")
    kinds = ("no_answer", "reset_before", "timeout_before_acceptance", "unknown_outcome")
    assert first_of(faulty(range(6), kinds, ("before_send", "mid_fill")), "while it was unknown")


def test_a_broken_scenario_is_made_simpler_and_told() -> None:
    case = simplest(Case.drawn(1, off=("review",), power=True, down_s=90.0))
    assert not case.power
    told = events_of(case)
    assert "positions of" in told[-1]
    assert any("PlaceOrder" in line for line in told)


# --- what is published


def test_the_page_says_what_the_results_say() -> None:
    found = json.loads(KEPT.read_text())
    assert (ROOT / "docs" / "chaos.md").read_text() == page(found), "run make chaos"
    assert found["violated"] == 0
    assert found["broken"] == []
    assert found["scenarios"] >= 10_000
    assert found["kinds"] == len(KINDS) >= 40


def test_a_summary_counts_what_came_out(tmp_path: Path) -> None:
    case = Case.drawn(5, kind="fill_repeated", point="before_send")
    made = [
        Outcome(case, met, halted, broken, b"", 1, 2, 3)
        for met, halted, broken in ((1, [], []), (1, ["x"], []), (0, [], []), (1, [], ["y"]))
    ]
    found = summary(made)
    assert [found[name] for name in ("recovered", "halted", "idle", "violated")] == [1, 1, 1, 1]
    assert (found["scenarios"], found["kinds"]) == (4, 1)
    assert found["broken"] == [{"case": case.name, "broken": ["y"]}]
    assert Case.parse(case.name) == case

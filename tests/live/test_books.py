"""Funding is booked once and to those that hold; money that is missing ends entering; one side a contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from engine.execution.orders import Payment
from engine.graph.together import Together
from engine.live.actions import Said
from engine.live.events import BalanceSeen
from engine.live.funding import FundingBook
from engine.live.loop import Loop
from engine.live.money import Money
from engine.live.setup import Placement, Setup
from engine.live.subaccount import Terms
from parquet_store.errors import Usage
from pipelines.candles import Candle
from tests.chaos.case import Case, costs_of, programs
from tests.chaos.matrix import ran

PERP = "A/USDT:USDT"
HOUR = 3_600_000_000_000


@dataclass
class Held:
    """What the books look at of a sub-account."""

    name: str
    quantity: float
    cash: float = 1000.0
    symbol: str = PERP
    unknown: str = ""
    doubted: bool = False
    changed_ns: int = 1
    tickets: dict[str, Any] = field(default_factory=dict)
    paid: float = 0.0

    def __post_init__(self) -> None:
        self.ledger = SimpleNamespace(changed_ns=self.changed_ns, fund=self._fund)
        self.terms = SimpleNamespace(spot=False)

    def _fund(self, amount: float) -> None:
        self.paid += amount

    @property
    def account(self) -> list[dict[str, float]]:
        """Its row, entered at 100."""
        return [{"cash": self.cash, "quantity": self.quantity, "entry_price": 100.0, "equity": self.cash + 100.0}]


def paid(book: FundingBook, amount: float, at: int = 10 * HOUR, name: str = "1") -> None:
    book.take([Payment(name, PERP, amount, at)])


def book_of(*accounts: Held, others: float = 0.0) -> FundingBook:
    made = FundingBook({PERP: accounts}, {PERP: others})  # type: ignore[dict-item]
    made.begins(5 * HOUR)
    return made


def test_a_payment_is_booked_once_by_what_each_holds() -> None:
    one, two = Held("a", 3.0), Held("b", 1.0)
    book = book_of(one, two)
    for _ in range(3):
        paid(book, -8.0)
    assert (one.paid, two.paid) == (-6.0, -2.0)
    paid(book, 4.0, 18 * HOUR)
    assert (one.paid, two.paid) == (-3.0, -1.0)


def test_a_person_bears_the_part_of_what_is_held_besides() -> None:
    one = Held("a", 3.0)
    paid(book_of(one, others=9.0), -8.0)
    assert one.paid == -2.0


def test_what_is_held_no_more_is_the_last_ones_and_what_never_was_is_nobodys() -> None:
    one, two = Held("a", 0.0, changed_ns=7), Held("b", 0.0, changed_ns=9)
    paid(book_of(one, two), -8.0)
    assert (one.paid, two.paid) == (0.0, -8.0)
    new = Held("a", 0.0, changed_ns=0)
    paid(book_of(new), -8.0)
    assert new.paid == 0.0


def test_payments_of_before_are_not_booked_and_those_in_doubt_wait() -> None:
    one = Held("a", 3.0)
    book = book_of(one)
    paid(book, -8.0, 4 * HOUR)
    assert one.paid == 0.0
    one.unknown = "l1"
    paid(book, -8.0)
    assert one.paid == 0.0
    one.unknown = ""
    paid(book, -8.0)
    assert one.paid == -8.0


def seen(money: Money, total: float) -> list[Said]:
    return money.take(BalanceSeen("USDT", total, 100, 100))  # type: ignore[return-value]


def test_money_that_is_missing_twice_ends_entering_until_it_is_there() -> None:
    money = Money([Held("a", 0.0), Held("b", 0.0)])  # type: ignore[list-item]
    assert seen(money, 1981.0) == []
    assert money.why(PERP) == ""
    assert "looked at again" in seen(money, 1979.0)[0].text
    assert money.why(PERP)
    assert "look at the venue" in seen(money, 1979.0)[0].text
    assert "counts on 2,000.00" in money.why(PERP)
    assert seen(money, 1979.0) == []
    assert "trades on" in seen(money, 5000.0)[0].text
    assert money.why(PERP) == ""


def test_a_contracts_wallet_or_what_it_is_worth_is_enough() -> None:
    money = Money([Held("a", 5.0, cash=500.0)])  # type: ignore[list-item]  # wallet 1,000, worth 600
    assert seen(money, 600.0) == []
    assert seen(money, 590.0)


def test_while_something_is_under_way_nothing_is_concluded() -> None:
    busy = Held("a", 0.0, tickets={"l1": SimpleNamespace(doubted=False, untold=False, leg="entry")})
    assert seen(Money([busy]), 0.0) == []  # type: ignore[list-item]


def test_programs_of_both_sides_on_one_contract_are_refused() -> None:
    program, costs = programs(spot=False)[0], costs_of(spot=False)
    placements = tuple(Placement(name, name * 64, PERP, "1m", program, costs, 0.5) for name in "ab")
    state = Together([(one.series, one.program) for one in placements]).checkpoint()
    lasts = {placements[0].series: Candle(0, 1.0, 1.0, 1.0, 1.0, 1.0)}
    with pytest.raises(Usage, match="one position for both"):
        Loop(Setup(placements, state, lasts, terms=Terms(spot=False)))
    Loop(Setup(placements, state, lasts, terms=Terms(spot=False, paper=True)))
    Loop(Setup(placements[:1], state_of(placements[:1]), lasts, terms=Terms(spot=False)))


def state_of(placements: tuple[Placement, ...]) -> bytes:
    return Together([(one.series, one.program) for one in placements]).checkpoint()


def test_an_entry_that_would_pay_too_much_is_not_sent_and_what_others_paid_is_noted() -> None:
    free = ran(Case.drawn(11, slippage=0.005, limit=False, spot=False))
    assert (free.broken, free.halted) == ([], [])
    assert free.entries > 3
    dear = ran(Case.drawn(11, slippage=1e-9, limit=False, spot=False))
    assert (dear.broken, dear.entries) == ([], 0)

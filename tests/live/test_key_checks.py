"""What is looked at before a key trades."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from engine.execution.rights import KeyRights, rights_of
from engine.live.key_checks import KEYS, age_of, check_rights, reminder
from parquet_store.errors import Halt


class Client:
    """A venue that tells the rights of a key in its own words."""

    def __init__(self, name: str, told: dict[str, Any]) -> None:
        self.id, self.told = name, told

    async def _tell(self) -> dict[str, Any]:
        return self.told

    sapiGetAccountApiRestrictions = privateGetAccountConfig = v3PrivateGetBrokerageKeyPermissions = _tell


@pytest.mark.parametrize(
    ("name", "told", "rights"),
    [
        ("binance", {"enableWithdrawals": False, "ipRestrict": True}, KeyRights(withdraws=False, bound=True)),
        ("binanceusdm", {"enableWithdrawals": True, "ipRestrict": False}, KeyRights(withdraws=True, bound=False)),
        ("okx", {"data": [{"perm": "read_only,trade", "ip": "1.2.3.4"}]}, KeyRights(withdraws=False, bound=True)),
        ("okx", {"data": [{"perm": "read_only,withdraw", "ip": ""}]}, KeyRights(withdraws=True, bound=False)),
        ("coinbase", {"can_trade": True, "can_transfer": True}, KeyRights(withdraws=True)),
        ("robinhood", {}, KeyRights()),
    ],
)
def test_each_venue_tells_the_rights_in_its_words(name: str, told: dict[str, Any], rights: KeyRights) -> None:
    async def ask(call: Any) -> Any:
        return await call

    assert asyncio.run(rights_of(Client(name, told), ask)) == rights


def test_a_key_that_may_withdraw_trades_no_real_money() -> None:
    with pytest.raises(Halt, match="may withdraw or transfer"):
        check_rights(KeyRights(withdraws=True, bound=True), "okx", real=True)
    assert "may withdraw" in check_rights(KeyRights(withdraws=True, bound=True), "okx", real=False)[0]
    assert check_rights(KeyRights(withdraws=False, bound=True), "okx", real=True) == []
    told = check_rights(KeyRights(bound=False), "okx", real=True)
    assert "not known" in told[0]
    assert "any address" in told[1]


def test_a_key_is_reminded_of_after_a_month_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    first = date(2026, 1, 1)
    assert age_of(tmp_path, "the key", first) == 0
    assert age_of(tmp_path, "the key", date(2026, 1, 30)) == 29
    assert reminder(29) == ""
    assert age_of(tmp_path, "another", date(2026, 1, 30)) == 0
    assert "30 days" in reminder(age_of(tmp_path, "the key", date(2026, 1, 31)))
    assert "the key" not in (tmp_path / KEYS).read_text()


@pytest.mark.parametrize("damaged", ["", "[1]", '{"a": 1}', "null"])
def test_a_damaged_list_of_keys_is_made_anew(damaged: str, tmp_path: Path) -> None:
    (tmp_path / KEYS).write_text(damaged)
    assert age_of(tmp_path, "the key", date(2026, 1, 1)) == 0
    assert age_of(tmp_path, "the key", date(2026, 1, 3)) == 2

"""What an API key may do besides trading, as far as its venue tells."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["KeyRights", "rights_of"]


@dataclass(frozen=True)
class KeyRights:
    """The rights of a key; None where the venue does not say.

    Attributes
    ----------
    withdraws : bool, optional
        Whether it may move money out of the account.
    bound : bool, optional
        Whether it works from allowed addresses alone.
    """

    withdraws: bool | None = None
    bound: bool | None = None


async def rights_of(client: Any, ask: Callable[[Awaitable[Any]], Awaitable[Any]]) -> KeyRights:
    """Ask a venue for the rights of the key in use.

    Binance tells them under ``account/apiRestrictions``, OKX under ``account/config``, Coinbase under
    ``key_permissions`` (which say nothing of addresses).

    Parameters
    ----------
    client : ccxt exchange
    ask : callable
        Awaits a call, and turns its failure into what it means.
    """
    if client.id in ("binance", "binanceusdm"):
        found = await ask(client.sapiGetAccountApiRestrictions())
        out = any(bool(found.get(name)) for name in ("enableWithdrawals", "enableInternalTransfer"))
        return KeyRights(out, bool(found.get("ipRestrict")))
    if client.id == "okx":
        found = await ask(client.privateGetAccountConfig())
        row = (found.get("data") or [{}])[0]
        return KeyRights("withdraw" in str(row.get("perm", "")), bool(row.get("ip")))
    if client.id == "coinbase":
        found = await ask(client.v3PrivateGetBrokerageKeyPermissions())
        return KeyRights(bool(found.get("can_transfer")))
    return KeyRights()

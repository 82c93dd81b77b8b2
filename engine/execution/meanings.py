"""What each class of CCXT's errors means while reading, placing and cancelling, when nothing more is known."""

from __future__ import annotations

from typing import Final, Literal

__all__ = ["COLUMN", "MEANINGS", "Call", "Meaning"]

Call = Literal["read", "place", "amend", "cancel"]
Meaning = Literal["retry", "refuse", "halt", "unknown"]
COLUMN: Final[dict[Call, int]] = {"read": 0, "place": 1, "amend": 2, "cancel": 2}

# of every class of CCXT: while reading, placing, cancelling or amending
_DOWN: Final = ("retry", "unknown", "unknown")
_NO: Final = ("refuse", "refuse", "unknown")
_UNSENT: Final = ("refuse", "refuse", "refuse")
_STOP: Final = ("halt", "halt", "halt")
MEANINGS: Final[dict[str, tuple[Meaning, Meaning, Meaning]]] = {
    "BaseError": ("halt", "unknown", "unknown"),
    "ExchangeError": _NO,
    "AuthenticationError": _STOP,
    "PermissionDenied": _STOP,
    "AccountNotEnabled": _STOP,
    "AccountSuspended": _STOP,
    "ArgumentsRequired": _UNSENT,
    "BadRequest": _NO,
    "BadSymbol": _NO,
    "OperationRejected": _NO,
    "NoChange": _NO,
    "MarginModeAlreadySet": _NO,
    "MarketClosed": _NO,
    "ManualInteractionNeeded": _STOP,
    "RestrictedLocation": _STOP,
    "InsufficientFunds": _NO,
    "InvalidAddress": _NO,
    "AddressPending": _NO,
    "InvalidOrder": _NO,
    "OrderNotFound": _NO,
    "OrderNotCached": _NO,
    "OrderImmediatelyFillable": _NO,
    "OrderNotFillable": _NO,
    "DuplicateOrderId": ("refuse", "unknown", "unknown"),
    "ContractUnavailable": _NO,
    "NotSupported": _UNSENT,
    "InvalidProxySettings": _STOP,
    "ExchangeClosedByUser": _DOWN,
    "OperationFailed": _DOWN,
    "NetworkError": _DOWN,
    "DDoSProtection": _DOWN,
    "RateLimitExceeded": _DOWN,
    "ExchangeNotAvailable": _DOWN,
    "OnMaintenance": _DOWN,
    "InvalidNonce": _DOWN,
    "ChecksumError": _DOWN,
    "RequestTimeout": _DOWN,
    "BadResponse": _DOWN,
    "NullResponse": _DOWN,
    "CancelPending": _DOWN,
    "UnsubscribeError": _DOWN,
}

"""What a failed call means, for every class of CCXT's errors and for messages made by CCXT itself."""

from __future__ import annotations

import asyncio
import json
import math
import socket
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import ccxt.async_support as ccxt
import pytest
from aiohttp.client_reqrep import ConnectionKey
from ccxt.base import errors as tree

from engine.execution.codes import code_of, status_of
from engine.execution.meanings import MEANINGS, Call, Meaning
from engine.execution.outcome import AskAgain, Outcome, Refused, Stopped, Unknown, outcome_of
from parquet_store.errors import Halt, Refuse, Retry

CALLS: tuple[Call, ...] = ("read", "place", "cancel")
KEY, SECRET, SIGNATURE = "kEy0123456789abcdef", "s3cr3t-0123456789", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"


# of a message without a code: reading, placing, cancelling, written out once more
EXPECTED = {
    "halt halt halt": "AuthenticationError PermissionDenied AccountNotEnabled AccountSuspended ManualInteractionNeeded "
    "RestrictedLocation InvalidProxySettings",
    "halt unknown unknown": "BaseError",
    "refuse unknown unknown": "ExchangeError DuplicateOrderId",
    "refuse refuse refuse": "ArgumentsRequired NotSupported",
    "refuse refuse unknown": "BadRequest BadSymbol OperationRejected NoChange MarginModeAlreadySet MarketClosed "
    "InsufficientFunds InvalidAddress AddressPending InvalidOrder OrderNotFound OrderNotCached "
    "OrderImmediatelyFillable OrderNotFillable ContractUnavailable",
    "retry unknown unknown": "OperationFailed NetworkError DDoSProtection RateLimitExceeded ExchangeNotAvailable "
    "OnMaintenance InvalidNonce ChecksumError RequestTimeout BadResponse NullResponse CancelPending UnsubscribeError "
    "ExchangeClosedByUser",
}


def classes(branch: dict[str, Any]) -> Iterator[str]:
    for name, below in branch.items():
        yield name
        yield from classes(below)


def meaning(error: Exception, call: Call, venue: str = "binance") -> Meaning:
    return outcome_of(error, call, venue).meaning


def said(
    venue: str, status: int, body: object, url: str = "https://api.test/x", authenticated: bool = False
) -> Exception:
    """Return the error that CCXT makes of an answer, by its own handlers in their own order; no network."""
    exchange = getattr(ccxt, venue)({"enableRateLimit": False})
    exchange.options["hasAlreadyAuthenticatedSuccessfully"] = authenticated
    text = body if isinstance(body, str) else json.dumps(body)
    parsed = None if isinstance(body, str) else body
    try:
        exchange.handle_errors(status, "Reason", url, "POST", {}, text, parsed, {}, None)
        exchange.handle_http_status_code(status, "Reason", url, "POST", text)
    except tree.BaseError as error:
        return error
    raise AssertionError(f"{venue} took {text} for an answer")


def chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def test_every_class_of_ccxt_has_a_meaning_decided_here() -> None:
    assert set(classes(tree.error_hierarchy)) == set(MEANINGS)


def test_every_class_ccxt_can_raise_is_in_its_tree() -> None:
    raised = {name for name in dir(tree) if isinstance(getattr(tree, name), type)}
    assert raised == set(MEANINGS)


@pytest.mark.parametrize("expected", EXPECTED)
def test_every_leaf_means_what_was_decided(expected: str) -> None:
    for name in EXPECTED[expected].split():
        error = getattr(tree, name)("kraken")
        assert " ".join(meaning(error, call, "kraken") for call in CALLS) == expected, name


def test_the_leaves_decided_are_all_there_are() -> None:
    decided = " ".join(EXPECTED.values()).split()
    assert sorted(decided) == sorted(classes(tree.error_hierarchy))


@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_no_class_of_ccxt_lets_a_lost_order_pass_for_a_refused_one(name: str) -> None:
    kind = getattr(tree, name)
    placing, cancelling = meaning(kind("kraken"), "place", "kraken"), meaning(kind("kraken"), "cancel", "kraken")
    assert placing in ("refuse", "halt", "unknown")  # never simply sent again
    if issubclass(kind, tree.OperationFailed):
        assert (meaning(kind("kraken"), "read", "kraken"), placing, cancelling) == ("retry", "unknown", "unknown")
    if issubclass(kind, tree.AuthenticationError):
        assert {meaning(kind("kraken"), call, "kraken") for call in CALLS} == {"halt"}


def test_a_class_of_a_later_ccxt_means_what_its_nearest_known_parent_means() -> None:
    later = type("LostInSpace", (tree.RequestTimeout,), {"__module__": "ccxt.base.errors"})
    assert [meaning(later("binance"), call) for call in CALLS] == ["retry", "unknown", "unknown"]


@pytest.mark.parametrize(
    ("venue", "status", "body", "code", "expected"),
    [
        ("binance", 200, {"code": -1006, "msg": "Execution status unknown."}, "-1006", "retry unknown unknown"),
        ("binance", 504, {"code": -1007, "msg": "Send status unknown."}, "-1007", "retry unknown unknown"),
        ("binance", 400, {"code": -1015, "msg": "Too many new orders"}, "-1015", "retry retry retry"),
        ("binance", 429, {"code": -1003, "msg": "Too much request weight"}, "-1003", "retry retry retry"),
        ("binance", 418, "<html>banned</html>", "", "retry retry retry"),
        ("binance", 400, {"code": -1021, "msg": "Timestamp outside recvWindow"}, "-1021", "retry retry retry"),
        ("binance", 400, {"code": -1022, "msg": "Signature not valid."}, "-1022", "halt halt halt"),
        ("binance", 401, {"code": -2015, "msg": "Invalid API-key"}, "-2015", "halt halt halt"),
        ("binance", 400, {"code": -2010, "msg": "Filter failure"}, "-2010", "refuse refuse unknown"),
        ("binance", 400, {"code": -2011, "msg": "Unknown order sent."}, "-2011", "refuse refuse unknown"),
        ("binance", 400, [{"code": -2011, "msg": "Unknown order sent."}], "-2011", "refuse refuse unknown"),
        ("binance", 503, "Service Unavailable", "", "retry unknown unknown"),
        ("binance", 502, "<html>bad gateway</html>", "", "retry unknown unknown"),
        ("binance", 504, "<html>timeout</html>", "", "retry unknown unknown"),
        ("binance", 451, "<html>restricted</html>", "", "halt halt halt"),
        ("binanceusdm", 400, {"code": -4116, "msg": "ClientOrderId is duplicated."}, "-4116", "refuse unknown unknown"),
        ("binanceusdm", 503, {"code": -1008, "msg": "overloaded"}, "-1008", "retry retry retry"),
        ("okx", 200, {"code": "1", "data": [{"sCode": "51149", "sMsg": "late"}]}, "51149", "retry unknown unknown"),
        ("okx", 200, {"code": "50004", "data": [], "msg": "timeout"}, "50004", "retry unknown unknown"),
        ("okx", 429, {"code": "50011", "data": [], "msg": "Too Many Requests"}, "50011", "retry retry retry"),
        ("okx", 200, {"code": "1", "data": [{"sCode": "50061", "sMsg": "rate"}]}, "50061", "retry retry retry"),
        ("okx", 200, {"code": "1", "data": [{"sCode": "51016", "sMsg": "dup"}]}, "51016", "refuse unknown unknown"),
        ("okx", 200, {"code": "1", "data": [{"sCode": "51008", "sMsg": "poor"}]}, "51008", "refuse refuse unknown"),
        ("okx", 200, {"code": "1", "data": [{"sCode": "51402", "sMsg": "done"}]}, "51402", "refuse refuse unknown"),
        ("okx", 401, {"code": "50113", "data": [], "msg": "Invalid Sign"}, "50113", "halt halt halt"),
        ("okx", 401, {"code": "50102", "data": [], "msg": "Timestamp expired"}, "50102", "retry retry retry"),
        ("okx", 200, {"code": "50100", "data": [], "msg": "API frozen"}, "50100", "halt halt halt"),
        ("coinbase", 401, "Unauthorized", "", "halt halt halt"),
        ("coinbase", 429, {"errors": [{"id": "resource_exhausted"}]}, "resource_exhausted", "retry retry retry"),
        ("coinbase", 500, {"error": "internal_server_error"}, "internal_server_error", "retry unknown unknown"),
        (
            "coinbase",
            200,
            {"success": False, "error_response": {"error": "INSUFFICIENT_FUND", "message": "poor"}},
            "INSUFFICIENT_FUND",
            "refuse refuse unknown",
        ),
        (
            "coinbase",
            200,
            {"success": False, "error_response": {"error": "UNKNOWN_FAILURE_REASON", "message": ""}},
            "UNKNOWN_FAILURE_REASON",
            "retry unknown unknown",
        ),
        (
            "coinbase",
            200,
            {
                "success": False,
                "error_response": {
                    "error": "UNKNOWN_FAILURE_REASON",
                    "preview_failure_reason": "PREVIEW_INSUFFICIENT_FUND",
                },
            },
            "PREVIEW_INSUFFICIENT_FUND",
            "refuse refuse unknown",
        ),
    ],
)  # fmt: skip
def test_ccxts_own_messages_mean_what_the_venue_says(
    venue: str, status: int, body: object, code: str, expected: str
) -> None:
    error = said(venue, status, body)
    outcomes = [outcome_of(error, call, venue) for call in CALLS]
    assert " ".join(outcome.meaning for outcome in outcomes) == expected
    assert {outcome.code for outcome in outcomes} == {code}


def test_a_key_that_stops_working_halts_although_ccxt_calls_it_a_flood() -> None:
    error = said("binance", 401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions"}, authenticated=True)
    assert isinstance(error, tree.DDoSProtection)
    assert {meaning(error, call) for call in CALLS} == {"halt"}


def test_binances_timeout_is_unknown_in_every_kind_of_account() -> None:
    for place in ("api.binance.com/api", "fapi.binance.com/fapi", "eapi.binance.com/eapi", "papi.binance.com/papi"):
        for code in (-1006, -1007):
            error = said("binance", 400, {"code": code, "msg": "Timeout"}, f"https://{place}/v1/order")
            assert [meaning(error, call) for call in CALLS] == ["retry", "unknown", "unknown"], (place, type(error))


def test_a_flood_proves_nothing_at_a_venue_whose_documents_were_not_read() -> None:
    for error in (tree.DDoSProtection("kraken 429 Too Many"), tree.RateLimitExceeded("kraken POST https://x 429 Too")):
        assert [meaning(error, call, "kraken") for call in CALLS] == ["retry", "unknown", "unknown"]


def test_a_duplicate_sent_to_spot_is_an_order_that_exists() -> None:
    error = said("binance", 400, {"code": -2010, "msg": "Duplicate order sent."})
    assert meaning(error, "place") == "unknown"


def test_a_connection_never_made_is_asked_again_even_while_placing() -> None:
    async def placed() -> Exception:
        with socket.socket() as closed:  # bound and not listening: refused
            closed.bind(("127.0.0.1", 0))
            exchange = ccxt.binance()
            try:
                await exchange.fetch(f"http://127.0.0.1:{closed.getsockname()[1]}/order?signature=1", "POST")
            except tree.BaseError as error:
                return error
            finally:
                await exchange.close()
        raise AssertionError("a closed port answered")

    error = asyncio.run(placed())
    assert type(error) is tree.ExchangeNotAvailable
    cause = error.__cause__
    assert isinstance(cause, aiohttp.ClientConnectorError)
    slow = aiohttp.ConnectionTimeoutError("Connection timeout to host https://x?signature=1")
    for first in (cause, slow, socket.gaierror(-2, "no name")):
        for shown in (first, chained(tree.ExchangeNotAvailable("binance POST https://x"), first)):
            assert [meaning(shown, call) for call in CALLS] == ["retry", "retry", "retry"]


def test_a_connection_cut_after_sending_is_unknown_whatever_ccxt_calls_it() -> None:
    for kind, cause in (
        (tree.ExchangeNotAvailable, aiohttp.ServerDisconnectedError()),
        (tree.RequestTimeout, TimeoutError()),
        (tree.ExchangeError, aiohttp.ClientPayloadError("cut")),
    ):
        error = chained(kind("binance POST https://x"), cause)
        assert [meaning(error, call) for call in CALLS] == ["retry", "unknown", "unknown"]


def test_errors_that_are_not_ccxts_are_told_apart() -> None:
    for error in (
        TimeoutError(),
        aiohttp.ServerTimeoutError(),
        aiohttp.ClientOSError(104, "reset"),
        ConnectionResetError(),
    ):
        assert [meaning(error, call) for call in CALLS] == ["retry", "unknown", "unknown"]
    for fault in (TypeError("None"), KeyError("price"), OSError(28, "no space left"), aiohttp.InvalidURL("x")):
        assert [meaning(fault, call) for call in CALLS] == ["halt", "unknown", "unknown"]
    certificate = aiohttp.ClientConnectorCertificateError(
        ConnectionKey("api.test", 443, True, True, None, None, None), ValueError("another name")
    )
    assert {meaning(certificate, call) for call in CALLS} == {"halt"}


def test_our_own_errors_keep_their_meaning() -> None:
    for error, expected in ((Retry("x"), "retry"), (Refuse("x"), "refuse"), (Halt("x"), "halt")):
        assert {meaning(error, call) for call in CALLS} == {expected}
    first = outcome_of(TimeoutError(), "place", "okx", "BTC/USDT", "abc")
    assert outcome_of(first.failure(), "read", "binance") is first


def test_what_is_raised_says_what_the_caller_does() -> None:
    kinds: dict[Meaning, type[Exception]] = {"retry": Retry, "refuse": Refuse, "halt": Halt, "unknown": Unknown}
    for named, (kind, own) in {
        "retry": (kinds["retry"], AskAgain), "refuse": (kinds["refuse"], Refused),
        "halt": (kinds["halt"], Stopped), "unknown": (kinds["unknown"], Unknown),
    }.items():  # fmt: skip
        failure = Outcome(named, "X", "", "text").failure()  # type: ignore[arg-type]
        assert isinstance(failure, kind)
        assert type(failure) is own
        assert failure.outcome.meaning == named


def test_the_message_names_venue_call_symbol_and_what_is_done() -> None:
    outcome = outcome_of(said("okx", 200, {"code": "1", "data": [{"sCode": "51149", "sMsg": "timed out"}]}), "place",
                         "okx", "BTC/USDT:USDT", "c0ffee")  # fmt: skip
    for part in (
        "okx",
        "placing an order",
        "BTC/USDT:USDT",
        "timed out",
        "51149",
        "client id c0ffee",
        "not sent again",
    ):
        assert part in outcome.message
    assert str(outcome.failure()) == outcome.message


def test_an_order_that_is_gone_is_asked_for_and_seen_as_absent() -> None:
    gone = tree.OrderNotFound("binance")
    assert outcome_of(gone, "cancel", "binance").meaning == "unknown"
    assert outcome_of(gone, "read", "binance").absent
    assert not outcome_of(TimeoutError(), "read", "binance").absent


def test_the_delay_is_the_one_the_venue_names() -> None:
    slow = tree.RateLimitExceeded("binance 429 Too Many")
    now = 1_700_000_000_000_000_000
    assert outcome_of(slow, "read", "binance", headers={"retry-after": "7"}).delay_s == 7.0
    assert math.isnan(outcome_of(slow, "read", "binance").delay_s)
    dated = {"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}
    assert outcome_of(slow, "read", "binance", headers=dated, now_ns=now).delay_s == 30.0
    banned = said("binance", 418, {"code": -1003, "msg": "Way too much; IP banned until 1700000012000. Use"})
    assert outcome_of(banned, "read", "binance", now_ns=now).delay_s == pytest.approx(12.0)
    assert "asked again in 12 s" in outcome_of(banned, "read", "binance", now_ns=now).message


@pytest.mark.parametrize("call", CALLS)
def test_no_message_holds_a_key_a_signature_or_a_signed_address(call: Call) -> None:
    url = f"https://user:{SECRET}@api.binance.com/api/v3/order?symbol=BTCUSDT&timestamp=1&signature={SIGNATURE}"
    listen = "wss://stream.binance.com:9443/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
    for error in (
        said("binance", 504, "<html>" + SECRET + "</html>", url),
        chained(tree.RequestTimeout(f"binance DELETE {url}"), aiohttp.ConnectionTimeoutError(f"timeout to {url}")),
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url}"),
        tree.NetworkError(f"Connection to {listen} closed"),
        tree.ExchangeError(
            f'okx {{"OK-ACCESS-KEY": "{KEY}", "OK-ACCESS-SIGN": "{SIGNATURE}", "passphrase":"{SECRET}"}}'
        ),
        tree.AuthenticationError(f"coinbase Authorization: Bearer {SIGNATURE} apiKey={KEY}&x=1"),
        KeyError(SECRET),
    ):
        outcome = outcome_of(error, call, "binance", "BTC/USDT", secrets=(KEY, SECRET))
        failure = outcome.failure()
        for text in (repr(outcome), str(failure), repr(failure), repr(failure.__cause__)):
            for secret in (KEY, SECRET, SIGNATURE, SIGNATURE[:20], "pqia91ma19a5", "timestamp=1"):
                assert secret not in text, (secret, text)


def test_a_secret_at_the_cut_leaves_no_half_of_itself() -> None:
    for start in range(270, 300):
        outcome = outcome_of(ValueError("x " * (start // 2) + SECRET), "read", "okx", secrets=(SECRET,))
        assert SECRET[:6] not in outcome.message


def test_a_page_full_of_a_secret_shows_none_of_it() -> None:
    for shift in range(0, 60, 7):
        error = ValueError("y" * shift + " " + (SECRET * 12) * 100)
        assert SECRET[:6] not in outcome_of(error, "read", "okx", secrets=(SECRET * 12, SECRET)).message


def test_codes_are_found_where_ccxt_leaves_them() -> None:
    assert code_of('binance {"success":false,"msg":"{\\"code\\":-1007,\\"msg\\":\\"t\\"}"}') == "-1007"
    assert code_of('binance {not json} {"code":-2010}') == "-2010"
    assert code_of('okx {"code":"1","data":[{"sCode":"0"},{"sCode":"51149"}]}') == "51149"
    assert [code_of(text) for text in ("", "binance", "binance {}", 'okx {"code":"0","data":[]}', "x [[[[")] == [""] * 5
    assert code_of("okx " + "[" * 20_000) == ""
    assert status_of("binance POST https://x/y 504 Gateway Timeout") == 504
    assert status_of("binance 429 Too") == 429
    assert status_of("binance only 300 left") is None


@pytest.mark.parametrize("piece", ["a-", "a.", "[", '{"', "signature=", "https://", "x" * 39 + " ", "é"])
def test_a_page_made_to_be_slow_is_read_in_no_time(piece: str) -> None:
    error = tree.ExchangeError("binance " + piece * (1_000_000 // len(piece)))
    begun = time.thread_time()
    outcome = outcome_of(error, "place", "binance", secrets=(KEY, SECRET))
    assert time.thread_time() - begun < 0.05
    assert outcome.meaning == "unknown"
    assert len(outcome.message) < 500


def test_a_venues_long_name_of_an_error_is_shown_and_what_only_looks_like_one_is_not() -> None:
    name = "PREVIEW_STOP_PRICE_ABOVE_LAST_TRADE_PRICE"
    body = json.dumps({"success": False, "error_response": {"error": "", "preview_failure_reason": name}})
    outcome = outcome_of(ccxt.InvalidOrder(f"coinbase {body}"), "place", "coinbase", "BTC/USD")
    assert (outcome.meaning, outcome.code) == ("refuse", name)
    assert outcome.message.count(name) == 2
    hidden = f"{'A' * 44} {'AB_' * 14}c {'A_' * 20}1"
    told = outcome_of(ccxt.ExchangeError(hidden), "read", "coinbase", "BTC/USD").message
    assert "AAAA" not in told
    assert "AB_AB" not in told
    assert "A_A_" not in told

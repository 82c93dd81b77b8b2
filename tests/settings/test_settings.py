"""Settings: what a file may say, and that every fault in it is named with its place and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from engine.risk import Limits
from engine.risk.limits import PositionLimits
from engine.settings import BotSettings, live_summary, load_settings, parse_settings, refuse_unsafe
from parquet_store.errors import Usage
from tests.data import ROOT

GOOD = """
[venue]
name = "binance"
[[manifests]]
path = "btc.json"
symbols = ["BTC/USDT"]
share = 0.5
"""
LOCAL = 'rest_url = "http://127.0.0.1:8080"\nstream_url = "ws://[::1]:8080/ws"'


def parse(text: str) -> BotSettings:
    return parse_settings(text, "bot.toml", Path("/bots"))


def faults(text: str) -> list[str]:
    with pytest.raises(Usage) as caught:
        parse(text)
    assert caught.value.__cause__ is None
    return str(caught.value).split("\n")


def test_the_example_says_every_setting_and_its_default() -> None:
    example = load_settings(ROOT / "examples" / "bot.toml")
    said = example.model_dump()
    plain = parse(GOOD).model_dump()
    for name in ("mode", "live", "log_level", "steps", "venue", "feed", "orders", "account"):
        assert said[name] == plain[name], name
    assert [(one.path.name, one.symbols, one.share) for one in example.manifests] == [
        ("btc.json", ("BTC/USDT",), 0.6),
        ("eth.json", ("ETH/USDT", "SOL/USDT"), 0.4),
    ]
    assert example.risk == Limits()
    text = (ROOT / "examples" / "bot.toml").read_text()
    named = [name for table in ("venue", "feed", "orders", "account") for name in said[table]]
    for name in [*named, *(name for layer in said["risk"].values() for name in layer)]:
        assert f"\n{name} = " in text, f"the example leaves out {name}"


def test_paper_is_the_default_and_paths_are_beside_the_file() -> None:
    found = parse(GOOD)
    assert (found.mode, found.live) == ("paper", False)
    assert found.journal == Path("/bots/journal.sqlite")
    assert found.manifests[0].path == Path("/bots/btc.json")


def test_settings_do_not_change() -> None:
    found = parse(GOOD)
    with pytest.raises(ValidationError):
        found.mode = "live"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        found.venue.name = "okx"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("[venue]", "[venue]\nmarkt = 1"), 'bot.toml: venue.markt: unknown key; did you mean "market"? known: name'),
        (("[venue]", "jurnal = 1\n[venue]"), 'bot.toml: jurnal: unknown key; did you mean "journal"?'),
        (("share = 0.5", "share = 0.5\nsymbol = 'x'"), 'bot.toml: manifests[0].symbol: unknown key; did you mean "sym'),
        (("binance", "binanc"), "bot.toml: venue.name: found 'binanc', expected 'binance', 'coinbase'"),
        (("share = 0.5", "share = 1.5"), "bot.toml: manifests[0].share: found 1.5, expected at most 1"),
        (("share = 0.5", "share = 0"), "bot.toml: manifests[0].share: found 0, expected greater than 0"),
        (("share = 0.5", "share = nan"), "bot.toml: manifests[0].share: found nan, expected a finite number"),
        (("share = 0.5", "share = '0.5'"), "bot.toml: manifests[0].share: found '0.5', expected a number"),
        (("share = 0.5", ""), "bot.toml: manifests[0].share: missing; what part of the account"),
        (("[venue]", "live = 1\n[venue]"), "bot.toml: live: found 1, expected true or false"),
        (("[venue]", "feed = 3\n[venue]"), "bot.toml: feed: found 3, expected a table"),
        (("[venue]", "[feed]\nstale_seconds = 0.1\n[venue]"), "feed.stale_seconds: found 0.1, expected at least 1"),
        (("[venue]", "[feed]\ngrace_seconds = 30\n[venue]"), "feed: absence_seconds is 10, expected at least"),
        (('"BTC/USDT"', '"BTCUSDT"'), 'bot.toml: manifests[0].symbols: found "BTCUSDT", expected BASE/QUOTE'),
        (('"BTC/USDT"', '"BTC/USDT:USDT"'), 'expected a symbol of market = "spot" such as BTC/USDT'),
        (('["BTC/USDT"]', '["BTC/USDT", "BTC/USDT"]'), "BTC/USDT stands here twice; name each once"),
        (('"btc.json"', '" "'), "bot.toml: manifests[0].path: an empty path"),
        (("binance", "coinbase"), "paper"),
        (('"binance"', '"coinbase"\nmarket = "perpetual"'), "bot.toml: venue: coinbase is traded as spot here"),
        (('"binance"', '"robinhood"'), "bot.toml: feed.candles_from: robinhood has no candles"),
        (("[venue]", "mode = 'demo'\n[venue]"), "demo"),
        (("[venue]", "[orders]\nchase_seconds = 5\n[venue]"), "orders: chase_seconds is 5.0, which only limit orders"),
        (
            ("[venue]", "[orders]\nkind = 'limit'\npost_only = true\ntime_in_force = 'ioc'\n[venue]"),
            "orders: time_in_force is ioc, which does not rest: post_only has no meaning with it",
        ),
        (('"binance"', '"binance"\nrest_url = "127.0.0.1:80"'), "bot.toml: venue.rest_url: found"),
        (('"binance"', '"binance"\nrest_url = "http://me:pw@127.0.0.1"'), "a URL with a user or a password in it"),
        (('"binance"', '"binance"\nrest_url = "http://a:99999"'), "bot.toml: venue.rest_url: no URL"),
        (("[venue]", "mode = 'live'\n[venue]"), "bot.toml: live: mode is live and live is not true"),
    ],
)
def test_a_fault_is_named_with_its_place_what_was_found_and_what_was_expected(
    change: tuple[str, str], said: str
) -> None:
    text = GOOD.replace(*change)
    assert text != GOOD
    if said in ("paper", "demo"):
        assert parse(text).mode == said
        return
    (line,) = faults(text)
    assert said in line
    assert "pw" not in line


def test_all_faults_are_named_at_once_in_the_order_of_their_places() -> None:
    text = GOOD.replace("0.5", "2").replace('name = "binance"', 'name = "kraken"\nnam = 1') + "\n[[manifests]]\n"
    said = faults(text)
    places = ["manifests[0].share", "manifests[1].path", "manifests[1].share", "manifests[1].symbols", "venue.nam"]
    assert [line.split(": ")[1] for line in said] == [*places, "venue.name"]


def test_shares_are_of_one_account_and_nothing_is_traded_twice() -> None:
    one = GOOD[GOOD.index("[[") :]
    assert len(parse(GOOD + one.replace("BTC/", "ETH/")).manifests) == 2
    (line,) = faults(GOOD + one.replace("BTC/", "ETH/").replace("0.5", "0.6"))
    assert "the shares add up to 1.1, expected at most 1" in line
    (line,) = faults(GOOD + one)
    assert "manifests[1]: btc.json trades BTC/USDT above already" in line


@pytest.mark.parametrize(
    "line",
    [
        'apiKey = "hunter2"',
        'api_key = "hunter2"',
        'secret = "hunter2"',
        'PASSWORD = "hunter2"',
        "passphrase = 7777777",
        'access-token = "hunter2"',
        'LOCKSTEP_BINANCE_KEY = "hunter2"',
        'market = "hunter2AbCdEfGhIjKlMnOpQrStUv"',
        'note = "-----BEGIN EC PRIVATE KEY-----hunter2"',
        'keys_from = "hunter2AbCdEfGhIjKlMnOpQrStUv"',
    ],
)
def test_a_key_in_the_file_is_refused_with_the_remedy_and_not_repeated(line: str) -> None:
    (said,) = faults(GOOD.replace("[venue]", f"[venue]\n{line}"))
    assert f"bot.toml: venue.{line.split(' ')[0]}: looks like a key or a secret" in said
    assert "LOCKSTEP_BINANCE_KEY, LOCKSTEP_BINANCE_SECRET" in said
    assert "hunter2" not in said
    assert "7777777" not in said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'mode = "paper', "no TOML: "),
        (b'mode = "paper"\nmode = "hunter2"', "no TOML: "),
        (b"\xff\xfe", "not UTF-8"),
        (b"a = " + b"[" * 5000, "no TOML: "),
        (b"#" * (1 << 21), "larger than 1 MB"),
    ],
)
def test_a_file_that_is_no_toml_is_wrong_usage(tmp_path: Path, raw: bytes, said: str) -> None:
    (tmp_path / "bot.toml").write_bytes(raw)
    with pytest.raises(Usage, match=said) as caught:
        load_settings(tmp_path / "bot.toml")
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="no such file"):
        load_settings(tmp_path / "bot.toml")


def live(urls: str) -> BotSettings:
    return parse("mode = 'live'\nlive = true\n" + GOOD.replace('"binance"', f'"binance"\n{urls}'))


def test_live_needs_both_yeses_and_a_venue_on_this_machine() -> None:
    refuse_unsafe(parse(GOOD), yes=False)
    refuse_unsafe(live(LOCAL), yes=True)
    with pytest.raises(Usage, match="second yes"):
        refuse_unsafe(live(LOCAL), yes=False)
    with pytest.raises(Usage, match="needs live = true"):
        refuse_unsafe(live(LOCAL).model_copy(update={"live": False}), yes=True)


@pytest.mark.parametrize(
    "urls",
    [
        'rest_url = "http://127.0.0.1:8080"',
        'rest_url = "https://api.binance.com"\nstream_url = "ws://127.0.0.1/ws"',
        'rest_url = "http://127.0.0.1.example.com"\nstream_url = "ws://127.0.0.1/ws"',
        'rest_url = "http://localhost.example.com"\nstream_url = "ws://127.0.0.1/ws"',
        'rest_url = "http://192.168.0.1"\nstream_url = "ws://127.0.0.1/ws"',
    ],
)
def test_live_is_refused_where_keys_would_go_elsewhere(urls: str) -> None:
    with pytest.raises(Usage, match="would send its keys elsewhere"):
        refuse_unsafe(live(urls), yes=True)


def test_live_at_the_venue_itself_is_small_unless_told() -> None:
    settings = live("")
    refuse_unsafe(settings, yes=True)
    assert settings.limits is not None
    assert settings.limits.position.notional == 100.0
    assert "the real venue" in live_summary(settings)[0]
    assert any("notional 100" in line for line in live_summary(settings))


@pytest.mark.parametrize(
    "limit", ["position.notional", "portfolio.exposure", "account.drawdown", "operation.price_band"]
)
def test_live_at_the_venue_itself_needs_its_limits(limit: str) -> None:
    layer, name = limit.split(".")
    settings = parse("mode = 'live'\nlive = true\n" + GOOD + f"\n[risk.{layer}]\n{name} = 'off'\n")
    with pytest.raises(Usage, match=f"{limit} off under"):
        refuse_unsafe(settings, yes=True)


def test_what_is_confirmed_names_symbols_shares_and_limits() -> None:
    text = "\n".join(live_summary(live(LOCAL)))
    for part in ("live on binance spot (on this machine)", "BTC/USDT with 50%", "no limits of risk"):
        assert part in text
    assert "market orders, cash of its own for each" in text
    chase = '[orders]\nkind = "limit"\nchase_seconds = 5\nat_deadline = "market"\nstop_limit = 0.01\n'
    chased = "\n".join(live_summary(parse(GOOD + chase)))
    words = "limit orders for 20 s, moved every 5 s within 0.50%, then market, stops with a limit 1.00% beyond"
    assert words in chased
    away = "\n".join(live_summary(live("")))
    for part in ("the real venue", "risk_per_trade 0.02", "daily_loss 0.05", "value_at_risk off", "notional 100,"):
        assert part in away


def test_limits_hold_where_they_are_given_and_at_a_real_venue() -> None:
    assert parse(GOOD).limits is None
    assert live(LOCAL).limits is None
    assert live("").limits == Limits(position=PositionLimits(notional=100.0))
    given = parse(GOOD + "[risk.portfolio]\nexposure = 0.2\ndaily_loss = 'off'\n").limits
    assert given is not None
    assert (given.portfolio.exposure, given.portfolio.daily_loss) == (0.2, "off")
    assert given.account.drawdown == 0.2


def test_a_faulty_limit_is_named_with_its_place() -> None:
    assert faults(GOOD + "[risk.portfolio]\nexposure = 'none'\n") == [
        "bot.toml: risk.portfolio.exposure: found 'none', expected a number above 0, at most 125, or \"off\""
    ]
    assert 'did you mean "portfolio"?' in faults(GOOD + "[risk.portfolo]\nexposure = 1\n")[0]

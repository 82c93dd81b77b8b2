"""Keys are read from the environment or a keyring, and nothing shows them."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import pickle
import sys
import traceback
import types

import pytest

from engine.settings import Credentials, Secret, credential_names, load_credentials
from parquet_store.errors import Failed, Usage

TEXT = "hunter2-do-not-show"
OKX = {"LOCKSTEP_OKX_KEY": "k", "LOCKSTEP_OKX_SECRET": TEXT, "LOCKSTEP_OKX_PASSWORD": "p"}


def test_nothing_but_reveal_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(TEXT)
    held = Credentials(secret, secret, secret)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("test").info("%s %r %s", secret, secret, held)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", repr(held), str([secret])]
    shown += [str(dataclasses.asdict(held)), caplog.text, str(dir(secret)), "%s" % secret]  # noqa: UP031
    assert not [text for text in shown if TEXT in text]
    assert secret.reveal() == TEXT


def test_a_secret_is_neither_pickled_nor_written_as_json_nor_hashed_nor_changed() -> None:
    secret = Secret(TEXT)
    for attempt in (
        lambda: pickle.dumps(secret),
        lambda: pickle.dumps(Credentials(secret, secret, None)),
        lambda: json.dumps({"a": secret}),
        lambda: hash(secret),
        lambda: vars(secret),
    ):
        with pytest.raises(TypeError) as caught:
            attempt()
        assert TEXT not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(AttributeError):
        secret._value = "other"  # type: ignore[attr-defined]
    assert TEXT not in json.dumps({"a": secret}, default=str)


def test_orjson_refuses_a_secret_even_within_credentials() -> None:
    orjson = pytest.importorskip("orjson")
    for value in (Secret(TEXT), {"a": Secret(TEXT)}, Credentials(Secret(TEXT), Secret(TEXT), None)):
        with pytest.raises(TypeError):
            orjson.dumps(value)


def test_a_copy_is_the_secret_itself_and_equal_secrets_are_equal() -> None:
    secret = Secret(TEXT)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret
    assert secret == Secret(TEXT)
    assert secret != Secret("other")
    assert secret != TEXT


def test_keys_come_from_the_environment() -> None:
    found = load_credentials("okx", environ=OKX)
    assert found.password is not None
    assert (found.key.reveal(), found.secret.reveal(), found.password.reveal()) == ("k", TEXT, "p")
    assert load_credentials("binance", environ={name: "x" for name in credential_names("binance")}).password is None


def test_a_pem_written_in_one_line_gets_its_lines_back() -> None:
    environ = {"LOCKSTEP_COINBASE_KEY": "k", "LOCKSTEP_COINBASE_SECRET": "-----BEGIN X-----\\nabc\\n-----END X-----"}
    assert load_credentials("coinbase", environ=environ).secret.reveal().count("\n") == 2


def test_what_is_not_set_is_named_and_no_value_is() -> None:
    with pytest.raises(Usage) as caught:
        load_credentials("okx", environ={"LOCKSTEP_OKX_SECRET": f"{TEXT} ", "LOCKSTEP_OKX_PASSWORD": ""})
    said = str(caught.value)
    assert "LOCKSTEP_OKX_KEY is not set, LOCKSTEP_OKX_PASSWORD is not set" in said
    assert "LOCKSTEP_OKX_SECRET begins or ends with blanks" in said
    assert TEXT not in said


def test_an_unknown_venue_or_source_gets_the_nearest_name() -> None:
    with pytest.raises(Usage, match='did you mean "binance"'):
        load_credentials("binanse", environ={})
    with pytest.raises(Usage, match='did you mean "keyring"'):
        load_credentials("okx", "keyrin", environ=OKX)


def fake_keyring(held: dict[tuple[str, str], str], locked: bool = False) -> dict[str, types.ModuleType]:
    """Return the two modules of the library with a keyring that holds ``held``."""
    ring, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    errors.KeyringError = type("KeyringError", (Exception,), {})  # type: ignore[attr-defined]

    def get_password(service: str, name: str) -> str | None:
        if locked:
            raise errors.KeyringError(TEXT)
        return held.get((service, name))

    ring.get_password, ring.errors = get_password, errors  # type: ignore[attr-defined]
    return {"keyring": ring, "keyring.errors": errors}


def test_keys_come_from_a_keyring_when_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_keyring({("lockstep", key): value for key, value in OKX.items()}).items():
        monkeypatch.setitem(sys.modules, name, module)
    assert load_credentials("okx", "keyring", environ={}).secret.reveal() == TEXT
    with pytest.raises(Usage, match="LOCKSTEP_BINANCE_KEY is not set"):
        load_credentials("binance", "keyring", environ={})


def test_a_locked_keyring_fails_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in fake_keyring({}, locked=True).items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(Failed, match="the keyring cannot be opened") as caught:
        load_credentials("okx", "keyring", environ={})
    assert TEXT not in str(caught.value)


def test_a_keyring_that_is_not_installed_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(Usage, match=r"pip install 'lockstep-engine\[keyring\]'"):
        load_credentials("okx", "keyring", environ={})

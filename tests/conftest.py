"""What all tests share: how hypothesis draws, in CI the same examples each time, and how workers share the tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import settings

from parquet_store import Store
from pipelines import Bars, load_bars
from pipelines import sample as samples
from tests.distribution import Together, in_order

settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    in_order(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    return Together(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Bars:
    """The daily NASDAQ Composite bars of the sample."""
    if find_spec("arch") is None:
        pytest.skip("the sample comes with arch, of the extra research")
    store = Store(tmp_path_factory.mktemp("sample"))
    samples.load(store)
    return load_bars(store, "sample:NASDAQ:1d")

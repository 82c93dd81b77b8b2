"""How the tests are shared out: a file's tests stay on one worker, files that load the same run there one by one.

A fixture of a module is then made once, VectorBT is loaded and compiled by one worker, and Ray is started once.  The
longest files begin first, so that no worker is left alone with one of them at the end.  Where nothing is compiled yet,
the first file compiles what most others run; beside it stand files that do not need that, or it would be done twice.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

TOGETHER = {
    "vectorbt": (
        "tests/cli/test_tour.py",
        "tests/test_readme.py",
        "tests/research/test_vectorbt_orders.py",
        "tests/research/test_notebook.py",
        "tests/research/test_vectorbt.py",
        "tests/cli/test_sweep.py",
    ),
}
ORDER = (
    "tests/research/test_cluster.py",
    "tests/test_jit.py",
    "tests/parquet_store/test_durability.py",
    "tests/parquet_store/test_append.py",
    "tests/parquet_store/test_findings.py",
    "tests/pipelines/test_sample.py",
    "tests/kernels/test_trial.py",
    *TOGETHER["vectorbt"],
    "tests/research/test_search_resume.py",
    "tests/research/test_resume.py",
    "tests/cli/test_interrupted.py",
    "tests/research/report/test_page.py",
)
GROUPS = {file: group for group, files in TOGETHER.items() for file in files}
RANKS = {file: rank for rank, file in enumerate(ORDER)}


def file_of(nodeid: str) -> str:
    """Return the file of a test."""
    return nodeid.partition("::")[0]


def in_order(items: list[pytest.Item]) -> None:
    """Put the tests of the files named in ``ORDER`` first and leave the order of all others."""
    items.sort(key=lambda item: RANKS.get(file_of(item.nodeid), len(ORDER)))


class Together(LoadFileScheduling):
    """Give a worker whole files, in the order of the collection, and some files together."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # else by the number of tests

    def _split_scope(self, nodeid: str) -> str:
        return GROUPS.get(file_of(nodeid), file_of(nodeid))

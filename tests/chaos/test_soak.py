"""Hours of faults in one process: memory, tasks, files, warnings; ``python -m tests.chaos.soak`` plays three days."""

from __future__ import annotations

import pytest

from tests.chaos.soak import soaked

pytest.importorskip("ccxt")


def test_hours_of_faults_leave_nothing_behind() -> None:
    found = soaked(4)
    assert found["broken"] == []
    assert (found["tasks_left"], found["files_left"], found["warnings"]) == (0, 0, [])
    assert found["faults"] > 30
    assert found["fills"] > 100
    assert abs(found["growth"]) < 0.1

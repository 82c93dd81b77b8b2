"""The compiler's flags and the cache of compiled code."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import engine
from engine import jit

PACKAGE = Path(engine.__file__).resolve().parent

PROGRAM = """
import time
start = time.perf_counter()
import numpy as np
from engine.kernels import STEPS
from engine.kernels.column import column
print(column(STEPS["ema"], [np.array([1.0, 2.0, 6.0])], (2,))[0].tolist(), time.perf_counter() - start)
"""


def run(home: Path) -> tuple[str, float]:
    """Run the program on the copy of the package in ``home``; return the answer and its seconds."""
    environment = os.environ | {"PYTHONPATH": str(home), "LOCKSTEP_CACHE": str(home / "cache")}
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer, seconds = done.stdout.rsplit(" ", 1)
    return answer, float(seconds)


def test_an_edit_in_a_called_file_is_seen_at_the_next_run(tmp_path: Path) -> None:
    for name in ("engine", "parquet_store"):
        shutil.copytree(PACKAGE.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    first, cold = run(tmp_path)
    again, warm = run(tmp_path)
    assert first == again == "[nan, 1.5, 4.5]"
    assert warm < cold  # the second run loads what the first compiled
    assert len(list((tmp_path / "cache").glob("kernels-drive-*"))) == 1
    memory = tmp_path / "engine" / "kernels" / "memory.py"  # called by the driver, which is not edited
    text = memory.read_text()
    assert "builder.store(args[2]," in text
    memory.write_text(
        text.replace(
            "builder.store(args[2],", "builder.store(builder.fadd(args[2], ir.Constant(ir.DoubleType(), 100.0)),"
        )
    )
    edited, _ = run(tmp_path)
    assert edited == "[nan, 101.5, 104.5]"
    memory.write_text(text)
    average = tmp_path / "engine" / "kernels" / "average.py"
    text = average.read_text()
    assert "2.0 / (length + 1.0)" in text
    average.write_text(text.replace("2.0 / (length + 1.0)", "1.0 / (length + 2.0)"))
    edited, _ = run(tmp_path)
    assert edited == "[nan, 1.5, 2.625]"
    average.write_text(text)
    assert run(tmp_path)[0] == first


def test_the_cache_falls_back_when_its_parent_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    code = "from engine.jit import cache_folder; print(cache_folder(), cache_folder().is_dir())"
    environment = os.environ | {"LOCKSTEP_CACHE": str(blocked), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    name, there = done.stdout.split()
    folder = Path(name)
    assert there == "True"
    assert not folder.exists(), "a private folder goes with its process"
    assert tmp_path in folder.parents


def test_folders_unused_for_a_month_are_forgotten(tmp_path: Path) -> None:
    old, recent, other = tmp_path / "kernels-0", tmp_path / "kernels-1", tmp_path / "results"
    for folder in (old, recent, other):
        folder.mkdir()
    month = time.time() - jit.STALE_SECONDS - 60
    for folder in (old, other):
        os.utime(folder, (month, month))
    code = "from engine.jit import cache_folder; cache_folder()"
    environment = os.environ | {"LOCKSTEP_CACHE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not old.exists()
    assert recent.exists()
    assert other.exists()


def test_every_file_that_compiles_counts_in_the_name_of_the_cache() -> None:
    counted = set(jit.kernel_sources())
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if any(mark in text for mark in ("@inlined", "@compiled", "@intrinsic", "@overload", "inlined(")):
            assert path in counted, f"{path.name} holds compiled code and does not name engine.jit"


def test_a_file_depends_on_what_it_imports_and_on_nothing_else() -> None:
    names = {path.name for path in jit.sources_of(PACKAGE / "research" / "memo.py")}
    assert {"memo.py", "trades.py", "bitmap.py", "formulas.py"} <= names
    assert not names & {"average.py", "trend.py", "account.py"}
    assert "memory.py" in {path.name for path in jit.sources_of(PACKAGE / "kernels" / "drive.py")}


def test_no_fast_arithmetic_and_one_door_to_the_compiler() -> None:
    assert jit.FLAGS == {"error_model": "numpy", "fastmath": False, "nogil": True}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg in ("fastmath", "parallel"):
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom | ast.Import) else []
            called = node.attr if isinstance(node, ast.Attribute) else None
            compilers = {"njit", "jit", "vectorize", "guvectorize", "cfunc", "prange"}
            if path.name != "jit.py":
                from_numba = isinstance(node, ast.ImportFrom) and str(node.module).startswith("numba")
                assert not (from_numba and compilers & set(names)), path
                assert called not in compilers - {"jit"}, path
    for text in (path.read_text() for path in PACKAGE.rglob("*.py")):
        assert "fastmath=True" not in text

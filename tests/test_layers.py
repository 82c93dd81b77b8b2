"""Who may import whom, and what the packages show."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import types
from pathlib import Path

import pytest

from tests.data import ROOT

# each imports only from those before it; within a layer anything goes
LAYERS = [
    "parquet_store",
    "pipelines",
    "engine.jit",
    "engine.kernels",
    "engine.graph",
    "engine.strategies",
    "engine.risk",
    "engine.simulate",
    "engine.manifest",
    "engine.settings",
    "engine.venue",
    "engine.execution",
    "engine.research",
    "engine.live",
    "engine.cli",
]
HEAVY = {"vectorbt", "optuna", "plotly", "pandas", "arch", "scipy", "ccxt", "statsmodels", "sklearn", "matplotlib"}
TRADING = {"ccxt"}  # what engine.execution trades through, imported when it is used
FILES = sorted(
    path for package in ("engine", "pipelines", "parquet_store") for path in (ROOT / package).rglob("*.py")
)  # fmt: skip
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for path in FILES
    if path.name == "__init__.py" and path.parent.name != "engine"
)


def heavy_for(module: str) -> set[str]:
    """Return what a module may not import even inside its functions."""
    return HEAVY - TRADING if module.startswith("engine.execution.") else HEAVY


def in_order(names: list[str]) -> list[str]:
    """Return names as ruff sorts them: constants, classes, functions."""
    return sorted(names, key=lambda name: (0 if name.isupper() else 1 if name[:1].isupper() else 2, name))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer(module: str) -> int | None:
    """Return the place of a module's layer, None for modules of others."""
    for place, name in enumerate(LAYERS):
        if module == name or module.startswith(name + "."):
            return place
    return None


def imports(path: Path, at_start: bool = False) -> set[str]:
    """Return the modules a file imports, wherever in the file, or only those it imports when it is imported."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    nodes = list(ast.walk(tree))
    if at_start:
        inner = {
            x
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for x in ast.walk(node)
        }
        inner |= {
            x
            for node in nodes
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for x in ast.walk(node)
        }
        nodes = [node for node in nodes if node not in inner]
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found.add(node.module or "")
            found |= {f"{node.module}.{name.name}" for name in node.names if layer(f"{node.module}.{name.name}")}
    return found


def test_every_module_of_the_engine_has_a_layer() -> None:
    own = {module_of(path) for path in FILES} - {"engine"}
    assert {name for name in own if layer(name) is None} <= {"engine.errors", "engine.__main__"}
    assert len(own) > 60
    for name in LAYERS:
        assert any(module == name or module.startswith(name + ".") for module in own), f"nothing in {name}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_module_imports_only_from_the_layers_before_it(path: Path) -> None:
    own = layer(module_of(path))
    if own is None:
        return
    for name in imports(path):
        place = layer(name)
        assert place is None or place <= own, f"{module_of(path)} imports {name}"
    if LAYERS[own] in ("engine.live", "engine.execution", "engine.manifest", "engine.settings"):
        for name in imports(path):
            assert not name.startswith("engine.research"), f"{module_of(path)} imports {name}"
            assert name.split(".")[0] not in heavy_for(module_of(path)), f"{module_of(path)} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_libraries_are_imported_inside_functions_and_only_where_they_are_needed(path: Path) -> None:
    module = module_of(path)
    assert not {name.split(".")[0] for name in imports(path, at_start=True)} & HEAVY
    if not module.startswith(("engine.research", "engine.cli", "pipelines")):
        assert not {name.split(".")[0] for name in imports(path)} & heavy_for(module)


def loaded(code: str) -> set[str]:
    """Return the names of the modules a fresh process has after running the code."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(found.stdout.split())


def test_the_live_side_loads_neither_research_nor_a_heavy_library() -> None:
    names = loaded(
        "import engine.live.replay, engine.live.resuming, engine.manifest, engine.execution.outcome, "
        "engine.execution.paper, engine.execution.robinhood"
    )
    assert "numba" in names
    assert not {name for name in names if name.startswith("engine.research")}
    assert not {name.split(".")[0] for name in names} & (HEAVY - {"scipy"}), "numba itself looks at scipy"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_names_what_it_shows_names_it_exactly_and_sorted(name: str) -> None:
    package = importlib.import_module(name)
    if not hasattr(package, "__all__"):
        source = Path(package.__file__ or "").read_text()
        assert "import" not in source.replace("from __future__ import annotations", ""), (
            f"{name} shows what it lists not"
        )
        return
    assert list(package.__all__) == in_order(package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)
    shown = {
        key
        for key, value in vars(package).items()
        if not key.startswith("_")
        and not isinstance(value, types.ModuleType)
        and f"{getattr(value, '__module__', '')}.".startswith(f"{name}.")
    }
    assert shown <= set(package.__all__), f"{name} shows {sorted(shown - set(package.__all__))} and does not say so"
    for key in package.__all__:
        assert hasattr(package, key), f"{name} says {key} and has none"


@pytest.mark.parametrize("path", [p for p in FILES if "__all__" in p.read_text()], ids=module_of)
def test_a_modules_list_is_sorted_and_holds_only_what_there_is(path: Path) -> None:
    module = importlib.import_module(module_of(path))
    assert list(module.__all__) == in_order(module.__all__)
    for key in module.__all__:
        assert hasattr(module, key), f"{module.__name__} says {key} and has none"


def test_no_flag_that_changes_bits_is_set_anywhere() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("fastmath", "parallel"):
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path
        if module_of(path) != "engine.jit":
            assert "numba.njit" not in path.read_text(), f"{path}: compiled code goes through engine.jit"

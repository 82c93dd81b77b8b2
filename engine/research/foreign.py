"""TA-Lib and pandas-ta-classic in a strategy: their indicators as numbers of the bar, for research only.

    wave = foreign.talib("ULTOSC", bar, timeperiod1=self.fast)
    trend = foreign.pandas_ta("supertrend", bar, length=10, multiplier=self.width)
    Signals(entry=(trend.SUPERTd > 0) & (wave < 30), ...)

A strategy that uses them can be swept, reported and proven; export refuses it and names the step that is missing.
Each is tried when it is drawn, on made bars: what looks ahead there is refused.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import re
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from engine.graph.expression import Bar, Number
from engine.graph.scalar import Scalar
from engine.research.adopt import Floats, Indicator, Time, adopted
from parquet_store.errors import Usage, unknown

__all__ = ["pandas_ta", "talib"]

INSTALL = {"talib": "ta-lib", "pandas_ta_classic": '"lockstep-engine[research]"'}


def talib(name: str, *inputs: Bar | Number, **settings: Scalar | float) -> Any:
    """Return a TA-Lib function of the bar as a number, or as a named tuple of numbers if it has several outputs.

    Parameters
    ----------
    name : str
        As in ``talib.ULTOSC``; capitals do not matter.
    *inputs
        The bar, of which it takes the fields it needs, or as many numbers as it reads.
    **settings
        Its parameters by TA-Lib's names; parameters of the strategy may stand for numbers.  Those left out are at
        TA-Lib's own defaults.

    Raises
    ------
    Usage
        TA-Lib is not installed, or knows no function, parameter or input like that.
    """
    library = _library("talib", "TA-Lib")
    title, known = name.upper(), library.get_functions()
    if title not in known:
        raise unknown("TA-Lib function", name, known)
    info = importlib.import_module("talib.abstract").Function(title).info
    reads: list[str] = []
    for said in info["input_names"].values():
        reads += [said] if isinstance(said, str) else said
    function, defaults = getattr(library, title), info["parameters"]

    def run(time: Time, columns: list[Floats], told: dict[str, Any]) -> dict[str, Any]:
        if any(np.isnan(column).all() for column in columns):  # TA-Lib refuses to say that it is unknown
            return {output: np.full(time.size, np.nan) for output in info["output_names"]}
        made = function(*(np.ascontiguousarray(column) for column in columns), **told)
        return dict(zip(info["output_names"], made if isinstance(made, list | tuple) else [made], strict=True))

    whole = {key: isinstance(value, int) for key, value in defaults.items()}
    core = library.__ta_version__.decode().split()[0]
    made = Indicator("talib", title, tuple(reads), whole, f"{library.__version__}, C library {core}", run)
    return adopted(made, inputs, dict(defaults) | _known(made, settings, whole))


def pandas_ta(name: str, *inputs: Bar | Number, **settings: Any) -> Any:
    """Return a pandas-ta-classic indicator as a number, or as a named tuple of numbers if it gives several columns.

    Parameters
    ----------
    name : str
        As in ``pandas_ta_classic.supertrend``.
    *inputs
        The bar, of which it takes the fields it needs, or as many numbers as it reads.
    **settings
        What it is told, by its own names: numbers, for which parameters of the strategy may stand; text, True, False
        and None; numbers of the bar for series it reads beside the first ones.

    Notes
    -----
    Columns are named after the library's, without the parameters: ``SUPERTd_10_3.0`` is ``SUPERTd``.  Where the
    library uses TA-Lib if that is installed, so does this; ``talib=False`` decides it.

    Raises
    ------
    Usage
        The library is not installed, knows no indicator, setting or input like that, gives no column of one value a
        bar, or looks ahead.
    """
    library = _library("pandas_ta_classic", "pandas-ta-classic")
    known = sorted({name for names in library.Category.values() for name in names if hasattr(library, name)})
    if name not in known:
        raise unknown("pandas-ta-classic indicator", name, known)
    function = getattr(library, name)
    arguments = inspect.signature(function).parameters
    series = [a.name for a in arguments.values() if "Series" in str(a.annotation)]
    reads = [key for key in series if arguments[key].default is inspect.Parameter.empty] or series
    more = {key: value for key, value in settings.items() if isinstance(value, Number)}
    told = {key: value for key, value in settings.items() if key not in more}
    accepted = {key for key in arguments if key not in reads and key != "kwargs"}
    accepted |= set(re.findall(r"kwargs\b[^\n]*?[\"'](\w+)[\"']", inspect.getsource(function)))
    fields = (*reads, *more)

    def run(time: Time, columns: list[Floats], said: dict[str, Any]) -> dict[str, Any]:
        import pandas as pd

        index = pd.DatetimeIndex(time.astype("datetime64[ms]").astype("datetime64[ns]"))
        given = {key: pd.Series(x, index, name=key.rstrip("_")) for key, x in zip(fields, columns, strict=True)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = function(**given, **said)
        made = made[0] if isinstance(made, tuple) else made
        if made is None:  # too few bars
            return {}
        frame = made.to_frame() if isinstance(made, pd.Series) else made
        return dict(zip(_outputs(frame.columns), (frame.iloc[:, k] for k in range(frame.shape[1])), strict=True))

    versions = [importlib.metadata.version("pandas-ta-classic")]
    versions += [f"{key} {_version(key)}" for key in ("pandas", "numpy", "numba", "ta-lib")]
    whole = {key: "int" in str(arguments[key].annotation) for key in accepted if key in arguments}
    made = Indicator("pandas_ta", name, fields, whole, ", ".join(versions), run)
    return adopted(made, (*inputs, *more.values()), _known(made, told, accepted))


def _library(module: str, title: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise Usage(f"{title} is not installed: pip install {INSTALL[module]}") from error


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _known(made: Indicator, settings: dict[str, Any], accepted: Collection[str]) -> dict[str, Any]:
    for key in settings:
        if key not in accepted:
            raise unknown(f"parameter of {made.library} {made.name}", key, sorted(accepted))
    return settings


def _outputs(columns: Sequence[Any]) -> list[str]:
    """Return names for columns: the library's without the parameters, whole where that leaves them equal."""
    whole = [re.sub(r"\W", "_", str(column)) for column in columns]
    short = [re.sub(r"_\d.*$", "", text) for text in whole]
    return [a if short.count(a) == 1 and a.isidentifier() else b for a, b in zip(short, whole, strict=True)]

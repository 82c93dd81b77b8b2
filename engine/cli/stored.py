"""What is said of stored series: spans, gaps, findings, and what an append did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.cli.output import Output
from parquet_store.errors import LockstepError

if TYPE_CHECKING:
    from parquet_store import Appended, Series, Store

_SHOWN = 10  # findings and gaps a person is shown of one series; JSON has them all


def show_appended(store: Store, series: Series, done: Appended, more: dict[str, Any], out: Output) -> None:
    """Print what an append did, and what is stored now."""
    for note in done.notes:
        out.note(note)
    stored = store.series()
    span = store.span(series).to_dict() if series in stored else {"first": None, "last": None, "rows": 0}
    if out.json:
        counts = {
            "rows": done.rows,
            "replaced": done.replaced,
            "unchanged": done.unchanged,
            "months": done.months,
            "quarantined": done.quarantined,
            "quarantine": done.quarantine,
        }
        out.document({"source": str(series), **counts, **more, "stored": span})
        return
    new = done.rows - done.replaced - done.unchanged
    out.say(f"{series}: {new:,} bars new, {done.replaced:,} replaced, {done.unchanged:,} stored before just so")
    if done.quarantined:
        out.say(f"{done.quarantined:,} bad rows set aside with the reason in {done.quarantine}")
    out.say(
        f"stored are {span['rows']:,} bars"
        + (f" from {_clock(span['first'])} to {_clock(span['last'])}" if span["rows"] else "")
    )


def show_series(store: Store, series: list[Series], out: Output) -> None:
    """Print series with their spans and calendars."""
    entries = []
    for one in series:
        meta = store.meta(one)
        repaired = len(store.repairs(one))
        entries.append({"source": str(one), **_span(store, one), "repaired": repaired, **meta.to_dict()})
    if out.json:
        out.document({"store": store.root, "series": entries, "events": stored_events(store)})
    elif not entries:
        out.say(empty_store(store))
    else:
        columns = ["source", "rows", "first", "last", "repaired", "calendar", "bars_per_year"]
        named = ["source", "bars", "first", "last", "repaired", "calendar", "bars a year"]
        out.table(named, [[entry[name] for name in columns] for entry in entries])


def stored_events(store: Store) -> list[dict[str, Any]]:
    """Return the funding rates and trades of a store as JSON can carry them: what, how many, the complete spans."""
    from parquet_store.events import stored_events as stored
    from parquet_store.moments import to_datetime

    return [
        {
            "kind": one.dataset.name,
            "source": f"{one.venue}:{one.symbol}",
            "rows": one.count(),
            "complete": [[to_datetime(ms).isoformat() for ms in span] for span in one.covered()],
            "provenance": one.provenance(),
        }
        for one in stored(store.root)
    ]


def show_events(entries: list[dict[str, Any]], out: Output) -> None:
    """Print funding rates and trades with the spans that are complete."""
    spans = [", ".join(f"{_clock(low)} to {_clock(high)}" for low, high in e["complete"][-3:]) for e in entries]
    rows = [[e["kind"], e["source"], e["rows"], span] for e, span in zip(entries, spans, strict=True)]
    out.table(["kind", "source", "rows", "complete from to"], rows)


def _span(store: Store, series: Series) -> dict[str, Any]:
    span = store.span(series)
    return {"rows": span.rows, "first": span.first, "last": span.last}


def checked_series(store: Store, series: Series) -> dict[str, Any]:
    """Return what is wrong with a stored series as JSON can carry it; a damaged file is a finding."""
    from parquet_store import audit

    if series not in store.series():
        store.span(series)  # raises with the nearest name
    entry: dict[str, Any] = {
        "source": str(series),
        "rows": None,
        "first": None,
        "last": None,
        "gaps": [],
        "repaired": [],
        "findings": [],
    }
    try:
        entry |= _span(store, series)
        entry["gaps"] = [gap.to_dict() for gap in store.gaps(series)]
        entry["repaired"] = _repaired(store, series)
        found = audit(store.read(series), series.bar)
        entry["findings"] = [finding.to_dict() for finding in found if finding.kind != "gap"]
    except LockstepError as error:  # a damaged file: named here, and the other series are still checked
        damage = {"kind": "unreadable", "row": None, "time": None, "message": str(error), "value": ""}
        entry["findings"] = [damage]
    return entry


def _repaired(store: Store, series: Series) -> list[dict[str, Any]]:
    """Return how many bars came from each other venue, which and when."""
    import polars as pl

    by_venue = store.repairs(series).group_by("source", maintain_order=True)
    found = by_venue.agg(
        bars=pl.len(), first=pl.col("ts").min(), last=pl.col("ts").max(), latest=pl.col("repaired_at").max()
    )
    return found.to_dicts()


def show_details(entry: dict[str, Any], out: Output) -> None:
    """Print the longest gaps and the first findings of a checked series."""
    gaps = sorted(entry["gaps"], key=lambda gap: -gap["missing"])
    lines = [
        f"  absent: {g['missing']:,} after {_clock(g['after'])}, before {_clock(g['before'])}" for g in gaps[:_SHOWN]
    ]
    if len(gaps) > _SHOWN:
        lines.append(f"  ... and {len(gaps) - _SHOWN:,} shorter gaps; --json has them all")
    lines += [
        f"  repaired: {one['bars']:,} from {one['source']}, between {_clock(one['first'])} and {_clock(one['last'])}"
        for one in entry["repaired"]
    ]
    found = entry["findings"]
    lines += [f"  {one['kind']}: {_at(one)}{one['message']} {one['value']}".rstrip() for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  ... and {len(found) - _SHOWN:,} more findings; --json has them all")
    if lines:
        out.say("\n".join([entry["source"], *lines]))


def _at(finding: dict[str, Any]) -> str:
    return "" if finding["row"] is None else f"row {finding['row']:,} ({_clock(finding['time'])}): "


def _clock(text: Any) -> str:
    return "time unknown" if text is None else str(text).replace("T", " ").removesuffix("+00:00").removesuffix(":00")


def absent(gaps: list[dict[str, Any]]) -> int:
    """Return how many bars are absent in all."""
    return sum(gap["missing"] for gap in gaps)


def repaired(entry: dict[str, Any]) -> int:
    """Return how many bars of a checked series came from other venues."""
    return sum(one["bars"] for one in entry["repaired"])


def empty_store(store: Store) -> str:
    """Return what to say of a store without bars."""
    return f"no bars in {store.root}: try lockstep data sample, data import FILE or data download VENUE SYMBOL"

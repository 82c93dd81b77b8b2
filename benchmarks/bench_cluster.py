"""What does a shard cost on a cluster beyond its own work, and from which size on does a cluster pay?

A local Ray against the plain loop over the same parts of the same plan: a million combinations of the plain strategy
over 52,462 hours, of which the first parts are computed, at four part sizes, the files compared byte for byte before a
time is kept.  Plain loop: one thread.  Ray: one worker for each processor, one thread each; driver, object store and
workers share the processors, so that here a cluster can only lose: what it gains is other machines.

    python -m benchmarks.bench_cluster

Seconds are those of a processor, since other programs share this machine: of this process for the plain loop, of it
and all processes below it (driver, Ray's own, workers) for the cluster, less what Ray burns while idle.  ``overhead``
of a part: what it takes on Ray beyond the plain loop.  ``serial``: what the driver itself takes for an empty task,
which no number of machines makes shorter.  The table for 10^9 combinations is extrapolated from these and from the
rate of one thread; nobody ran it.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, hourly_bars, keep

BARS = 52_462
SIZES = {64: 16, 512: 12, 4_096: 4, 0: 2}  # combinations of a part (0: as many as the plan gives it), parts computed
REPEATS = 2
EMPTY = 300
MANY = 10**9
MACHINES = [(1, 2), (1, 16), (4, 16), (16, 16), (16, 64)]  # how many, processors each
GRID: dict[str, list[float]] = {
    "rsi_length": [float(v) for v in range(3, 43)],
    "oversold": [float(v) for v in range(15, 40)],
    "overbought": [float(v) for v in range(55, 80)],
    "band_length": [float(v) for v in range(10, 60, 5)],
    "band_width": [1.5, 1.75, 2.0, 2.25],
    "stop_atr": [0.0],
    "var_limit": [0.0],
    "kelly_fraction": [0.0],
}
COLD = """
import time
from benchmarks.bench_cluster import BARS, job_at
from engine.research.sweep import warm_up
_, job = job_at(4096)
start = time.process_time()
warm_up(job.series[0], job.sweep)
print(time.process_time() - start)
"""


def job_at(rows: int) -> tuple[Any, Any]:
    """Return the request and the job, with parts of so many combinations (0: of the plan's own size)."""
    from engine.research import request as module
    from engine.research.space import Space
    from engine.research.sweep import Sweep
    from engine.simulate import Costs
    from engine.strategies import find_strategy

    before = module.LEAST, module.PART_WORK, module.PARTS
    if rows:
        module.LEAST, module.PART_WORK, module.PARTS = rows, 1, 1 << 30
    try:
        strategy = find_strategy("mean_reversion")
        request = module.Request("mean_reversion", GRID, (), Costs(), cluster="local", threads=1)
        sweep = Sweep(strategy, Space.of(strategy, GRID), request.costs)
        series = [hourly_bars(BARS)[0]]
        return request, module.Job(sweep, series, module.plan_of(request, sweep, series))
    finally:
        module.LEAST, module.PART_WORK, module.PARTS = before


def folder_of(job: Any, root: Path) -> Any:
    """Return an empty run of a plan."""
    import json

    from engine.research.parts import PLAN, Parts

    folder = Path(tempfile.mkdtemp(dir=root))
    (folder / PLAN).write_text(json.dumps(job.plan))
    return Parts(folder)


def burnt() -> float:
    """Return the seconds of a processor that this process and all below it have taken, those that ended left out."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)], ticks[int(path.parent.name)] = int(words[1]), int(words[11]) + int(words[12])
    queue, total = [os.getpid()], 0
    while queue:
        above = queue.pop()
        total += ticks.get(above, 0)
        queue += [pid for pid, parent in parents.items() if parent == above]
    return total / os.sysconf("SC_CLK_TCK")


def plainly(parts: Any, job: Any, request: Any, missing: list[int]) -> float:
    """Compute parts by the plain loop, one thread; return the seconds of a processor."""
    from engine.research.run import found_of, write_part

    start = time.process_time()
    for part in missing:
        bars, begin, end = job.where(part)
        shards = job.sweep.space.shards(begin, end)
        write_part(parts, part, job, found_of(bars, job, request, shards, lambda _: None))
    return time.process_time() - start


def on_cluster(parts: Any, job: Any, request: Any, missing: list[int], idle: float) -> float:
    """Compute parts on the local Ray; return the seconds of a processor, less ``idle`` for each second."""
    from engine.research.cluster import compute_on_cluster

    start, before = time.perf_counter(), burnt()
    compute_on_cluster(parts, job, request, missing, lambda _: None)
    return burnt() - before - idle * (time.perf_counter() - start)


def nothing(parcel: Any, bars: Any, part: int) -> int:
    """Return the part: what a task costs that does nothing."""
    return part


def empty(ray: Any, job: Any, idle: float) -> tuple[float, float]:
    """Return the seconds of a processor of an empty task: the driver's own, and of all processes."""
    from engine.research.cluster.parcel import parcel_of
    from engine.research.cluster.pool import replies

    parcel, bars = ray.put(parcel_of(job, 1, None)), ray.put(job.series[0])
    task = ray.remote(nothing).options(num_cpus=1, max_retries=0)
    own, every = math.inf, math.inf
    for _ in range(REPEATS):
        wall, start, before = time.perf_counter(), time.process_time(), burnt()
        assert sum(1 for _ in replies(ray, lambda part: task.remote(parcel, bars, part), range(EMPTY), 1)) == EMPTY
        own = min(own, time.process_time() - start)
        every = min(every, burnt() - before - idle * (time.perf_counter() - wall))
    return own / EMPTY, every / EMPTY


def compiling() -> dict[str, float]:
    """Return the seconds until the kernels run: on a machine that never compiled them, and on one that did."""
    with tempfile.TemporaryDirectory() as cache:
        words = [sys.executable, "-c", COLD]
        runs = [
            float(subprocess.run(words, cwd=ROOT, env=os.environ | {"LOCKSTEP_CACHE": cache}, check=True,
                                 capture_output=True, text=True).stdout)
            for _ in range(2)
        ]  # fmt: skip
    return {"first_on_a_machine": runs[0], "later": runs[1]}


def extrapolate(rate: float, overhead: float, serial: float, start: float, row_bytes: float) -> list[dict[str, Any]]:
    """Return what 10^9 combinations would take, by machines and processors: extrapolated, not run."""
    from engine.research.request import part_rows

    rows = part_rows(MANY, BARS)
    parts = -(-MANY // rows)
    table = []
    for machines, cores in MACHINES:
        rounds = -(-parts // (machines * cores))
        busy = rounds * (rows * BARS / rate + overhead)
        seconds = start + max(busy, parts * serial)
        table.append(
            {
                "machines": machines,
                "cores_each": cores,
                "hours": seconds / 3600,
                "parts": parts,
                "rounds": rounds,
                "table_gb": MANY * row_bytes / 1e9,
                "extrapolated": True,
            }
        )
    return table


def main() -> None:
    """Measure, check, print and keep."""
    from engine.research.cluster.connect import connected

    compiled = compiling()
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, connected("local", 1 << 25) as ray:
        ready = time.perf_counter() - begun
        root, workers = Path(name), os.cpu_count() or 1
        request, job = job_at(512)
        first = time.perf_counter()
        on_cluster(folder_of(job, root), job, request, [0], 0.0)
        first = time.perf_counter() - first
        on_cluster(folder_of(job, root), job, request, list(range(4 * workers)), 0.0)
        plainly(folder_of(job, root), job, request, [0])
        before = burnt()
        time.sleep(3.0)
        idle = (burnt() - before) / 3.0
        serial, every = empty(ray, job, idle)
        rows: list[dict[str, Any]] = []
        for wanted, count in SIZES.items():
            request, job = job_at(wanted)
            missing = list(range(count))
            plain, spread = math.inf, math.inf
            for _ in range(REPEATS):
                one, other = folder_of(job, root), folder_of(job, root)
                plain = min(plain, plainly(one, job, request, missing))
                spread = min(spread, on_cluster(other, job, request, missing, idle))
                for part in missing:  # answers first
                    assert one.part(part).read_bytes() == other.part(part).read_bytes()
            size = int(job.plan["part_rows"][0])
            rows.append(
                {
                    "combinations": size,
                    "parts": count,
                    "plain_seconds_a_part": plain / count,
                    "cluster_seconds_a_part": spread / count,
                    "overhead_seconds_a_part": (spread - plain) / count,
                    "rate": size * count * BARS / plain,
                    "bytes_a_row": one.part(0).stat().st_size / size,
                }
            )
            row = rows[-1]
            print(
                f"{size:>7,} combinations a part: plain {row['plain_seconds_a_part'] * 1e3:8.1f} ms, "
                f"Ray {row['cluster_seconds_a_part'] * 1e3:8.1f} ms, "
                f"overhead {row['overhead_seconds_a_part'] * 1e3:8.1f} ms"
            )
    # what small parts cost: in large ones the noise of the work itself is larger than that
    overhead = max(min(row["overhead_seconds_a_part"] for row in rows[:2]), every)
    rate, row_bytes = rows[-1]["rate"], rows[-1]["bytes_a_row"]
    pays = {f"{share:.0%}": math.ceil(overhead / share * rate / BARS) for share in (0.5, 0.1, 0.01)}
    table = extrapolate(rate, overhead, serial, ready + compiled["first_on_a_machine"], row_bytes)
    print(f"empty task {every * 1e3:.2f} ms, of the driver {serial * 1e3:.2f} ms")
    print(f"Ray ready after {ready:.1f} s of the clock, the first part {first:.1f} s later")
    print(f"compiling: {compiled['first_on_a_machine']:.1f} s first on a machine, {compiled['later']:.1f} s later")
    for share, size in pays.items():
        print(f"overhead is {share} of the work at {size:,} combinations a part")
    for line in table:
        print(
            f"10^9 combinations on {line['machines']:>2} x {line['cores_each']:>2} cores:{line['hours'] * 60:8.1f} min "
            f"(extrapolated), table {line['table_gb']:,.0f} GB"
        )
    keep(
        "bench_cluster",
        {
            "question": "what a shard costs on a cluster, and from which size on a cluster pays",
            "bars": BARS,
            "data": hourly_bars(2)[1],
            "workers": os.cpu_count(),
            "load_average": os.getloadavg()[0],
            "seconds": {
                "ray_ready": ready,
                "first_part": first,
                "compiling": compiled,
                "empty_task": every,
                "serial": serial,
                "idle": idle,
            },
            "sizes": rows,
            "overhead_seconds_a_part": overhead,
            "combinations_at_which_overhead_is": pays,
            "billion": table,
            "billion_is": "extrapolated from the rate of one thread, the overhead and the serial part; no verdict",
        },
    )


if __name__ == "__main__":
    main()

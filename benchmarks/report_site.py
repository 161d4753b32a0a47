"""How long building the report site takes with a long history: `python -m benchmarks.report_site`, in the pipelines environment.

Fills a history (by default 50 workloads x 365 spans x 18 columns x 60 checks; made-up figures, real tables), builds the whole
site in a fresh process, then updates it after one more run, as `trainyard run` does. Shows seconds, peak memory and the largest
pages.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from quality.history import Change, Check, Column, History, Outcome, Release, Validation

_START = datetime.datetime(2025, 1, 1, 6, tzinfo=datetime.UTC)
_MEASURES = {"psi": 0.25, "kolmogorov_smirnov": None, "jensen_shannon": None}
_EDGES = np.linspace(-3.0, 3.0, 25)
_PROBABILITIES = (0.05, 0.25, 0.5, 0.75, 0.95)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--workloads", type=int, default=50)
    parser.add_argument("--spans", type=int, default=365)
    parser.add_argument("--columns", type=int, default=18)
    parser.add_argument("--checks", type=int, default=60)
    parser.add_argument(
        "--keep", type=pathlib.Path, help="a folder to keep the history and the site in; an existing history is used"
    )
    parser.add_argument("--build", choices=("all", "one"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        return _build(options.keep, options.build)
    folder = options.keep or pathlib.Path(tempfile.mkdtemp(prefix="report-site-"))
    try:
        _measure(folder, options)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


def _measure(folder: pathlib.Path, options: argparse.Namespace) -> None:
    if not (folder / "quality.sqlite").exists():
        started = time.monotonic()
        with History.open(_url(folder)) as history:
            for workload in range(options.workloads):
                fill(history, f"workload_{workload:02}", options.spans, options.columns, options.checks)
        print(
            f"history   {options.workloads} x {options.spans}: filled in {time.monotonic() - started:.1f} s, {_mb(folder)}"
        )
    for which, text in (("all", "all pages"), ("all", "nothing new"), ("one", "one more run")):
        if which == "one":
            with History.open(_url(folder)) as history:
                number = len(history.validations("workload_00"))
                history.record(validation("workload_00", number + 1, options.columns, options.checks))
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.report_site", "--build", which, "--keep", str(folder)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout.splitlines()[-1])
        print(f"{text:<14} {found['seconds']:8.2f} s  {found['mb']:6.0f} MB  {found['written']:,} written")
    sizes = sorted(((path.stat().st_size, path) for path in (folder / "site").rglob("*.html")), reverse=True)
    site = sum(path.stat().st_size for path in (folder / "site").rglob("*") if path.is_file())
    print(
        f"{len(sizes):,} pages, {site / 1e9:.2f} GB; overview {(folder / 'site/index.html').stat().st_size / 1e3:.0f} kB"
    )
    for size, path in sizes[:3]:
        print(f"largest   {size / 1e3:6.0f} kB  {path.relative_to(folder)}")


def _build(folder: pathlib.Path, which: str) -> int:
    from quality.reports import build

    started = time.monotonic()
    with History.open(_url(folder)) as history:
        built = build(history, folder / "site", only=None if which == "all" else "workload_00")
    seconds = time.monotonic() - started
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(json.dumps({"seconds": seconds, "mb": peak, "written": built.written}))
    return 0


def fill(history: History, workload: str, spans: int, columns: int, checks: int) -> None:
    """Records the given number of spans of a workload; every tenth publishes a release."""
    for span in range(1, spans + 1):
        one = validation(workload, span, columns, checks)
        release = Release(workload, span // 10, span, one.created_at, one.id) if span % 10 == 0 else None
        history.record(one, release)


def validation(workload: str, span: int, columns: int, checks: int) -> Validation:
    """A made-up validation: one in twenty fails, one in seven warns, and columns drift."""
    outcome = Outcome.FAILED if span % 20 == 0 else Outcome.WARNED if span % 7 == 0 else Outcome.PASSED
    created = _START + datetime.timedelta(days=span)
    names = [f"{'amount' if n % 3 else 'kind'}_{n:02}" for n in range(columns)]
    return Validation(
        f"{created:%Y%m%dT%H%M%S}-{workload}", workload, span, created.isoformat(), outcome,
        "Do not train on it: one check of 60 failed, in amount_01." if outcome is Outcome.FAILED else "It can be trusted.",
        rows=100_000 + span, owner=f"team-{workload[-2:]}", data=f"s3://lake/{workload}/span-{span}/*",
        checks=tuple(_check(n, names[n % columns], outcome) for n in range(checks)),
        columns=tuple(_column(name, n, span) for n, name in enumerate(names)),
        changes=tuple(_change(name, measure, limit, span, n) for n, name in enumerate(names) for measure, limit in _MEASURES.items()),
    )  # fmt: skip


def _check(nth: int, column: str, outcome: Outcome) -> Check:
    fails = nth == 0 and outcome is not Outcome.PASSED
    severity = "critical" if outcome is Outcome.FAILED or nth % 2 else "warning"
    found: dict[str, Any] = {
        "column": column,
        "unexpected_count": 40 if fails else 0,
        "element_count": 100_000,
        "kwargs": {"column": column},
    }
    if fails:
        found["sample"] = [{"split": "train", "row": row, "value": -row} for row in range(20)]
    expectation = "expect_column_values_to_be_between"
    name = f"{expectation}({column}, {nth})"
    message = "40 of 100,000 values do not (0.04 %), e.g. -3 (train row 3)" if fails else "all 100,000 values do"
    return Check(
        "DataQuality", name, not fails, severity, message, column, expectation, 40 * fails, 100_000, evidence=found
    )


def _column(name: str, nth: int, span: int) -> Column:
    if name.startswith("kind"):
        top = tuple((f"value {i}", float(1000 * (20 - i) + (span * nth) % 97)) for i in range(20))
        return Column(name, "text", 100_000, 0.01, 40 + span % 5, top_values=top)
    middle = nth + np.sin(span / 30 + nth)
    histogram = tuple(
        (float(a + middle), float(b + middle), float(1e5 * np.exp(-a * a))) for a, b in itertools.pairwise(_EDGES)
    )
    quantiles = {p: float(middle + 3 * (p - 0.5)) for p in _PROBABILITIES}
    low, high = float(middle - 3), float(middle + 3)
    return Column(name, "float", 100_000, 0.02, None, float(middle), 1.0, low, high, quantiles, histogram)


def _change(column: str, measure: str, limit: float | None, span: int, nth: int) -> Change:
    return Change(
        "drift", column, measure, abs(float(np.sin(span * (nth + 1)))) * 0.26, limit, reference=f"span {span - 1}"
    )


def _url(folder: pathlib.Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'quality.sqlite'}"


def _mb(folder: pathlib.Path) -> str:
    return f"{sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())

"""Reads TFDV's statistics (`Split-<name>/FeatureStats.pb`) without importing TFDV, which takes seconds."""

from __future__ import annotations

import math
import pathlib
from typing import Any

from components.report.facts import ColumnFacts, ColumnStatistics, DatasetFacts
from spec.splits import SPLITS

_TOP_VALUES = 8


def read_statistics(folder: pathlib.Path) -> DatasetFacts | None:
    """The statistics of every split under an ExampleStatistics artifact, or None when it holds none."""
    from tensorflow_metadata.proto.v0 import statistics_pb2

    rows: dict[str, int] = {}
    columns: dict[str, dict[str, ColumnStatistics]] = {}
    kinds: dict[str, str] = {}
    for path in sorted(folder.glob("Split-*/FeatureStats.pb"), key=_in_order):
        split = path.parent.name.removeprefix("Split-")
        statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes())
        if not statistics.datasets:
            continue
        rows[split] = int(statistics.datasets[0].num_examples)
        for feature in statistics.datasets[0].features:
            name = feature.name or ".".join(feature.path.step)
            kinds.setdefault(name, _kind(feature))
            columns.setdefault(name, {})[split] = _column(feature)
    if not rows:
        return None
    return DatasetFacts(rows, tuple(ColumnFacts(name, kinds[name], splits) for name, splits in columns.items()))


def _in_order(path: pathlib.Path) -> tuple[int, str]:
    split = path.parent.name.removeprefix("Split-")
    return SPLITS.index(split) if split in SPLITS else len(SPLITS), split


def _kind(feature: Any) -> str:
    kind = {0: "int", 1: "float", 2: "text", 3: "bytes", 4: "struct"}.get(feature.type, "")
    common = _stats(feature).common_stats
    width = int(common.max_num_values)
    if width > 1:
        return f"{kind} × {width}" if common.min_num_values == width else f"{kind}, up to {width}"
    return kind


def _stats(feature: Any) -> Any:
    return getattr(feature, feature.WhichOneof("stats") or "num_stats")


def _column(feature: Any) -> ColumnStatistics:
    stats = _stats(feature)
    common = stats.common_stats
    total = common.num_missing + common.num_non_missing
    missing = common.num_missing / total if total else 0.0
    which = feature.WhichOneof("stats")
    if which == "num_stats" and common.num_non_missing:
        histogram = next((h for h in stats.histograms if h.type == 0 and h.buckets), None)
        if not stats.histograms:  # of a personal column, whose values StatisticsGen takes out
            return ColumnStatistics(missing=missing)
        nan = sum(h.num_nan for h in stats.histograms if h.type == 0)
        buckets = [(b.low_value, b.high_value, b.sample_count) for b in histogram.buckets] if histogram else []
        return ColumnStatistics(
            missing=min(1.0, missing + nan / total),
            minimum=_finite(stats.min),
            mean=_finite(stats.mean),
            maximum=_finite(stats.max),
            deviation=_finite(stats.std_dev),
            quantiles=_quantiles(stats),
            histogram=tuple(b for b in buckets if all(math.isfinite(v) for v in b)),
        )
    if which == "string_stats":
        top = tuple((str(v.value), float(v.frequency)) for v in list(stats.top_values)[:_TOP_VALUES])
        return ColumnStatistics(missing=missing, unique=int(stats.unique), top_values=top)
    return ColumnStatistics(missing=missing)


def _quantiles(stats: Any) -> tuple[tuple[float, float], ...]:
    """The edges of TFDV's equally full buckets, with the share of the values that lies below each."""
    buckets = next((list(h.buckets) for h in stats.histograms if h.type == 1 and h.buckets), [])
    total = sum(b.sample_count for b in buckets)
    if not total:
        return ()
    points, below = [(0.0, float(buckets[0].low_value))], 0.0
    for bucket in buckets:
        below += bucket.sample_count
        points.append((below / total, float(bucket.high_value)))
    return tuple(point for point in points if math.isfinite(point[1]))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

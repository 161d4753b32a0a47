"""Statistics of personal columns: counts and lengths, but no values."""

from __future__ import annotations

import copy
from typing import Any

from components.schema import MASKED, is_personal, known_texts


def mask(statistics: Any, schema: Any) -> None:
    """Removes the values of personal columns from a DatasetFeatureStatisticsList, in place.

    Texts in the schema's domain stay, so that ExampleValidator can still count those outside it; all others become the same mark.
    Distributions of numbers are removed; minimum and maximum stay only if the schema bounds them.
    """
    personal = {feature.name: feature for feature in schema.feature if is_personal(feature)}
    for dataset in statistics.datasets:
        for one in dataset.features:
            name = one.name or ".".join(one.path.step)
            if name not in personal:
                continue
            which = one.WhichOneof("stats")
            if which == "string_stats":
                _mask_texts(one.string_stats, frozenset(known_texts(schema, personal[name]) or ()))
            elif which == "num_stats":
                _mask_numbers(one.num_stats, bool(personal[name].WhichOneof("domain_info")))


def _mask_texts(stats: Any, known: frozenset[str]) -> None:
    top = [value for value in stats.top_values if value.value in known]
    others = sum(value.frequency for value in stats.top_values if value.value not in known)
    buckets = [bucket for bucket in stats.rank_histogram.buckets if bucket.label in known]
    unnamed = sum(bucket.sample_count for bucket in stats.rank_histogram.buckets if bucket.label not in known)
    top, buckets = copy.deepcopy(top), copy.deepcopy(buckets)
    del stats.top_values[:], stats.rank_histogram.buckets[:]
    stats.top_values.extend(top)
    stats.rank_histogram.buckets.extend(buckets)
    if others:
        stats.top_values.add(value=MASKED, frequency=others)
    if unnamed:
        rank = len(stats.rank_histogram.buckets)
        stats.rank_histogram.buckets.add(low_rank=rank, high_rank=rank, label=MASKED, sample_count=unnamed)


def _mask_numbers(stats: Any, bounded: bool) -> None:
    for field in ("histograms", "median", "mean", "std_dev", *(() if bounded else ("min", "max"))):
        stats.ClearField(field)

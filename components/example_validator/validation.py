"""TFDV's anomalies of many columns, found a few columns at a time."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

# TFDV copies the whole schema for each column that it looks at: the time grows with the square of the columns. 2 s for 2,000.
_TOGETHER = 100


def validate(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema
) -> anomalies_pb2.Anomalies:
    """What `tfdv.validate_statistics(statistics, schema)` finds."""
    if schema.weighted_feature or schema.sparse_feature or len(statistics.datasets) != 1:
        return tfdv.validate_statistics(statistics, schema)  # what is made of several columns is looked at as a whole
    found = anomalies_pb2.Anomalies()
    for some, part in _parts(statistics.datasets[0], schema):
        found.MergeFrom(tfdv.validate_statistics(some, part))
    found.baseline.CopyFrom(schema)
    return found


def _parts(
    dataset: statistics_pb2.DatasetFeatureStatistics, schema: schema_pb2.Schema
) -> Iterator[tuple[statistics_pb2.DatasetFeatureStatisticsList, schema_pb2.Schema]]:
    """Some features of the schema and their statistics; columns that the schema does not name come with the first."""
    by_column: dict[str, list[statistics_pb2.FeatureNameStatistics]] = {}
    for one in dataset.features:
        by_column.setdefault(one.name or one.path.step[0], []).append(one)
    unknown = set(by_column) - {feature.name for feature in schema.feature}
    rest, rows = schema_pb2.Schema(), statistics_pb2.DatasetFeatureStatistics()
    rest.CopyFrom(schema)
    rest.ClearField("feature")
    rows.name, rows.num_examples, rows.weighted_num_examples = (
        dataset.name,
        dataset.num_examples,
        dataset.weighted_num_examples,
    )
    for start in range(0, max(1, len(schema.feature)), _TOGETHER):
        features = schema.feature[start : start + _TOGETHER]
        part, some = schema_pb2.Schema(feature=features), statistics_pb2.DatasetFeatureStatisticsList(datasets=[rows])
        part.MergeFrom(rest)
        for name in [*(feature.name for feature in features), *sorted(unknown)]:
            some.datasets[0].features.extend(by_column.get(name, ()))
        yield some, part
        unknown = set()
        rest.ClearField("dataset_constraints")  # of all rows, and judged with the first

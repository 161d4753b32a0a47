"""Names of data for lineage."""

from __future__ import annotations

import pytest

from landing import dataset_name


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("/data/taxi/span-3/*", ("file", "/data/taxi/span-3")),
        ("/data/taxi/span-3/trips-*.csv", ("file", "/data/taxi/span-3")),
        ("file:///data/a%20b.csv", ("file", "/data/a b.csv")),
        ("gs://lake/taxi/3/part.parquet", ("gs://lake", "taxi/3/part.parquet")),
        ("/data/taxi/", ("file", "/data/taxi")),
        ("gs://lake/taxi/day=2026-01-01/*.parquet", ("gs://lake", "taxi/day=2026-01-01")),
        ("abfs://lake:9000/taxi/*", ("abfs://lake:9000", "taxi")),
        ("s3://key:secret@lake/taxi/*", ("s3://lake", "taxi")),
    ],
)
def test_data_sets_are_named_as_openlineage_names_them(source: str, named: tuple[str, str]) -> None:
    assert dataset_name(source) == named

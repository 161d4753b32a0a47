"""StatisticsGen against TFX's own, and against TFDV on Beam."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2
from tfx.components.statistics_gen import executor as stock
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.artifacts import ROWS_OUT
from components.columnar import SplitWriter, encode_splits, mark_as_parquet, read_list_batches
from components.statistics.executor import Executor
from components.statistics.in_process import generate_statistics

ON_BEAM = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
EPSILON = 0.01  # tfdv.StatsOptions.epsilon: how far a quantile's rank may be off, as a fraction of the rows

Features = dict[str, statistics_pb2.FeatureNameStatistics]


def run(executor: type, artifacts: Any, folder: pathlib.Path, arguments: list[str], **properties: Any) -> Any:
    statistics = standard_artifacts.ExampleStatistics()
    statistics.uri = str(folder / "statistics")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(arguments), tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    inputs = {"examples": [artifacts.examples], "schema": [artifacts.schema]}
    executor(context).Do(inputs, {"statistics": [statistics]}, properties)
    return statistics


def features_of(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> tuple[int, Features]:
    (dataset,) = statistics.datasets
    return dataset.num_examples, {feature.path.step[0]: feature for feature in dataset.features}


def load(artifact: Any, split: str) -> tuple[int, Features]:
    return features_of(tfdv.load_stats_binary(f"{artifact.uri}/Split-{split}/FeatureStats.pb"))


@pytest.fixture(scope="module")
def ours(taxi: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(Executor, taxi, tmp_path_factory.mktemp("ours"), [])


def test_stock_statistics_gen_reads_our_examples_and_finds_the_same(
    taxi: Any, ours: Any, tmp_path: pathlib.Path
) -> None:
    """Equal to the last bit: so few rows fit into the quantile sketches whole. Only the order of the features may differ."""
    theirs = run(stock.Executor, taxi, tmp_path, ON_BEAM, exclude_splits="[]")
    assert ours.split_names == theirs.split_names
    for split in ("train", "eval"):
        assert load(ours, split) == load(theirs, split)
    assert ours.get_int_custom_property(ROWS_OUT) == 7502


def test_beam_arguments_change_the_place_and_not_the_numbers(taxi: Any, ours: Any, tmp_path: pathlib.Path) -> None:
    on_beam = run(Executor, taxi, tmp_path, ON_BEAM)
    for split in ("train", "eval"):
        assert load(ours, split) == load(on_beam, split)


SCHEMA = """
feature { name: "id" type: BYTES }
feature { name: "zone" type: INT int_domain { is_categorical: true } }
feature { name: "amount" type: FLOAT }
feature { name: "vector" type: FLOAT }
feature { name: "image" type: BYTES image_domain {} }
feature { name: "nothing" type: BYTES }
"""


def many_rows(batches: int, rows: int) -> Iterator[pa.RecordBatch]:
    random = np.random.default_rng(3)
    for number in range(batches):
        ids = np.arange(number * rows, (number + 1) * rows) // 3  # each three times, over the batches' borders
        yield pa.record_batch(
            {
                "id": pa.array([b"%d\xff" % i if i % 7 == 0 else b"%d" % i for i in ids]),
                "zone": pa.array(random.zipf(1.5, rows) % 3000),
                "amount": pa.array(random.lognormal(size=rows), mask=random.random(rows) < 0.1),
                "vector": pa.FixedSizeListArray.from_arrays(pa.array(random.normal(size=2 * rows)), 2),
                "image": pa.array([b"image"] * rows),
                "nothing": pa.nulls(rows, pa.string()),
            }
        )


def test_many_rows_give_what_beam_finds(tmp_path: pathlib.Path) -> None:
    """What may differ: means and deviations by rounding, since Beam adds up in another order; medians and histograms by
    the error that TFDV allows its quantile sketches. All else is equal, counts that went through files included.
    """
    schema = text_format.Parse(SCHEMA, schema_pb2.Schema())
    rows = list(many_rows(4, 15_000))
    with SplitWriter(tmp_path, "train", rows[0].schema) as writer:
        for batch in rows:
            writer.write(batch)
    batches = list(read_list_batches(tmp_path, "train", rows=4_096))
    options = tfdv.StatsOptions(schema=schema)
    ours = features_of(generate_statistics(batches, options, tmp_path / "spill", memory=100_000))
    assert list((tmp_path / "spill").iterdir()) == []
    theirs = features_of(on_beam(batches, options, tmp_path / "stats.pb"))
    assert ours[0] == theirs[0] == 60_000
    assert ours[1].keys() == theirs[1].keys() == set(rows[0].schema.names)
    assert ours[1]["id"].string_stats.unique == 20_000
    for name, feature in ours[1].items():
        if feature.HasField("num_stats"):
            values = np.sort(np.concatenate([np.asarray(batch[name].flatten()) for batch in batches]))
            assert_close(feature.num_stats, theirs[1][name].num_stats, values[~np.isnan(values)])
        assert feature == theirs[1][name], name


def on_beam(batches: list[pa.RecordBatch], options: tfdv.StatsOptions, path: pathlib.Path) -> Any:
    with beam.Pipeline(FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create(batches)
            | tfdv.GenerateStatistics(options)
            | tfdv.WriteStatisticsToBinaryFile(str(path))
        )
    return tfdv.load_stats_binary(str(path))


def assert_close(ours: Any, theirs: Any, values: Any) -> None:
    """Compares what may differ, and takes it out of both."""
    np.testing.assert_allclose([ours.mean, ours.std_dev], [theirs.mean, theirs.std_dev], rtol=1e-9)

    def ranks(bounds: list[float]) -> Any:
        return np.searchsorted(values, bounds) / len(values)

    np.testing.assert_allclose(ranks([ours.median]), ranks([theirs.median]), atol=2 * EPSILON)
    for mine, their in zip(ours.histograms, theirs.histograms, strict=True):
        assert (mine.type, mine.num_nan, len(mine.buckets)) == (their.type, their.num_nan, len(their.buckets))
        bounds = [[bucket.high_value for bucket in one.buckets] for one in (mine, their)]
        np.testing.assert_allclose(ranks(bounds[0]), ranks(bounds[1]), atol=2 * EPSILON)
        counts = [[bucket.sample_count / len(values) for bucket in one.buckets] for one in (mine, their)]
        np.testing.assert_allclose(counts[0], counts[1], atol=2 * EPSILON)
    for one in (ours, theirs):
        for field in ("mean", "std_dev", "median", "histograms"):
            one.ClearField(field)


def test_a_split_without_rows_has_statistics_of_nothing(tmp_path: pathlib.Path) -> None:
    options = tfdv.StatsOptions(schema=schema_pb2.Schema())
    assert generate_statistics([], options, tmp_path) == on_beam([], options, tmp_path / "stats.pb")


def test_a_generator_that_needs_beam_is_refused(tmp_path: pathlib.Path) -> None:
    schema = text_format.Parse('feature { name: "label" type: BYTES }', schema_pb2.Schema())
    options = tfdv.StatsOptions(schema=schema, label_feature="label")
    with pytest.raises(TypeError, match="needs Beam"):
        generate_statistics([], options, tmp_path)


def test_a_lost_row_is_noticed(taxi: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = standard_artifacts.Examples()
    examples.uri = str(tmp_path / "examples")
    examples.split_names = encode_splits(["train"])
    mark_as_parquet(examples)
    with SplitWriter(examples.uri, "train", pa.schema([("fare", pa.float64())])) as writer:
        writer.write(pa.record_batch({"fare": [1.0, 2.0]}))
    monkeypatch.setattr("components.statistics.executor.count_rows", lambda *_: 3)
    with pytest.raises(RuntimeError, match="'train' counted 2 rows of 3"):
        run(Executor, type(taxi)(examples, taxi.schema, taxi.features), tmp_path, [])

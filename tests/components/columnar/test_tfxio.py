"""ExamplesTFXIO in the hands of those it is for: TFDV, TFT and Keras."""

from __future__ import annotations

import pathlib
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.tfxio.dataset_options import RecordBatchesOptions, TensorFlowDatasetOptions

from components.columnar import split_directory, stored_batch
from components.columnar.tfxio import ExamplesTFXIO

# In another order than the files have, and without their column "unused".
SCHEMA = text_format.Parse(
    """
    feature { name: "pair" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 2 } } }
    feature { name: "company" type: BYTES }
    feature { name: "id" type: INT presence { min_fraction: 1 } shape {} }
    feature { name: "tip" type: INT presence { min_fraction: 1 } shape {} }
    feature { name: "gone" type: INT lifecycle_stage: DEPRECATED }
    """,
    schema_pb2.Schema(),
)
ROWS = 1000


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Rows in ten row groups; each third has no company."""
    folder = tmp_path_factory.mktemp("examples")
    ids = np.arange(ROWS)
    rows = pa.table(
        {
            "id": ids,
            "unused": ids * 0.5,
            "company": pa.array([None if i % 3 == 0 else f"c{i}" for i in ids]),
            "pair": pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(ids, 2) + np.tile([0.0, 0.5], ROWS)), 2),
            "tip": (ids % 2 == 0).astype(np.int64),
        }
    )
    (batch,) = rows.combine_chunks().to_batches()
    path = split_directory(folder, "train") / "examples-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_batches([stored_batch(batch)]), path, row_group_size=ROWS // 10)
    return str(folder)


def ids_of(batches: Any) -> list[int]:
    return [value for batch in batches for (value,) in batch["id"].to_pylist()]


def test_beam_source_yields_what_the_schema_promises(uri: str) -> None:
    source = ExamplesTFXIO(uri, "train", SCHEMA, ["Test"])
    promised = source.ArrowSchema()
    assert promised.names == ["pair", "company", "id", "tip"]

    def check(batches: list[pa.RecordBatch]) -> None:
        assert sorted(ids_of(batches)) == list(range(ROWS))
        assert {batch.num_rows for batch in batches} == {40, 20}
        assert all(batch.schema.equals(promised) for batch in batches)

    with beam.Pipeline(FnApiRunner()) as pipeline:
        assert_that(pipeline | source.BeamSource(batch_size=40), check)


def test_tfdv_and_tft_take_it(uri: str, tmp_path: pathlib.Path) -> None:
    source = ExamplesTFXIO(uri, "train", SCHEMA)

    def preprocess(inputs: dict[str, Any]) -> dict[str, Any]:
        company = inputs["company"]
        one_a_row = tf.SparseTensor(company.indices, company.values, [company.dense_shape[0], 1])
        return {
            "id": inputs["id"],
            "sum": tf.reduce_sum(inputs["pair"], axis=1),
            "scaled": tft.scale_to_0_1(tf.cast(inputs["id"], tf.float32)),
            "company": tf.sparse.to_dense(one_a_row, "none")[:, 0],
        }

    def check(transformed: list[tuple[pa.RecordBatch, Any]]) -> None:
        rows = sorted((row for batch, _ in transformed for row in batch.to_pylist()), key=lambda row: row["id"])
        assert len(rows) == ROWS
        assert rows[5] == {"id": [5], "sum": [10.5], "scaled": [pytest.approx(5 / 999)], "company": [b"c5"]}
        assert rows[6]["company"] == [b"none"]

    with beam.Pipeline(FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | "Read" >> source.BeamSource()
            | tfdv.GenerateStatistics(tfdv.StatsOptions(schema=SCHEMA))
            | tfdv.WriteStatisticsToBinaryFile(str(tmp_path / "stats.pb"))
        )
        with tft_beam.Context(temp_dir=str(tmp_path / "tmp")):
            data = (pipeline | "ReadAgain" >> source.BeamSource(), source.TensorAdapterConfig())
            analyze = tft_beam.AnalyzeAndTransformDataset(preprocess, output_record_batches=True)
            (transformed, _), _ = data | analyze
        assert_that(transformed, check)
    (dataset,) = tfdv.load_stats_binary(str(tmp_path / "stats.pb")).datasets
    missing = {f.path.step[0]: (f.num_stats or f.string_stats).common_stats.num_missing for f in dataset.features}
    assert dataset.num_examples == ROWS
    assert missing.keys() == {"pair", "company", "id", "tip"}


def test_keras_learns_from_it(uri: str) -> None:
    import keras

    source = ExamplesTFXIO(uri, "train", SCHEMA).Project(["pair", "tip"])
    assert source.ArrowSchema().names == ["pair", "tip"]
    dataset = source.TensorFlowDataset(
        TensorFlowDatasetOptions(batch_size=300, num_epochs=1, label_key="tip", shuffle_seed=1)
    )
    assert [(features.keys(), len(label)) for features, label in dataset] == [
        ({"pair"}, n) for n in (300, 300, 300, 100)
    ]
    inputs = {"pair": keras.Input((2,), name="pair")}
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs["pair"]))
    model.compile("sgd", "mse")
    before = model.evaluate(dataset, verbose=0)
    assert np.isfinite(before)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(dataset, epochs=2, verbose=0)
    assert model.evaluate(dataset, verbose=0) < before


@pytest.mark.parametrize("shuffle", [False, True])
def test_tensors_belong_to_their_rows(uri: str, shuffle: bool) -> None:
    """Sparse ones too, whose batches are slices of larger ones."""
    source = ExamplesTFXIO(uri, "train", SCHEMA)
    options = TensorFlowDatasetOptions(batch_size=64, num_epochs=1, shuffle=shuffle, shuffle_buffer_size=150)
    seen: list[int] = []
    for batch in source.TensorFlowDataset(options):
        ids = batch["id"].numpy()
        companies = tf.sparse.to_dense(tf.sparse.reset_shape(batch["company"], [len(ids), 1]), b"none").numpy()[:, 0]
        assert companies.tolist() == [b"none" if i % 3 == 0 else b"c%d" % i for i in ids]
        np.testing.assert_array_equal(batch["pair"].numpy(), ids[:, None] + [[0.0, 0.5]])
        seen += ids.tolist()
    assert sorted(seen) == list(range(ROWS))
    assert (seen == list(range(ROWS))) is not shuffle


def test_record_batches_have_the_size_asked_for(uri: str) -> None:
    source = ExamplesTFXIO(uri, "train")
    assert "unused" in source.ArrowSchema().names
    plain = list(source.RecordBatches(RecordBatchesOptions(batch_size=64, num_epochs=1, shuffle=False)))
    assert [batch.num_rows for batch in plain] == [64] * 15 + [40]
    assert ids_of(plain) == list(range(ROWS))
    options = RecordBatchesOptions(64, drop_final_batch=True, num_epochs=2, shuffle_buffer_size=300, shuffle_seed=5)
    twice = list(source.RecordBatches(options))
    assert [batch.num_rows for batch in twice] == [64] * 30
    first, second = ids_of(twice[:15]), ids_of(twice[15:])
    assert first != second and len(set(first)) == len(set(second)) == 960
    assert ids_of(source.RecordBatches(options)) == first + second
    endless = source.RecordBatches(RecordBatchesOptions(batch_size=ROWS))
    assert [next(endless).num_rows for _ in range(3)] == [ROWS] * 3


def test_what_does_not_fit_is_said(uri: str) -> None:
    with pytest.raises(ValueError, match="tensors need a schema"):
        ExamplesTFXIO(uri, "train").TensorAdapterConfig()
    with pytest.raises(ValueError, match="Received: 'tips'"):
        ExamplesTFXIO(uri, "train", SCHEMA).TensorFlowDataset(TensorFlowDatasetOptions(1, label_key="tips"))
    wider = text_format.Parse('feature { name: "fare" type: FLOAT }', schema_pb2.Schema())
    with pytest.raises(ValueError, match="has no column 'fare'"):
        ExamplesTFXIO(uri, "train", wider)
    with pytest.raises(FileNotFoundError, match="Split-eval"):
        ExamplesTFXIO(uri, "eval", SCHEMA)

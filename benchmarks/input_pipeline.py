"""How fast rows reach the model: the Trainer's input pipeline, alone and with the taxi model, compared with others.

    python -m benchmarks.input_pipeline                      # 500,000 rows of the taxi workload's transformed features
    python -m benchmarks.input_pipeline --rows 10000000 --way streaming

Ways: `memory` (the Trainer's, with the whole split in one pool), `streaming` (the Trainer's, with an eighth of the split in memory
at a time), `arrays` (`model.fit` on numpy arrays) and `tfrecord` (gzipped tf.Examples, read with
`TFExampleRecord.TensorFlowDataset`, which stock TFX's `tf_dataset_factory` calls). Each number is the median of the passes after
the first; all ways share a process.
"""

from __future__ import annotations

import argparse
import pathlib
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from benchmarks.pipeline.cases.taxi import CASE
from components.columnar import SplitWriter, read_batches, tfx_columns
from components.tasks import find
from components.trainer import Feature, ModelSchema, TrainingConfig, _fitting
from components.trainer._checks import SplitChecks
from components.trainer._input import open_split
from spec import home

# What the taxi workload's features.py returns.
_NUMBERS = [f"number_{i:02}" for i in range(13)]
_IDS = [f"id_{i}" for i in range(4)]
_VOCABULARY = 80
FEATURES = {
    **{name: Feature(name, "int64", (), _VOCABULARY) for name in _IDS},
    **{name: Feature(name, "float32") for name in _NUMBERS},
}
_CLASSES = ("0", "1")
_ROWS_PER_BLOCK = 65_536


def main() -> int:
    options = _options()
    print(f"{options.rows:,} rows, {len(FEATURES)} features, batches of {options.batch_size}")
    print(f"{'':10} {'alone':>27} {'with the taxi model':>27}   peak memory")
    print(f"{'way':10} {'rows/s':>13} {'rows/CPU s':>13} {'rows/s':>13} {'rows/CPU s':>13}   MiB so far")
    with tempfile.TemporaryDirectory(prefix="trainyard-input-") as folder:
        write_examples(folder, options.rows)
        for way in options.way or list(_WAYS):
            data = _WAYS[way](folder, options)
            alone = "-", "-"
            if isinstance(data, tf.data.Dataset):
                alone = _rates(options.rows, [_exhaust(data) for _ in range(options.passes + 1)])
            fitted = _rates(options.rows, _fit(data, options))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{way:10} {alone[0]:>13} {alone[1]:>13} {fitted[0]:>13} {fitted[1]:>13}   {peak:,.0f}", flush=True)
    return 0


def write_examples(uri: str, rows: int) -> None:
    """Writes `rows` rows as the train split of transformed Examples, block by block; always the same rows."""
    random = np.random.default_rng(7)
    schema = pa.schema([(f.name, pa.int64() if f.dtype == "int64" else pa.float32()) for f in FEATURES.values()])
    with SplitWriter(uri, "train", schema.append(pa.field(CASE.label, pa.int64()))) as writer:
        for start in range(0, rows, _ROWS_PER_BLOCK):
            count = min(_ROWS_PER_BLOCK, rows - start)
            columns = {name: random.integers(0, _VOCABULARY, count) for name in _IDS}
            columns |= {name: random.standard_normal(count).astype(np.float32) for name in _NUMBERS}
            score = columns[_NUMBERS[0]] - columns[_NUMBERS[1]] + (columns[_IDS[0]] < 9)
            columns[CASE.label] = (score + random.standard_normal(count) > 1).astype(np.int64)
            writer.write(pa.RecordBatch.from_pydict(columns))


def _memory(uri: str, options: argparse.Namespace) -> tf.data.Dataset:
    return open_split(uri, "train", FEATURES.values(), _checks(), 2**62).dataset(options.batch_size, 1)


def _streaming(uri: str, options: argparse.Namespace) -> tf.data.Dataset:
    row_bytes = 8 * (len(_IDS) + 1) + 4 * len(_NUMBERS)
    pool = row_bytes * options.rows // 8
    return open_split(uri, "train", FEATURES.values(), _checks(), pool).dataset(options.batch_size, 1)


def _arrays(uri: str, options: argparse.Namespace) -> tuple[dict[str, Any], Any]:
    columns = next(open_split(uri, "train", FEATURES.values(), _checks(), 2**62).pools())
    return {name: columns[name] for name in FEATURES}, columns[CASE.label]


def _tfrecord(uri: str, options: argparse.Namespace) -> tf.data.Dataset:
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public import tfxio
    from tfx_bsl.tfxio import tf_example_record

    schema = schema_pb2.Schema()
    for name in (*FEATURES, CASE.label):
        feature = schema.feature.add(
            name=name, type=schema_pb2.INT if name in (*_IDS, CASE.label) else schema_pb2.FLOAT
        )
        feature.presence.min_fraction = 1.0
        feature.shape.SetInParent()
    path = pathlib.Path(uri) / "examples.gz"
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions("GZIP")) as writer:
        for record in _records(uri):
            writer.write(record)
    source = tf_example_record.TFExampleRecord(
        file_pattern=str(path), telemetry_descriptors=["benchmark"], schema=schema
    )
    return source.TensorFlowDataset(
        tfxio.TensorFlowDatasetOptions(batch_size=options.batch_size, label_key=CASE.label, num_epochs=1)
    )


def _records(uri: str) -> Iterator[bytes]:
    from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder

    encoder = RecordBatchToExamplesEncoder()
    for batch in read_batches(uri, "train"):
        yield from encoder.encode(tfx_columns(batch))


_WAYS: dict[str, Callable[[str, argparse.Namespace], Any]] = {
    "memory": _memory,
    "streaming": _streaming,
    "arrays": _arrays,
    "tfrecord": _tfrecord,
}


def _checks() -> SplitChecks:
    return SplitChecks("train", find("binary")(_CLASSES), CASE.label)


def _exhaust(dataset: tf.data.Dataset) -> tuple[float, float]:
    """Seconds and CPU seconds of one pass without a model."""
    seconds, cpu = time.perf_counter(), time.process_time()
    # Inside TensorFlow, so as not to measure a loop in Python.
    dataset.reduce(np.int64(0), lambda total, batch: total + tf.shape(batch[1], tf.int64)[0]).numpy()
    return time.perf_counter() - seconds, time.process_time() - cpu


def _fit(data: Any, options: argparse.Namespace) -> list[tuple[float, float]]:
    """Seconds and CPU seconds of each epoch."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    config = TrainingConfig(
        task="binary", label=CASE.label, batch_size=options.batch_size, hyperparameters=dict(CASE.hyperparameters)
    )
    module = str(home.ROOT / "pipelines" / "workloads" / "taxi" / "model.py")
    model = _fitting.build(module, ModelSchema(FEATURES, "binary", CASE.label, _CLASSES), config, options.rows)
    clock = _Clock()
    rest = (
        {"x": data, "shuffle": False}
        if isinstance(data, tf.data.Dataset)
        else {"x": data[0], "y": data[1], "batch_size": options.batch_size}
    )
    model.fit(**rest, epochs=options.passes + 1, callbacks=[clock], verbose=0)
    return clock.epochs


class _Clock(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.epochs: list[tuple[float, float]] = []
        self._started = 0.0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._started = time.perf_counter(), time.process_time()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.epochs.append((time.perf_counter() - self._started[0], time.process_time() - self._started[1]))


def _rates(rows: int, passes: list[tuple[float, float]]) -> tuple[str, str]:
    seconds, cpu = (statistics.median(one[i] for one in passes[1:]) for i in (0, 1))
    return f"{rows / seconds:,.0f}", f"{rows / cpu:,.0f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000, help="rows of the split (500000)")
    parser.add_argument("--batch-size", type=int, default=CASE.batch_size, help=f"rows a batch ({CASE.batch_size})")
    parser.add_argument("--passes", type=int, default=2, help="passes that count, after a first one (2)")
    parser.add_argument("--way", action="append", choices=list(_WAYS), help="measure this way; may be repeated")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

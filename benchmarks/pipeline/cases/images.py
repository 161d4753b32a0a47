"""Pictures: PNGs of 32 x 32 pixels in TFRecords of tf.Example, decoded by preprocessing_fn.

Trainyard could read folders of pictures, but stock TFX cannot, so both sides get the same TFRecord files.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from benchmarks.pipeline.case import Case, Column
from benchmarks.pipeline.csv_files import blocks

if TYPE_CHECKING:
    import keras

    from components.trainer import ModelSchema

_SEED = 17
_SIZE = 32
_FILES = 4


class Images(Case):
    title = "PNGs of 32 x 32 pixels"
    label = "label"
    slice_by = "label"
    classes = tuple(range(10))
    columns = (
        Column("image", "BYTES", more="image_domain {}"),  # bytes, not text
        Column("label", "INT", more="int_domain { min: 0 max: 9 }"),
    )
    hyperparameters = {"learning_rate": 0.003, "filters": 8}
    batch_size = 128
    format = "tfrecord"
    default_rows = 50_000

    def generate(self, rows: int, folder: pathlib.Path) -> None:
        import tensorflow as tf

        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(_SEED)
        for number, count in enumerate(blocks(rows, -(-rows // _FILES))):
            with tf.io.TFRecordWriter(str(folder / f"pictures-{number:02}.tfrecord")) as writer:
                for picture, label in zip(*_pictures(count, random), strict=True):
                    png = tf.io.encode_png(picture[:, :, None]).numpy()
                    features = {
                        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
                        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
                    }
                    example = tf.train.Example(features=tf.train.Features(feature=features))
                    writer.write(example.SerializeToString(deterministic=True))

    def preprocessing_fn(self, inputs: dict[str, Any]) -> dict[str, Any]:
        import tensorflow as tf

        pixels = tf.map_fn(_decode, inputs["image"], fn_output_signature=tf.TensorSpec([_SIZE * _SIZE], tf.uint8))
        return {"pixels": tf.cast(pixels, tf.float32) / 255.0}

    def build_model(self, schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
        import keras
        from keras import layers

        inputs = schema.inputs()
        x = layers.Reshape((_SIZE, _SIZE, 1))(inputs["pixels"])
        for width in (hyperparameters["filters"], 2 * hyperparameters["filters"]):
            x = layers.MaxPooling2D()(layers.Conv2D(width, 3, padding="same", activation="relu")(x))
        x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
        return keras.Model(inputs, schema.outputs(x))

    def read(self, folder: pathlib.Path) -> pa.Table:
        import tensorflow as tf

        specs = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
        files = sorted(map(str, folder.iterdir()))
        batches = tf.data.TFRecordDataset(files).batch(1024).map(lambda x: tf.io.parse_example(x, specs))
        tables = [
            pa.table({"image": pa.array(batch["image"], pa.binary()), "label": batch["label"]})
            for batch in batches.as_numpy_iterator()
        ]
        return pa.concat_tables(tables)

    def transform(self, table: pa.Table, analysed: Any) -> dict[str, np.ndarray]:
        import tensorflow as tf

        pngs = np.array(table.column("image").to_pylist(), dtype=object)
        decoded = tf.data.Dataset.from_tensor_slices(pngs).map(_decode, tf.data.AUTOTUNE).batch(1024)
        return {"pixels": np.concatenate(list(decoded.as_numpy_iterator())).astype(np.float32) / np.float32(255)}


def _decode(png: Any) -> Any:
    import tensorflow as tf

    return tf.ensure_shape(tf.reshape(tf.io.decode_png(png, channels=1), [-1]), [_SIZE * _SIZE])


def _pictures(rows: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits, enlarged four times, shifted and with noise: uint8 [N, 32, 32], and labels [N]."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    drawn = random.integers(0, len(digits.target), rows)
    large = np.kron(digits.images[drawn] * 13, np.ones((1, 4, 4)))
    shifts = random.integers(-3, 4, (rows, 2))
    moved = np.stack([np.roll(one, tuple(by), (0, 1)) for one, by in zip(large, shifts, strict=True)])
    noise = random.integers(0, 40, moved.shape)
    return (moved + noise).clip(0, 255).astype(np.uint8), digits.target[drawn]


CASE = Images()

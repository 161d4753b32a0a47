"""Features of the taxi workload: what training sees is what serving sees."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

Column: TypeAlias = tf.Tensor | tf.SparseTensor

# Right-skewed: a few trips are far longer and dearer than the rest.
AMOUNTS = ("fare", "trip_miles", "trip_seconds")
COORDINATES = ("pickup_latitude", "pickup_longitude", "dropoff_latitude", "dropoff_longitude")
# Column -> period; the last month lies next to the first.
CYCLES = {"trip_start_hour": 24, "trip_start_day": 7, "trip_start_month": 12}
# Column -> what stands in where the value is missing; missing is a category of its own.
CATEGORIES: dict[str, str | int] = {
    "payment_type": "",
    "company": "",
    "pickup_community_area": -1,
    "dropoff_community_area": -1,
}
# Most of the 61 companies are single cabs with a handful of trips each: they share the out-of-vocabulary bucket.
VOCABULARY_LIMIT = 80
MIN_FREQUENCY = 5


def preprocessing_fn(inputs: dict[str, Column]) -> dict[str, tf.Tensor]:
    """Standardises numbers, puts times on a circle and numbers the categories.

    Args:
        inputs: the raw columns, dense [N] where always present, else sparse.

    Returns:
        float32 [N] for numbers, int64 [N] ids for categories.
    """
    features = {}
    for name in AMOUNTS:
        features[name] = _dense(tft.scale_to_z_score(_map_values(inputs[name], _log)), 0.0)
    for name in COORDINATES:
        features[name] = _dense(tft.scale_to_z_score(_map_values(inputs[name], _float)), 0.0)
    for name, period in CYCLES.items():
        angle = tf.cast(inputs[name], tf.float32) * (2 * math.pi / period)
        features[f"{name}_sin"], features[f"{name}_cos"] = tf.sin(angle), tf.cos(angle)
    for name, missing in CATEGORIES.items():
        features[name] = tft.compute_and_apply_vocabulary(
            _dense(inputs[name], missing),
            top_k=VOCABULARY_LIMIT,
            frequency_threshold=MIN_FREQUENCY,
            num_oov_buckets=1,
            vocab_filename=name,
        )
    return features


def _float(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32)


def _log(x: tf.Tensor) -> tf.Tensor:
    return tf.math.log1p(tf.maximum(_float(x), 0.0))


def _map_values(column: Column, function: Callable[[tf.Tensor], tf.Tensor]) -> Column:
    return column.with_values(function(column.values)) if isinstance(column, tf.SparseTensor) else function(column)


def _dense(x: Column, missing: float | str) -> tf.Tensor:
    """[N] with `missing` where a row has no value. A standardised number's 0 is the mean."""
    if not isinstance(x, tf.SparseTensor):
        return x
    one_a_row = tf.SparseTensor(x.indices, x.values, [x.dense_shape[0], 1])
    return tf.squeeze(tf.sparse.to_dense(one_a_row, tf.constant(missing, x.dtype)), axis=1)

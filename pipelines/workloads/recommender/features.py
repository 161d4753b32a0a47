"""Features of the recommender workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

CATEGORIES = ("user", "gender", "occupation", "zip_region", "item")
GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
# Words of titles share so many places: most words are of one film, and that one has a number of its own.
WORD_BUCKETS = 256
DECADES = (1930.0, 1940.0, 1950.0, 1960.0, 1970.0, 1980.0, 1990.0)
AGES = (18.0, 25.0, 35.0, 45.0, 55.0)


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Numbers categories, and says which genres and words a film has.

    Args:
        inputs: the raw columns, dense [N]; `year`, which a film may lack, sparse.

    Returns:
        int64 [N] ids for categories; float32 [N, d] of zeros and ones for `ages`, `decades`, `genres` and `words`.
    """
    features = {
        name: tft.compute_and_apply_vocabulary(inputs[name], num_oov_buckets=1, vocab_filename=name)
        for name in CATEGORIES
    }
    year = inputs["year"]
    dense = tf.sparse.to_dense(tf.SparseTensor(year.indices, year.values, [year.dense_shape[0], 1]))[:, 0]
    genres = tf.strings.split(inputs["genres"], "|").to_tensor("")
    words = tf.strings.split(tf.strings.regex_replace(tf.strings.lower(inputs["title"]), "[^a-z0-9]+", " "))
    buckets = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, words, WORD_BUCKETS).to_tensor(-1)
    return {
        **features,
        "ages": _above(inputs["age"], AGES),
        "decades": _above(dense, DECADES),
        "genres": _any(genres[:, :, tf.newaxis] == tf.constant(GENRES), len(GENRES)),
        "words": _any(tf.one_hot(buckets, WORD_BUCKETS) > 0, WORD_BUCKETS),
    }


def _above(numbers: tf.Tensor, borders: tuple[float, ...]) -> tf.Tensor:
    """Which borders a number has passed, [N, borders]."""
    return tf.cast(tf.cast(numbers, tf.float32)[:, tf.newaxis] >= borders, tf.float32)


def _any(found: tf.Tensor, size: int) -> tf.Tensor:
    """What any of a row's parts has, [N, parts, size] -> [N, size]."""
    return tf.ensure_shape(tf.cast(tf.reduce_any(found, axis=1), tf.float32), [None, size])

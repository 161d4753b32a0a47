"""Features of the sentiment workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf
from vocabulary import FIRST, words  # type: ignore[import-not-found]  # beside this file

LENGTH = 48  # words and marks of a sentence; one in a hundred has more, which are cut off


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Splits sentences into words and marks, and looks them up.

    Args:
        inputs: `text`, string [N], UTF-8.

    Returns:
        `words`: ids of int64 [N, LENGTH]; 0 behind the last word, 1 for an unknown one.
    """
    plain = tf.strings.lower(inputs["text"], encoding="utf-8")
    # As the vectors' words are written: do n't, it 's.
    plain = tf.strings.regex_replace(plain, r"(n't|'[a-z]+)\b", r" \1 ")
    plain = tf.strings.regex_replace(plain, r"([^\pL\pN'\s])", r" \1 ")
    split = tf.strings.split(plain).to_tensor("", shape=[None, LENGTH])
    known = words()
    ids = tf.range(FIRST, FIRST + len(known), dtype=tf.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(known, ids), 1)
    return {"words": tf.where(split == "", tf.constant(0, tf.int64), table.lookup(split))}

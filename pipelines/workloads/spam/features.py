"""Features of the spam workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

LENGTH = 48  # words and marks of a message; what follows is cut off
_WORDS = 8000


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Splits messages into words and marks, and looks them up.

    Args:
        inputs: `text`, string [N], UTF-8.

    Returns:
        `words`, ids of int64 [N, LENGTH], and `known`, float32 [N, LENGTH]: 1 for a word, 0 behind the last one.
    """
    plain = tf.strings.lower(inputs["text"], encoding="utf-8")
    # Telephone numbers and prices: how long a number is says more than which one it is.
    plain = tf.strings.regex_replace(plain, r"\pN", "0")
    plain = tf.strings.regex_replace(plain, r"([^\pL\pN'\s])", r" \1 ")
    words = tf.strings.split(plain).to_tensor("", shape=[None, LENGTH])
    ids = tft.compute_and_apply_vocabulary(words, top_k=_WORDS, num_oov_buckets=1, vocab_filename="words")
    return {"words": ids, "known": tf.cast(words != "", tf.float32)}

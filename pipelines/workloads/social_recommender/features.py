"""Features of the social_recommender workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft

FRIENDS = 48  # of a user; one in seventeen has more, who are cut off
_NOBODY = -1


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Numbers users, their friends and artists; those that train does not have share the last number.

    Args:
        inputs: `user` and `artist`, int64 [N]; `friends`, string [N], numbers of users with spaces between them.

    Returns:
        int64 `user` [N] and `artist` [N], and `friends` [N, FRIENDS], which users' numbers are, behind the last one the last number.
    """
    users = tft.vocabulary(inputs["user"], vocab_filename="user")
    friends = tf.strings.split(inputs["friends"]).to_tensor(str(_NOBODY), shape=[None, FRIENDS])
    numbers = tf.strings.to_number(friends, tf.int64)
    return {
        "user": tft.apply_vocabulary(inputs["user"], users, num_oov_buckets=1),
        "friends": tft.apply_vocabulary(numbers, users, num_oov_buckets=1),
        "artist": tft.compute_and_apply_vocabulary(inputs["artist"], num_oov_buckets=1, vocab_filename="artist"),
    }

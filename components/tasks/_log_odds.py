"""How sure a model is of a class, in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from components.tasks._classes import EPSILON


def log_odds(output: Any, classes: Any, scores: Callable[[Any], Any]) -> Any:
    """Of a class of each row, [N].

    Where a sigmoid or softmax ends the model, of what that was given: in float32 a sure probability is 1, and has no slope.

    Args:
        output: of the model, [N, C], or [N, 1] of two classes.
        classes: their indices, [N].
        scores: an output -> the probability of each class, [N, C].
    """
    import tensorflow as tf

    last = output.op
    if last.type == "Softmax":
        logits = last.inputs[0]
    elif last.type == "Sigmoid":
        logits = tf.concat([tf.zeros_like(output), last.inputs[0]], axis=1)
    else:
        logits = tf.math.log(tf.clip_by_value(scores(output), EPSILON, 1.0))
    own = tf.one_hot(classes, logits.shape[1], on_value=True, off_value=False)
    others = tf.reduce_logsumexp(tf.where(own, logits.dtype.min, logits), axis=1)
    return tf.gather(logits, classes, batch_dims=1) - others

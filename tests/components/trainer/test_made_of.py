"""Which columns a feature is made of, through functions that call functions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from components.trainer._made_of import made_of


def test_outputs_are_followed_into_what_is_called() -> None:
    scale = tf.Variable(2.0)

    @tf.function
    def inner(x: Any, y: Any) -> tuple[Any, Any]:
        with tf.control_dependencies([x]):  # an order, and nothing that y is made of
            return scale * x, tf.identity(y)

    @tf.function
    def outer(values: dict[str, Any]) -> tuple[Any, Any]:
        doubled, same = inner(values["fare"], values["miles"])
        return doubled + tf.sparse.reduce_sum(values["tips"]), same

    def features(values: dict[str, Any]) -> dict[str, Any]:
        first, second = outer(values)
        return {
            "both": first,
            "alone": second,
            "late": tf.where(second > 1, values["hour"], 0.0),
            "none": tf.zeros([3]),
        }

    number = tf.TensorSpec([None], tf.float32)
    given = {"miles": number, "fare": number, "hour": number, "tips": tf.SparseTensorSpec([None, None], tf.float32)}
    function = tf.function(features, autograph=False).get_concrete_function({**given, "unused": number})
    assert made_of(function) == {
        "alone": ["miles"],
        "both": ["fare", "tips"],
        "late": ["miles", "hour"],
        "none": [],
    }

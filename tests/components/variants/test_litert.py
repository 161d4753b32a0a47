from __future__ import annotations

import keras
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from components.variants._litert import Operations, converted
from spec.errors import InputError


def converter(function, shape: list[int | None], *kept):
    module = tf.Module()
    module.kept = [one.value for one in kept]
    traced = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec(shape, tf.float32, "x"))
    return tf.lite.TFLiteConverter.from_concrete_functions([traced], module)


def test_the_head_is_what_follows_the_last_weights() -> None:
    layers = [keras.layers.Dense(8, "swish"), keras.layers.Dense(3, "softmax"), keras.layers.Reshape((3,))]
    model = keras.Sequential([keras.Input((4,)), *layers])
    content = converted(converter(lambda x: model(x), [None, 4], *model.variables))
    operations = Interpreter(model_content=content)._get_ops_details()
    made = Interpreter(model_content=content).get_tensor_details()
    names = {one["index"]: one["name"] for one in made}
    exact = Operations(content).exact
    of_head = [one["op_name"] for one in operations if names[one["outputs"][0]] in exact]
    assert {"FULLY_CONNECTED", "SOFTMAX"} <= set(of_head) and "LOGISTIC" not in of_head
    assert of_head.count("FULLY_CONNECTED") == 1


def test_an_operation_that_litert_lacks_is_named() -> None:
    with pytest.raises(InputError, match=r"it has no Digamma\. Build the model without that"):
        converted(converter(tf.math.digamma, [None, 4]))


def test_what_becomes_an_id_is_exact() -> None:
    ids = keras.Input((1,), dtype="int64")
    one_hot = keras.layers.CategoryEncoding(5, output_mode="one_hot")(ids)
    model = keras.Model(ids, keras.layers.Dense(2)(keras.layers.Dense(4, "relu")(one_hot)))
    module = tf.Module()
    module.kept = [one.value for one in model.variables]
    traced = tf.function(lambda x: model(x), autograph=False).get_concrete_function(tf.TensorSpec([None, 1], tf.int64))
    content = converted(tf.lite.TFLiteConverter.from_concrete_functions([traced], module))
    exact = " ".join(Operations(content).exact)
    assert "category_encoding" in exact and "one_hot" in exact
    assert "StatefulPartitionedCall" in exact and "Relu" not in exact  # of the two dense layers the last

"""Which inputs an analyzer depends on, against TFT's own answer."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import tensorflow as tf
from tensorflow_transform import graph_tools, tf_utils

from components.transform._source_keys import quick_source_keys, source_keys


@pytest.fixture
def inputs() -> dict[str, Any]:
    """Placeholders of a graph: dense and sparse ones."""
    with tf.Graph().as_default():
        dense = {f"x{n}": tf.compat.v1.placeholder(tf.float32, [None], f"x{n}") for n in range(20)}
        return {**dense, "sparse": tf.compat.v1.sparse_placeholder(tf.string, [None, None], "sparse")}


def test_the_same_keys_as_tfts(inputs: dict[str, Any]) -> None:
    with inputs["x0"].graph.as_default():
        for tensors in (
            [inputs["x3"] + inputs["x5"]],
            [tf.stack([inputs[f"x{n}"] for n in range(20)])],
            [tf.strings.length(inputs["sparse"].values), inputs["x1"] * 2],
            [tf.constant(1.0)],
            [],
        ):
            assert source_keys(tensors, inputs) == graph_tools._retrieve_source_keys(tensors, inputs)


def test_each_input_is_looked_at_once(inputs: dict[str, Any]) -> None:
    """TFT compares each source of an analyzer with each input: with 2,000 inputs that took a third of Transform's time."""
    with inputs["x0"].graph.as_default():
        together = tf.stack([inputs[f"x{n}"] for n in range(20)])
    with mock.patch.object(tf_utils, "hashable_tensor_or_op", wraps=tf_utils.hashable_tensor_or_op) as looked:
        assert len(source_keys([together], inputs)) == 20
    assert looked.call_count <= 20 + 20 + 3  # sources, inputs, and the parts of the sparse one


def test_tft_has_its_own_again_afterwards() -> None:
    theirs = graph_tools._retrieve_source_keys
    with quick_source_keys():
        assert graph_tools._retrieve_source_keys is source_keys
    assert graph_tools._retrieve_source_keys is theirs

from __future__ import annotations

import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.tasks import find
from components.transform.labels import output_classes
from spec.errors import InputError


def schema(feature: str) -> schema_pb2.Schema:
    return text_format.Parse(f'feature {{ name: "y" {feature} }}', schema_pb2.Schema())


INTS = schema("type: INT int_domain { min: 1 max: 3 }")
WORDS = schema('type: BYTES string_domain { value: "no" value: "yes" }')


def test_classes_come_from_the_domain() -> None:
    assert output_classes(INTS, "y", find("multiclass")) == ["1", "2", "3"]
    assert output_classes(WORDS, "y", find("binary")) == ["no", "yes"]
    assert output_classes(WORDS, "y", find("binary"), "no") == ["yes", "no"]
    assert output_classes(schema("type: FLOAT"), "y", find("regression")) == []
    assert output_classes(INTS, "y", find("ranking")) == []


@pytest.mark.parametrize(
    ("found", "task", "positive", "part"),
    [
        (schema("type: INT"), "binary", "", "needs its classes as a domain"),
        (INTS, "binary", "", "two classes"),
        (WORDS, "binary", "maybe", "positive_class"),
        (schema("type: INT int_domain { min: 1 max: 1 }"), "multiclass", "", "two classes or more"),
    ],
)
def test_a_domain_that_does_not_fit_the_task(found, task: str, positive: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        output_classes(found, "y", find(task), positive)


def test_an_unknown_label_column() -> None:
    with pytest.raises(InputError, match="has no feature 'z'"):
        output_classes(WORDS, "z", find("binary"))


def test_labels_become_indices() -> None:
    assert find("multiclass")(["1", "2", "3"]).targets(tf.constant([3, 1, 9], tf.int64)).numpy().tolist() == [2, 0, -1]
    assert find("binary")(["no", "yes"]).targets(tf.constant(["yes", "no"])).numpy().tolist() == [1, 0]
    assert find("regression")([]).targets(tf.constant([1.5])).numpy().tolist() == [1.5]
    assert find("ranking")([]).targets(tf.constant([3, 0], tf.int64)).numpy().tolist() == [3.0, 0.0]

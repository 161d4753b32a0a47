"""What our Transform adds to TFT, on features of a few lines."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import tensorflow as tf

from components.tasks import find
from components.transform.preprocessing import ColumnNotRead, with_label


@pytest.mark.parametrize(
    ("task", "outputs"), [("regression", {"x", "y"}), ("tests.components.tasks.made_up.AnyWidth", {"x"})]
)
def test_a_label_for_judging_alone_is_no_target(task: str, outputs: set[str]) -> None:
    transform = with_label(lambda inputs: {"x": inputs["x"]}, contextlib.nullcontext, "features.py", "y", find(task)())
    assert set(transform({"x": tf.constant([1.0]), "y": tf.constant([2.0])})) == outputs


def test_a_personal_column_reaches_no_feature() -> None:
    given = {"age": tf.constant([1.0]), "fare": tf.constant([2.0]), "y": tf.constant([3.0])}

    def transform(function: Callable[[dict[str, Any]], dict[str, Any]], *withheld: str) -> set[str]:
        made = with_label(function, contextlib.nullcontext, "features.py", "y", None, withheld=withheld)
        return set(made(given))

    assert transform(lambda inputs: dict(inputs), "age") == {"fare"}
    assert transform(lambda inputs: dict(inputs)) == {"age", "fare"}
    with pytest.raises(ColumnNotRead, match=r"'age' is personal .* write data.personal_features: \[age\]"):
        transform(lambda inputs: {"x": inputs["age"]}, "age")

"""What our Transform adds to TFT, on features of a few lines."""

from __future__ import annotations

import contextlib

import pytest
import tensorflow as tf

from components.tasks import find
from components.transform.preprocessing import with_label


@pytest.mark.parametrize(
    ("task", "outputs"), [("regression", {"x", "y"}), ("tests.components.tasks.made_up.AnyWidth", {"x"})]
)
def test_a_label_for_judging_alone_is_no_target(task: str, outputs: set[str]) -> None:
    transform = with_label(lambda inputs: {"x": inputs["x"]}, contextlib.nullcontext, "features.py", "y", find(task)())
    assert set(transform({"x": tf.constant([1.0]), "y": tf.constant([2.0])})) == outputs

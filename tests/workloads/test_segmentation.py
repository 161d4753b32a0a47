"""The segmentation workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components import user_code
from components.tasks import Feature, ModelSchema, find
from spec.splits import TEST, TRAIN

TRAIN_ROWS = 5000  # before those of the test split


@pytest.fixture(scope="module")
def segmentation(case: Callable[[str], Any]) -> Any:
    return case("segmentation")


@pytest.fixture(scope="module")
def rows(segmentation: Any) -> dict[str, pa.Table]:
    found = segmentation.rows()
    return {TRAIN: found.slice(0, 400), TEST: found.slice(TRAIN_ROWS, 200)}


@pytest.fixture(scope="module")
def task(segmentation: Any) -> Any:
    return find("segmentation")(options=segmentation.workload.task_options)


def _values(task: Any, rows: pa.Table, masks: np.ndarray) -> dict[str, Any]:
    return task.values(task.reduce(task.terms(task.read_labels(rows["mask"], "mask"), masks)))


def test_the_data_keeps_its_contracts(segmentation: Any, rows: dict[str, pa.Table]) -> None:
    for some in rows.values():
        assert segmentation.anomalies(some) == {}
        assert [one for one in segmentation.failed_expectations(some) if "critical" in one] == []


def test_the_classes_are_those_of_the_masks(task: Any, rows: dict[str, pa.Table]) -> None:
    masks = task.read_labels(rows[TEST]["mask"], "mask")
    assert masks.shape == (200, 64, 64) and set(np.unique(masks)) == set(range(len(task.classes)))


def test_a_threshold_finds_the_ink_and_most_digits(segmentation: Any, task: Any, rows: dict[str, pa.Table]) -> None:
    threshold = user_code.load_function(str(segmentation.folder / "baseline.py"), "threshold")
    masks = threshold(rows[TRAIN], rows[TEST].drop_columns("mask"), task)
    assert masks.shape == (200, 64, 64) and task.valid(masks).all()
    found = _values(task, rows[TEST], masks)
    assert 0.4 < found["miou"] < 0.8 and found["pixel_accuracy"] > 0.97


def test_the_network_is_of_the_pictures_size_and_learns(
    segmentation: Any, task: Any, rows: dict[str, pa.Table]
) -> None:
    import tensorflow as tf

    late_fn = user_code.load_function(str(segmentation.folder / "features.py"), "late_fn")
    pictures = late_fn({"image": tf.constant(rows[TRAIN]["image"].to_pylist()[:128])}, True)["picture"].numpy()
    assert pictures.shape == (128, 64, 64, 1) and 0 <= pictures.min() < 0.3 < pictures.max() <= 1
    masks = task.read_labels(rows[TRAIN]["mask"], "mask")[:128].astype(np.int32)
    options = segmentation.workload.task_options.model_dump()
    schema = ModelSchema(
        {"picture": Feature("picture", "float32", (64, 64, 1))}, "segmentation", "mask", task_options=options
    )
    build = user_code.load_function(str(segmentation.folder / "model.py"), "build_model")
    steps = {"steps_per_epoch": 4, "epochs": 3}
    model = build(schema, {**segmentation.workload.training.hyperparameters, "filters": 4, **steps})
    assert model.output_shape == (None, 64, 64, 11)
    losses = model.fit({"picture": pictures}, masks, batch_size=32, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]

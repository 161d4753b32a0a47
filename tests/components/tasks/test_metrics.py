from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics

from components.tasks import find
from components.tasks.binary import Binary
from components.tasks.multiclass import Multiclass
from components.tasks.regression import Regression
from spec import metrics


def test_each_model_is_measured_at_its_own_threshold() -> None:
    """A champion that was released with another threshold keeps it; the areas know none."""
    labels, answers = np.array([0, 0, 1, 1]), np.array([0.1, 0.35, 0.3, 0.9])
    half, third = Binary(), Binary(threshold=0.25)
    sums = [one.reduce(one.terms(labels, answers)) for one in (half, third)]
    assert (half.value("recall", sums[0]), half.value("recall", sums[1])) == (0.5, 1.0)
    assert half.value("precision", sums[1]) == pytest.approx(2 / 3)
    assert half.value("auc", sums[0]) == half.value("auc", sums[1])


@pytest.fixture(scope="module")
def binary() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    labels = (random.random(20_000) < 0.3).astype(np.int64)
    return labels, np.clip(random.beta(2, 5, 20_000) + 0.15 * labels, 0, 1).astype(np.float32)


def test_binary_metrics_agree_with_keras(binary: tuple[np.ndarray, np.ndarray]) -> None:
    import keras

    labels, predictions = binary
    one = Binary()
    found = one.values(one.reduce(one.terms(labels, predictions)))
    assert set(found) == set(find("binary").metric_names())
    # Areas are TFMA's to 1e-6 (test_tfma_files); TFMA rounds predictions to 10,000 buckets and Keras does not.
    for name, metric, tolerance in (
        ("auc", keras.metrics.AUC(num_thresholds=10_000), 1e-5),
        ("auc_pr", keras.metrics.AUC(num_thresholds=10_000, curve="PR"), 1e-4),
        ("accuracy", keras.metrics.BinaryAccuracy(), 1e-6),
        ("precision", keras.metrics.Precision(), 1e-6),
        ("recall", keras.metrics.Recall(), 1e-6),
        ("log_loss", keras.metrics.BinaryCrossentropy(), 1e-6),
    ):
        metric.update_state(labels, predictions)
        assert found[name] == pytest.approx(float(metric.result()), abs=tolerance), name
    assert found["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(labels, predictions), abs=1e-5)
    assert found["f1"] == pytest.approx(sklearn.metrics.f1_score(labels, predictions > 0.5))
    assert found["calibration"] == pytest.approx(predictions.astype(float).sum() / labels.sum())


def test_multiclass_metrics() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 5000)  # of five classes: the last is never seen
    logits = random.normal(size=(5000, 5)) + 1.5 * np.eye(5)[labels]
    predictions = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    one = Multiclass("abcde")
    sums = one.reduce(one.terms(labels, predictions))
    found = one.values(sums)
    called = predictions.argmax(axis=1)
    assert set(found) == set(find("multiclass").metric_names())
    assert found["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(labels, called))
    assert found["macro_f1"] == pytest.approx(sklearn.metrics.f1_score(labels, called, average="macro"))
    assert found["log_loss"] == pytest.approx(sklearn.metrics.log_loss(labels, predictions, labels=range(5)))
    top_3 = sklearn.metrics.top_k_accuracy_score(labels, predictions, k=3, labels=range(5))
    assert found["top_3_accuracy"] == pytest.approx(top_3)
    assert (one.confusion(sums) == sklearn.metrics.confusion_matrix(labels, called, labels=range(5))).all()


def test_regression_metrics_keep_their_digits_far_from_zero() -> None:
    random = np.random.default_rng(0)
    labels = 1.7e9 + random.normal(size=5000)
    predictions = labels + random.normal(scale=0.5, size=5000) + 0.1
    one = Regression(pivot=float(labels[0]))
    found = one.values(one.reduce(one.terms(labels, predictions)))
    assert set(found) == set(find("regression").metric_names())
    assert found["rmse"] == pytest.approx(sklearn.metrics.root_mean_squared_error(labels, predictions))
    assert found["mae"] == pytest.approx(sklearn.metrics.mean_absolute_error(labels, predictions))
    assert found["mape"] == pytest.approx(100 * sklearn.metrics.mean_absolute_percentage_error(labels, predictions))
    assert found["r2"] == pytest.approx(sklearn.metrics.r2_score(labels, predictions), abs=1e-6)
    assert found["bias"] == pytest.approx((predictions - labels).mean())


def test_what_is_undefined_is_none() -> None:
    one = Binary()
    found = one.values(one.reduce(one.terms(np.zeros(10, np.int64), np.full(10, 0.2))))
    assert found["auc"] is found["auc_pr"] is found["precision"] is found["recall"] is found["calibration"] is None
    assert found["accuracy"] == 1.0
    regression = Regression()
    constant = regression.values(regression.reduce(regression.terms(np.zeros(3), np.ones(3))))
    assert constant["r2"] is None and constant["mape"] is None and constant["rmse"] == 1.0


def test_sums_of_parts_are_the_sums_of_the_whole(binary: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predictions = binary
    one = Binary()
    rows = [one.terms(labels[part], predictions[part]) for part in (slice(0, 7000), slice(7000, None))]
    merged = one.reduce(rows[0]) + one.reduce(rows[1])
    assert one.values(merged) == pytest.approx(one.values(one.reduce(one.terms(labels, predictions))))


def test_weights_count_rows_so_often(binary: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predictions = binary
    one = Binary()
    weights = np.random.default_rng(1).integers(0, 4, len(labels))
    weighted = one.values(one.reduce(one.terms(labels, predictions), weights=weights))
    repeated = one.terms(np.repeat(labels, weights), np.repeat(predictions, weights))
    assert weighted == pytest.approx(one.values(one.reduce(repeated)))


def test_slices_are_those_of_the_rows_alone(binary: tuple[np.ndarray, np.ndarray]) -> None:
    labels, predictions = binary
    one = Binary()
    slices = np.random.default_rng(1).integers(0, 3, len(labels))
    sums = one.reduce(one.terms(labels, predictions), slices, 3)
    alone = one.terms(labels[slices == 2], predictions[slices == 2])
    assert one.values(sums, 2) == pytest.approx(one.values(one.reduce(alone)))


@pytest.mark.parametrize(
    ("metric", "challenger", "champion", "loss"),
    [("auc", 0.7, 0.8, 0.1), ("rmse", 2.0, 1.5, 0.5), ("bias", -0.3, 0.1, 0.2), ("calibration", 1.1, 0.8, -0.1)],
)
def test_loss_knows_which_way_is_good(metric: str, challenger: float, champion: float, loss: float) -> None:
    assert metrics.find(metric).loss(challenger, champion) == pytest.approx(loss)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import sklearn.metrics

from components.autoencoder import Autoencoder
from components.tasks import Feature, ModelSchema, ShownRows
from components.tasks.reconstruction import Reconstruction
from spec.errors import InputError

SHARES = {"unit_interval": True}


def judged(rows: int = 4000) -> tuple[np.ndarray, np.ndarray, Reconstruction]:
    """Truths and what is judged, of anomalies whose error is greater."""
    random = np.random.default_rng(0)
    truths = (random.random(rows) < 0.2).astype(np.int64)
    true = random.random((rows, 6))
    again = np.clip(true + random.normal(scale=0.05 + 0.05 * truths[:, None], size=true.shape), 0.01, 0.99)
    error, entropy = np.square(again - true).mean(axis=1), random.random(rows)
    task = Reconstruction(("digit", "letter"), options=SHARES)
    return truths, task.judged({"error": error, "cross_entropy": entropy}), task


def test_means_are_over_normal_rows_and_auc_over_all() -> None:
    truths, found, task = judged()
    values = task.values(task.reduce(task.terms(truths, found)))
    error, entropy = found[truths == 0].T
    assert values["mse"] == pytest.approx(error.mean())
    assert values["bce"] == pytest.approx(entropy.mean())
    assert values["psnr"] == pytest.approx((-10 * np.log10(error)).mean(), rel=1e-5)
    assert values["auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truths, found[:, 0]), abs=2e-4)
    assert task.trivial(task.reduce(task.terms(truths, found)), truths)["auc"] == 0.5


def test_a_baseline_answers_the_error_alone() -> None:
    truths, found, task = judged()
    predictions = task.judged({"error": found[:, 0]})
    assert task.valid(predictions).all()
    values = task.values(task.reduce(task.terms(truths, predictions)))
    assert values["bce"] is None and values["mse"] == pytest.approx(found[truths == 0, 0].mean())


def test_without_a_label_all_rows_are_normal_and_there_is_no_auc() -> None:
    _, found, _ = judged()
    task = Reconstruction()
    sums = task.reduce(task.terms(np.zeros(len(found)), task.judged({"error": found[:, 0]})))
    values = task.values(sums)
    assert values == {"mse": pytest.approx(found[:, 0].mean()), "bce": None, "psnr": None, "auc": None}
    assert task.data_checks(sums, "") == []


def test_a_test_split_without_anomalies_is_said() -> None:
    task = Reconstruction(("digit", "letter"))
    sums = task.reduce(task.terms(np.zeros(5, np.int64), np.ones((5, 2))))
    (check,) = task.data_checks(sums, "")
    assert not check.passes and "'digit'" in check.message


@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1.0, 1e12])
def test_errors_of_any_size_are_ranked(scale: float) -> None:
    task = Reconstruction(("no", "yes"))
    sums = task.reduce(task.terms(np.array([0, 1]), np.array([[1.0, 0.0], [1.1, 0.0]]) * scale))
    assert task.value("auc", sums) == (0.5 if scale == 1e-30 or scale == 1e12 else 1.0)


def test_ids_are_refused_with_what_to_do() -> None:
    schema = ModelSchema({"street": Feature("street", "int64", (), 40)}, "reconstruction", None)
    with pytest.raises(InputError, match=r"'street'.*int64.*tf.one_hot"):
        Reconstruction().head_shape(schema)


def test_a_label_of_three_classes_is_refused() -> None:
    with pytest.raises(InputError, match="has two classes"):
        Reconstruction.ordered_classes(["a", "b", "c"], "kind")
    assert Reconstruction.ordered_classes(["a", "b"], "kind", "a") == ["b", "a"]


def test_an_autoencoder_answers_its_code_too() -> None:
    import keras
    import tensorflow as tf

    features = {"side": Feature("side", "float32"), "pixels": Feature("pixels", "float32", (2, 3))}
    schema = ModelSchema(features, "reconstruction", None, task_options=SHARES)
    task = schema.kind
    inputs, code = schema.inputs(), keras.Input((4,))
    encoder = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Flatten()(inputs["pixels"])))
    model = Autoencoder(encoder, keras.Model(code, schema.outputs(code)))
    rows = {"side": tf.constant([0.5, 1.0]), "pixels": tf.reshape(tf.range(12.0) / 12, [2, 2, 3])}
    target = task.training_target(rows).numpy()
    assert target[1].tolist() == pytest.approx([*(np.arange(6, 12) / 12), 1.0])
    answers = task.answers(model(rows), rows, model)
    assert {name: tuple(value.shape) for name, value in answers.items()} == {
        "error": (2,),
        "cross_entropy": (2,),
        "reconstruction": (2, 7),
        "code": (2, 4),
    }
    assert answers["reconstruction"].numpy().min() > 0 and answers["reconstruction"].numpy().max() < 1
    np.testing.assert_array_equal(answers["code"], encoder(rows))
    again = answers["reconstruction"]
    np.testing.assert_allclose(answers["error"], keras.losses.mean_squared_error(target, again), rtol=1e-5)
    np.testing.assert_allclose(answers["cross_entropy"], keras.losses.binary_crossentropy(target, again), rtol=1e-4)
    decode = task.signatures(model, schema)["decode"]
    assert {name: spec.shape.as_list() for name, spec in decode.tensors.items()} == {"code": [None, 4]}
    np.testing.assert_array_equal(decode.answer({"code": answers["code"]})["reconstruction"], again)


@pytest.mark.parametrize(
    ("numbers", "shown"), [(64, (8, 8, 1)), (16 * 16, (16, 16, 1)), (4 * 4 * 3, (4, 4, 3)), (5, None)]
)
def test_a_picture_is_shown_beside_what_was_made_of_it_whatever_size_it_was_brought_to(
    numbers: int, shown: tuple[int, ...] | None
) -> None:
    import tensorflow as tf

    image = tf.io.encode_png(np.full((8, 8, 1), 200, np.uint8)).numpy()
    answers = {"error": np.array([0.5]), "reconstruction": np.full((1, numbers), 0.2, np.float32)}
    rows = ShownRows(pa.RecordBatch.from_pydict({"image": [image]}))
    galleries = Reconstruction(options=SHARES).gallery(rows, np.zeros(1), answers)
    assert [gallery.title for gallery in galleries] == (["Made again"] if shown else [])
    if shown:
        again = galleries[0].tiles[0].pictures[1]
        assert again.title == "again" and tuple(tf.io.decode_png(again.content).shape) == shown

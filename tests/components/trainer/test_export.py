from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

import answering
from components import served_model
from components.columnar import tfx_columns
from components.infra_validator.worker import Examination
from components.served_model import ServedModel
from components.served_model.explained import residual
from components.tasks import Task, find
from components.trainer import Feature, ModelSchema
from components.trainer._export import export
from spec.errors import InputError

RAW = {
    "trip miles": tf.io.VarLenFeature(tf.float32),
    "company": tf.io.VarLenFeature(tf.string),
    "at": tf.io.FixedLenFeature([2], tf.float32),
    "y": tf.io.FixedLenFeature([], tf.int64),
}
ROWS = pa.RecordBatch.from_pydict(
    {
        "trip miles": pa.array([1.0, None, 3.0, 8.0], pa.float32()),
        "company": pa.array(["yellow", "blue", None, "blue"]),
        "at": pa.array([[0.5, 1.0], [1.5, 2.0], [2.5, 3.0], [3.5, 4.0]], pa.list_(pa.float32())),
        "y": pa.array([0, 1, 0, 1]),
    }
)
# What the transformed features are for.
FEATURES = {
    "trip miles": Feature("trip miles", "float32"),
    "company": Feature("company", "int64", (), 3),
    "company/text": Feature("company/text", "string"),
    "at": Feature("at", "float32", (2,)),
}
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}


def preprocessing_fn(inputs):
    dense = {
        name: tf.sparse.to_dense(inputs[name], default)[:, 0]
        for name, default in (("trip miles", 0.0), ("company", ""))
    }
    return {
        "trip miles": tft.scale_to_z_score(dense["trip miles"]),
        "company": tft.compute_and_apply_vocabulary(dense["company"], num_oov_buckets=1, vocab_filename="company"),
        "company/text": dense["company"],
        "at": inputs["at"],
        "y": inputs["y"],
    }


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A transform graph with a vocabulary and a mean."""
    folder = tmp_path_factory.mktemp("transform")
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec(RAW)
    batch = tfx_columns(ROWS)
    config = tensor_adapter.TensorAdapterConfig(
        batch.schema, tensor_representation_util.InferTensorRepresentationsFromMixedSchema(metadata.schema)
    )
    with tft_beam.Context(temp_dir=str(folder / "temp")):
        _ = (([batch], config) | tft_beam.AnalyzeDataset(preprocessing_fn)) | tft_beam.WriteTransformFn(
            str(folder / "graph")
        )
    next(one for one in metadata.schema.feature if one.name == "company").annotation.tag.append("personal")
    metadata_io.write_metadata(metadata, str(folder / "graph" / "metadata"))  # as Transform does
    return str(folder / "graph")


def model_of(schema: ModelSchema) -> keras.Model:
    """A model with a lookup table of its own and, for training alone, random state."""
    inputs = schema.inputs()
    known = keras.layers.StringLookup(vocabulary=["blue", "yellow"], output_mode="one_hot")(inputs["company/text"])
    ids = keras.layers.Embedding(3, 2)(inputs["company"])
    miles = keras.layers.GaussianNoise(0.5)(keras.layers.Reshape((1,))(inputs["trip miles"]))
    x = keras.layers.Concatenate()([known, ids, miles, inputs["at"]])
    return keras.Model(inputs, schema.outputs(x))


def serialized(row: int) -> bytes:
    example = tf.train.Example()
    for name in ("trip miles", "at"):
        values = ROWS[name][row].as_py()
        if values is not None:
            example.features.feature[name].float_list.value.extend(np.ravel(values))
    if ROWS["company"][row].is_valid:
        example.features.feature["company"].bytes_list.value.append(ROWS["company"][row].as_py().encode())
    return example.SerializeToString()


@pytest.mark.parametrize("task", list(CLASSES))
def test_every_signature_answers_as_transform_and_model_do(graph: str, tmp_path, task: str) -> None:
    keras.utils.set_random_seed(1)
    transform = tft.TFTransformOutput(graph)
    schema = ModelSchema(FEATURES, task, "y", CLASSES[task])
    model = model_of(schema)
    raw = {
        "trip_miles": np.array([1.0, np.nan, 3.0, 8.0], np.float32),
        "company": np.array([b"yellow", b"blue", b"", b"blue"], object),
        "at": np.array(ROWS["at"].to_pylist(), np.float32),
    }
    miles = np.array([1.0, 0.0, 3.0, 8.0], np.float32)
    vocabulary = transform.vocabulary_by_name("company")
    features = {
        "trip miles": ((miles - miles.mean()) / miles.std()).astype(np.float32),
        "company": np.array([vocabulary.index(w) if w in vocabulary else len(vocabulary) for w in raw["company"]]),
        "company/text": raw["company"],
        "at": raw["at"],
    }
    expected = np.asarray(model({n: tf.constant(v) for n, v in features.items()}, training=False))

    # Between the rows, so that it divides them.
    threshold = float(np.sort(expected[:, 0])[1:3].mean()) if task == "binary" else 0.5
    export(model, transform, schema, tmp_path / "made", lambda column: ("NA", column), threshold)
    # Away from where it was made: vocabularies are inside.
    folder = pathlib.Path(shutil.move(tmp_path / "made", tmp_path / "moved"))
    # What meant a missing value in the data goes along, for texts.
    described = ServedModel.read(folder).features
    assert {name: one.na_values for name, one in described.items()} == {
        "trip miles": (),
        "company": ("NA", "company"),
        "at": (),
    }
    loaded = tf.saved_model.load(str(folder))
    examples = tf.constant([serialized(row) for row in range(4)])
    answers = [
        loaded.signatures["serving_default"](**{name: tf.constant(value) for name, value in raw.items()}),
        loaded.signatures["serving_examples"](examples=examples),
    ]
    output = find(task).output
    for answer in answers:
        np.testing.assert_allclose(answer[output], expected if task == "multiclass" else expected[:, 0], rtol=1e-5)
    if task == "regression":
        np.testing.assert_allclose(loaded.signatures["regress"](inputs=examples)["outputs"], expected[:, 0], rtol=1e-5)
        return
    scores = expected if task == "multiclass" else np.concatenate([1 - expected, expected], axis=1)
    classified = loaded.signatures["classify"](inputs=examples)
    np.testing.assert_allclose(classified["scores"], scores, rtol=1e-5)
    assert [one.decode() for one in classified["classes"].numpy()[0]] == list(CLASSES[task])
    indices = scores.argmax(axis=1) if task == "multiclass" else (expected[:, 0] > threshold).astype(int)
    for answer in answers:
        assert [one.decode() for one in answer["label"].numpy()] == [CLASSES[task][i] for i in indices]
        np.testing.assert_allclose(answer["confidence"], scores[np.arange(len(scores)), indices], rtol=1e-5)
    assert len(set(indices)) > 1 or task == "multiclass"
    assert served_model.ServedModel.read(folder).threshold == threshold
    described = json.loads((folder / served_model.SPEC_FILE).read_text())["features"]
    assert described["trip miles"]["input"] == "trip_miles"
    assert {name for name, feature in described.items() if feature["personal"]} == {"company"}


PARTLY = "tests.components.tasks.made_up.Partly"


def parts_model(schema: ModelSchema) -> keras.Model:
    inputs = schema.inputs()
    of_company = keras.layers.Embedding(3, 2, name="of_company")(inputs["company"])
    miles = keras.Input((), name="miles")
    of_miles = keras.Model(miles, keras.layers.Dense(2)(keras.layers.Reshape((1,))(miles)), name="of_miles")
    joined = keras.layers.Concatenate()([of_company, of_miles(inputs["trip miles"])])
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(joined))


def test_a_request_may_carry_a_part_and_other_signatures_the_rest(graph: str, tmp_path) -> None:
    transform = tft.TFTransformOutput(graph)
    schema = ModelSchema(FEATURES, PARTLY, "y")
    model = parts_model(schema)
    export(model, transform, schema, tmp_path / "made")
    described = ServedModel.read(tmp_path / "made")
    assert list(described.features) == ["company"]
    assert described.signatures == {"by_miles": {"trip miles": described.signatures["by_miles"]["trip miles"]}}
    loaded_module = tf.saved_model.load(str(tmp_path / "made"))
    loaded = loaded_module.signatures
    place = transform.vocabulary_by_name("company").index(b"blue")
    expected = model.get_layer("of_company").get_weights()[0][place]
    asked = loaded["serving_default"](company=tf.constant([b"blue"]))
    np.testing.assert_allclose(asked["prediction"], [expected], rtol=1e-6)
    example = tf.train.Example()
    example.features.feature["company"].bytes_list.value.append(b"blue")
    asked = loaded["serving_examples"](examples=tf.constant([example.SerializeToString()]))
    np.testing.assert_allclose(asked["prediction"], [expected], rtol=1e-6)
    mean, deviation = np.mean([1, 0, 3, 8]), np.std([1, 0, 3, 8])
    expected = model.get_layer("of_miles")(np.array([(3 - mean) / deviation], np.float32))
    np.testing.assert_allclose(loaded["by_miles"](trip_miles=tf.constant([3.0]))["miles"], expected, rtol=1e-5)
    examination = Examination(
        answering.SavedModel(tmp_path / "made"), ServedModel.read(tmp_path / "made"), ROWS, lambda stage: None
    )
    examination.run()
    assert [one["name"] for one in examination.checks if not one["passes"]] == []
    assert "by_miles answers a batch" in [one["name"] for one in examination.checks]
    code = np.ones((5, 4), np.float32)
    np.testing.assert_allclose(
        loaded["decode"](code=tf.constant(code))["both"], model.get_layer("last")(code), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"served": ("at",)}, "carries 'at' alone.* 'company' needs 'company', .*'trip miles' needs 'trip miles'"),
        (
            {"served": ("fare",)},
            "served_columns: must be raw columns other than the label: .*company.* Received: 'fare'",
        ),
        (
            {"served_output": Task.served_output},
            "carries 'company' alone.* 'at' needs 'at', 'trip miles' needs 'trip miles'",
        ),
    ],
)
def test_columns_that_do_not_suffice_are_named(graph: str, tmp_path, monkeypatch, changed, line: str) -> None:
    for name, value in changed.items():
        monkeypatch.setattr(find(PARTLY), name, value)
    schema = ModelSchema(FEATURES, PARTLY, "y")
    with pytest.raises(InputError, match=line):
        export(parts_model(schema), tft.TFTransformOutput(graph), schema, tmp_path / "made")


ORDINARY = {
    "trip miles": np.array(0, np.float32),
    "company": np.array(2),
    "company/text": np.array(b"blue", object),
    "at": np.array([2, 2.5], np.float32),
}
RAW_TENSORS = {
    "trip_miles": tf.constant([1.0, float("nan"), 3.0, 8.0]),
    "company": tf.constant([b"yellow", b"blue", b"", b"blue"]),
    "at": tf.constant(ROWS["at"].to_pylist()),
}


@pytest.mark.parametrize("task", list(CLASSES))
def test_a_model_explains_its_answers_by_raw_columns(graph: str, tmp_path, task: str) -> None:
    keras.utils.set_random_seed(1)
    schema = ModelSchema(FEATURES, task, "y", CLASSES[task])
    export(model_of(schema), tft.TFTransformOutput(graph), schema, tmp_path / "made", ordinary=ORDINARY)
    loaded = tf.saved_model.load(str(tmp_path / "made"))
    found = {name: value.numpy() for name, value in loaded.signatures["explain"](**RAW_TENSORS).items()}
    columns = {f"{one}_attribution" for one in ("trip_miles", "company", "at")}
    assert set(found) == {*columns, "explained", "baseline_score"}, "both features of the company are one column"
    assert {value.shape for value in found.values()} == {(4,)} and residual(found) < 1e-4
    answers = loaded.signatures["serving_default"](**RAW_TENSORS)
    sure = (
        answers["prediction"] if task == "regression" else np.log(answers["confidence"] / (1 - answers["confidence"]))
    )
    np.testing.assert_allclose(found["explained"], sure, rtol=1e-3)
    examination = Examination(
        answering.SavedModel(tmp_path / "made"), ServedModel.read(tmp_path / "made"), ROWS, lambda stage: None
    )
    examination.run()
    assert [one["name"] for one in examination.checks if not one["passes"]] == []
    assert "explain answers a batch" in [one["name"] for one in examination.checks]
    one = loaded.signatures["explain"](**{name: value[1:2] for name, value in RAW_TENSORS.items()})
    np.testing.assert_allclose(one["at_attribution"], found["at_attribution"][1:2], rtol=1e-4)


def stepped(x: Any) -> Any:
    return keras.ops.floor(3 * x)


class Contrast(keras.layers.Layer):
    def call(self, x: Any) -> Any:
        return tf.image.adjust_contrast(x[:, tf.newaxis, :, tf.newaxis], 2.0)[:, 0, :, 0]


def changed(schema: ModelSchema, change: Callable[[Any], Any]) -> keras.Model:
    inputs = schema.inputs()
    return keras.Model(inputs, schema.outputs(change(inputs["at"])))


def test_a_model_that_cuts_numbers_into_steps_is_not_released_as_explained(graph: str, tmp_path) -> None:
    schema = ModelSchema(FEATURES, "regression", "y")
    model = changed(schema, stepped)
    export(model, tft.TFTransformOutput(graph), schema, tmp_path / "made", ordinary=ORDINARY)
    examination = Examination(
        answering.SavedModel(tmp_path / "made"), ServedModel.read(tmp_path / "made"), ROWS, lambda stage: None
    )
    examination.run()
    (failed,) = [one for one in examination.checks if not one["passes"]]
    assert failed["name"] == "explain answers a batch"
    assert "leave 100.0% of the scores unexplained, at most 10% is allowed" in failed["message"]


def test_an_operation_without_a_gradient_is_named(graph: str, tmp_path) -> None:
    schema = ModelSchema(FEATURES, "regression", "y")
    model = changed(schema, Contrast())
    with pytest.raises(InputError, match=r"^export.explain: .*AdjustContrastv2.* or set export.explain: false"):
        export(model, tft.TFTransformOutput(graph), schema, tmp_path / "made", ordinary=ORDINARY)

"""What counted in a row: known of models whose answer is known."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from components.evaluator.occlusion import with_what_counted
from components.pictures import Pixels
from components.tasks import Marked, ShownRows
from components.tasks.binary import Binary
from components.tasks.multilabel import Multilabel
from components.tasks.regression import Regression

TEXT = "a film that is good in all that it does, and never bad in what it does not do"
SIDE = 8


def corner(pixels: Any) -> Any:
    return 4 * tf.reduce_mean(pixels[:, :2, :2], axis=[1, 2]) - 2 * tf.reduce_mean(pixels[:, -2:, -2:], axis=[1, 2])


def ink(given: dict[str, Any]) -> Any:
    return corner(tf.reshape(given["ink"], [-1, SIDE, SIDE]))


def photo(given: dict[str, Any]) -> Any:
    def decoded(one: Any) -> Any:
        return tf.cast(
            tf.ensure_shape(tf.io.decode_image(one, 1, expand_animations=False), [SIDE, SIDE, 1]), tf.float32
        )

    return corner(tf.map_fn(decoded, given["photo"], fn_output_signature=tf.float32)[..., 0] / 255)


def words(given: dict[str, Any]) -> Any:
    def has(word: str) -> Any:
        return tf.cast(tf.strings.regex_full_match(given["text"], f".*{word}.*"), tf.float32)

    return 2 * has("good") - has("bad")


def exported(folder: pathlib.Path, logit: Any, **features: dict[str, Any]) -> pathlib.Path:
    """A binary model of a logit."""

    def answer(**given: Any) -> dict[str, Any]:
        p = tf.sigmoid(logit(given))
        return {"probability": p, "label": tf.gather(tf.constant(["no", "yes"]), tf.cast(p > 0.5, tf.int32))}

    specs = {name: tf.TensorSpec([None, *one["shape"]], one["dtype"], name=name) for name, one in features.items()}
    served = tf.function(answer).get_concrete_function(**specs)
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": served})
    described = {"task": "binary", "label": "y", "classes": ["no", "yes"], "features": features}
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "trainyard.json").write_text(json.dumps(described))
    return folder


def marked(batch: pa.RecordBatch, model: pathlib.Path, label: bytes = b"yes", **pixels: Pixels) -> ShownRows:
    answers = {"probability": np.array([0.9]), "label": np.array([label], dtype=object)}
    task = Binary(["no", "yes"])
    return with_what_counted(ShownRows(batch, pixels), task, np.array([0]), answers, batch, model)


PICTURE = np.zeros((SIDE, SIDE, 1), np.uint8)
PICTURE[:2, :2] = PICTURE[-2:, -2:] = 255


@pytest.mark.parametrize("kind", ["ink", "photo"])
def test_a_patch_that_the_answer_rests_on_is_marked(kind: str, tmp_path: pathlib.Path) -> None:
    if kind == "ink":
        batch = pa.RecordBatch.from_pydict({"ink": pa.array([PICTURE.ravel() / 255], pa.list_(pa.float32(), SIDE**2))})
        model = exported(tmp_path / "model", ink, ink={"dtype": "float32", "shape": [SIDE**2]})
        rows = marked(batch, model, ink=Pixels(0, 1))
    else:
        batch = pa.RecordBatch.from_pydict({"photo": [tf.io.encode_png(PICTURE).numpy()]})
        rows = marked(batch, exported(tmp_path / "model", photo, photo={"dtype": "string", "shape": []}))
    counted = rows.counted[0, kind]
    assert counted.shape == (SIDE, SIDE) and counted.max() == counted[0, 0] == pytest.approx(1)
    assert (
        counted[-1, -1] == counted.min() == pytest.approx(-0.5, abs=0.01) and counted[3:5, 3:5].tolist() == [[0, 0]] * 2
    )
    tile = rows.tile(0, "yes")
    assert [one.title for one in tile.pictures] == ["", "what counted"] and "patch of the picture" in rows.key
    again = tf.io.decode_png(tile.pictures[1].content).numpy()
    (red, _, blue), (other_red, _, other_blue) = again[0, 0].astype(int), again[-1, -1].astype(int)
    assert red > blue and other_blue > other_red and np.ptp(again[4, 4]) == 0


def test_words_that_the_answer_rests_on_are_marked(tmp_path: pathlib.Path) -> None:
    batch = pa.RecordBatch.from_pydict({"text": [TEXT], "id": [7]})
    model = exported(tmp_path / "model", words, text={"dtype": "string", "shape": []})
    rows = marked(batch, model)
    (line,) = rows.words(0)
    assert isinstance(line, Marked) and "".join(text for text, _ in line.parts) == TEXT
    weights = {text.strip(): weight for text, weight in line.parts}
    assert (weights["good"], weights["bad"], weights["film"]) == (pytest.approx(1), pytest.approx(-0.5), 0)
    no = marked(batch, model, b"no").counted[0, "text"]
    np.testing.assert_allclose(no, -rows.counted[0, "text"])
    assert rows.key.startswith("Orange spoke for the answer") and "a word is left out" in rows.key


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": [TEXT]}, "Nothing is marked: no part alone changes an answer."),
        ({"other": [TEXT]}, "What counted is not marked: the model does not take 'other'."),
        ({"text": ["one two three"]}, ""),
    ],
)
def test_where_nothing_can_be_marked_a_line_says_why(
    columns: dict[str, Any], said: str, tmp_path: pathlib.Path
) -> None:
    model = exported(tmp_path / "model", lambda given: 0.0 * words(given), text={"dtype": "string", "shape": []})
    rows = marked(pa.RecordBatch.from_pydict(columns), model)
    assert (dict(rows.counted), rows.key) == ({}, said)


def test_a_model_that_refuses_a_changed_row_costs_the_marks_alone(tmp_path: pathlib.Path) -> None:
    def strict(given: dict[str, Any]) -> Any:
        with tf.control_dependencies([tf.debugging.assert_equal(given["text"], TEXT, message="never seen")]):
            return words(given)

    batch = pa.RecordBatch.from_pydict({"text": [TEXT]})
    rows = marked(batch, exported(tmp_path / "model", strict, text={"dtype": "string", "shape": []}))
    assert not rows.counted and rows.key.startswith("What counted is not marked: ") and "never seen" in rows.key
    assert rows.words(0) == [TEXT]
    assert "no such file" in marked(batch, tmp_path / "nowhere").key
    # A message may quote what the report does not show.
    given = batch.append_column("name", pa.array(["Ada"]))
    answers = {"probability": np.array([0.9]), "label": np.array([b"yes"], dtype=object)}
    rows = with_what_counted(ShownRows(batch), Binary(["no", "yes"]), np.array([0]), answers, given, tmp_path / "model")
    assert rows.key == "What counted is not marked: the model cannot be asked."


def test_a_task_without_a_class_is_not_explained(tmp_path: pathlib.Path) -> None:
    shown = ShownRows(pa.RecordBatch.from_pydict({"text": [TEXT]}))
    answers = {"prediction": np.zeros(1)}
    assert with_what_counted(shown, Regression(), np.zeros(1), answers, shown.batch, tmp_path) is shown


def test_what_a_multilabel_model_was_sure_of_is_that_a_class_holds_or_does_not() -> None:
    task = Multilabel(["cat", "dog"])
    truths, p = np.array([[True, False], [False, False]]), np.array([[0.2, 0.4], [0.3, 0.8]])
    sure = task.conviction(truths, {"probabilities": p})
    assert sure is not None
    changed = np.array([[0.2, 0.4], [0.5, 0.9], [0.3, 0.5]])
    found = sure({"probabilities": changed}, np.array([0, 0, 1]))
    assert found.tolist() == pytest.approx(
        [np.log(4), 0, 0], abs=1e-9
    )  # that it is no cat, twice, and that it is a dog


def test_without_spaces_each_character_is_a_word() -> None:
    from components.tasks import words_of

    assert [("とても良い film"[a:b]) for a, b in words_of("とても良い film")] == [*"とても良い", "film"]

"""What moved an answer: known in closed form, added up, and held against Shapley values."""

from __future__ import annotations

import json
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.served_model.explained import residual
from components.tasks import Feature, find
from components.trainer._explain import Explainer, map_shape, ordinary
from components.trainer._input import Split
from components.trainer.late import Late

Arrays = Mapping[str, np.ndarray]
ORDINARY = {
    "a": np.array(0.5, np.float32),
    "b": np.array([-1.0, 2.0], np.float32),
    "k": np.array(2),
    "l": np.array(0),
    "w": np.array(b"so", object),
}
ROWS = {
    "a": np.array([2.0, -1.0, 0.5], np.float32),
    "b": np.array([[0.0, 1.0], [3.0, -2.0], [-1.0, 2.0]], np.float32),
    "k": np.array([0, 1, 2]),
    "l": np.array([1, 1, 0]),
    "w": np.array([b"so", b"no", b"so"], object),
}
TABLE = np.array([[0.3, 1.5], [-2.0, 0.7], [1.1, -0.4]], np.float32)


def explained(
    score: Callable[[dict[str, Any]], Any], rows: Arrays = ROWS, at_once: int = 1000, **more: Any
) -> dict[str, np.ndarray]:
    """Each feature is a column of its own unless `inputs` says otherwise."""
    base = {name: ORDINARY[name] for name in rows}
    inputs = more.get("inputs", {name: [name] for name in rows})
    columns = sorted({one for made_of in inputs.values() for one in made_of})
    explainer = Explainer(lambda given, _: score(given), base, inputs, more.get("maps", {}), at_once)

    @tf.function(autograph=False)
    def answers(given: dict[str, Any]) -> dict[str, Any]:
        return explainer.answers(given, tf.zeros([tf.shape(next(iter(given.values())))[0], 1]), columns)

    return {name: value.numpy() for name, value in answers({n: tf.constant(v) for n, v in rows.items()}).items()}


def of_pairs(given: dict[str, Any]) -> Any:
    """Each pair of features does something together: numbers, a number and an id, two ids, an id and a text."""
    a, b = given["a"], given["b"]
    first, second = (tf.gather(TABLE[:, side], given["k"]) for side in (0, 1))
    other = tf.cast(given["l"], tf.float32)
    said = tf.where(given["w"] == b"so", 1.0, -0.5)
    return a * b[:, 0] + 3 * b[:, 1] + a * first + second * other + said * first + 0.7 * said * a + other


def test_a_linear_model_is_explained_exactly() -> None:
    numbers = {name: ROWS[name] for name in ("a", "b")}
    found = explained(lambda given: 3 * given["a"] + tf.linalg.matvec(given["b"], [0.5, -2.0]) + 7, numbers)
    np.testing.assert_allclose(found["a_attribution"], 3 * (ROWS["a"] - 0.5), atol=1e-5)
    moved = (ROWS["b"] - ORDINARY["b"]) @ np.array([0.5, -2.0])
    np.testing.assert_allclose(found["b_attribution"], moved, atol=1e-5)
    np.testing.assert_allclose(found["baseline_score"], np.full(3, 3 * 0.5 - 0.5 - 4 + 7), atol=1e-5)
    np.testing.assert_allclose(found["explained"] - found["baseline_score"], 3 * (ROWS["a"] - 0.5) + moved, atol=1e-5)
    assert found["a_attribution"].dtype == np.float32 and found["a_attribution"][2] == 0, "the ordinary row itself"


def test_effects_of_pairs_are_shapley_values() -> None:
    found = explained(of_pairs)
    # As a table of numbers, which is what shap takes: two columns are one vector, texts are numbered.
    base, values = shapley(table(ORDINARY)[0], table(ROWS)[:2])  # a row like the background it cannot take
    np.testing.assert_allclose(found["baseline_score"][:2], base, atol=1e-5)
    by_feature = {"a": values[:, 0], "b": values[:, 1:3].sum(axis=1)}
    by_feature |= {name: values[:, place] for name, place in (("k", 3), ("l", 4), ("w", 5))}
    for name, value in by_feature.items():
        assert np.abs(value).max() > 0.1, "or the test shows nothing"
        np.testing.assert_allclose(found[f"{name}_attribution"][:2], value, atol=1e-4)
    assert residual(found) < 1e-5


def table(rows: Arrays) -> np.ndarray:
    said = [[b"so", b"no"].index(one) for one in rows["w"].reshape(-1)]
    columns = [rows["a"].reshape(-1), rows["b"].reshape(-1, 2), rows["k"].reshape(-1), rows["l"].reshape(-1), said]
    return np.column_stack(columns)


def shapley(ordinary_row: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the package shap, whose compiler is larger than all else that tests need: it has an environment of its own."""
    uv = shutil.which("uv") or str(pathlib.Path(sys.prefix).parent / "tools" / "bin" / "uv")
    command = [uv, "run", "--quiet", "--no-project", "--python", sys.executable, "--with", "shap==0.51.0"]
    asked = json.dumps({"ordinary": ordinary_row.tolist(), "rows": rows.tolist(), "table": TABLE.tolist()})
    script = str(pathlib.Path(__file__).with_name("shapley.py"))
    done = subprocess.run([*command, script], input=asked, capture_output=True, text=True, timeout=300)
    if done.returncode and "No module named" not in done.stderr and "Traceback" not in done.stderr:
        pytest.skip(f"shap cannot be had: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return np.array(answer["base"]), np.array(answer["values"])


@pytest.mark.parametrize("at_once", [7, 1000])
def test_a_network_adds_up_however_its_path_is_cut(at_once: int) -> None:
    keras.utils.set_random_seed(3)
    inputs = {
        "a": keras.Input((), name="a"),
        "b": keras.Input((2,), name="b"),
        "k": keras.Input((), dtype="int64", name="k"),
    }
    x = keras.layers.Concatenate()(
        [keras.layers.Reshape((1,))(inputs["a"]), inputs["b"], keras.layers.Embedding(3, 4)(inputs["k"])]
    )
    for _ in range(2):
        x = keras.layers.Dense(16, "tanh")(x)
    network = keras.Model(inputs, keras.layers.Dense(1)(x))
    found = explained(lambda given: network(given)[:, 0], {name: ROWS[name] for name in ("a", "b", "k")}, at_once)
    assert np.abs(found["explained"] - found["baseline_score"])[:2].min() > 0.01
    assert residual(found) < 1e-4
    direct = network({name: tf.constant(ROWS[name]) for name in ("a", "b", "k")})[:, 0]
    np.testing.assert_allclose(found["explained"], direct, atol=1e-6)
    assert found["a_attribution"][2] == found["k_attribution"][2] == 0, "the ordinary row itself"


def test_ids_alone_are_explained_and_no_rows_are_none() -> None:
    rows = {name: ROWS[name] for name in ("k", "l")}
    found = explained(lambda given: tf.gather(TABLE[:, 0], given["k"]) * (1.0 + tf.cast(given["l"], tf.float32)), rows)
    # From 1.1 * 1 to -2.0 * 2: k alone does -3.1, l alone 1.1, and -3.1 do both together.
    assert found["k_attribution"][1] == pytest.approx(-3.1 - 3.1 / 2) and residual(found) < 1e-6
    assert found["l_attribution"][1] == pytest.approx(1.1 - 3.1 / 2)
    empty = explained(lambda given: tf.cast(given["k"], tf.float32), {"k": np.zeros(0, np.int64)})
    assert empty["k_attribution"].shape == empty["explained"].shape == (0,)


def test_a_feature_of_several_columns_counts_for_each_alike() -> None:
    numbers = {name: ROWS[name] for name in ("a", "b")}
    inputs = {"a": ["fare", "miles"], "b": ["miles"]}
    found = explained(lambda given: 4 * given["a"] + given["b"][:, 0], numbers, inputs=inputs)
    np.testing.assert_allclose(found["fare_attribution"], 2 * (ROWS["a"] - 0.5), atol=1e-5)
    np.testing.assert_allclose(found["miles_attribution"], 2 * (ROWS["a"] - 0.5) + ROWS["b"][:, 0] + 1, atol=1e-5)


def test_a_picture_has_a_map_of_what_its_pixels_did() -> None:
    rows = {name: ROWS[name] for name in ("a", "b")}
    found = explained(lambda given: tf.linalg.matvec(given["b"], [1.0, -3.0]), rows, maps={"b": (1, 2)})
    np.testing.assert_allclose(found["b_map"][0], [[1 / 3, 1.0]], atol=1e-6)  # 1 * (0 + 1), -3 * (1 - 2)
    assert found["b_map"].shape == (3, 1, 2) and not found["b_map"][2].any(), "nothing moved the ordinary row"


def test_which_features_are_pictures() -> None:
    assert map_shape((64,), (64,)) == (8, 8) and map_shape((784,), (28, 28)) == (28, 28)
    assert map_shape((1200,), (20, 20, 3)) == (20, 20) and map_shape((32, 48, 3), ()) == (32, 48)
    assert map_shape((50,), ()) is None and map_shape((8, 8, 16), ()) is None and map_shape((), ()) is None


@pytest.mark.parametrize("sure", [0.4, 30.0])
def test_log_odds_are_known_however_sure_a_model_is(sure: float) -> None:
    logits = tf.constant([[sure, 0.0, 0.0], [0.0, 0.0, -sure]])
    task = find("multiclass")(["x", "y", "z"])

    @tf.function
    def asked(logits: Any) -> Any:
        output = tf.nn.softmax(logits)
        return task.explained_score(output, output)

    expected = [sure - np.log(2), -np.log(1 + np.exp(-sure))]
    np.testing.assert_allclose(asked(logits), expected, rtol=1e-5, atol=1e-6)
    binary = find("binary")(["no", "yes"], 0.9)

    @tf.function
    def asked_binary(logit: Any) -> Any:
        return binary.explained_score(tf.sigmoid(logit), tf.constant([[0.8], [0.95]]))

    np.testing.assert_allclose(asked_binary(tf.constant([[sure], [sure]])), [-sure, sure], rtol=1e-5)

    @tf.function
    def of_probabilities(p: Any) -> Any:
        return binary.explained_score(tf.identity(p), p)

    np.testing.assert_allclose(of_probabilities(tf.constant([[0.95]])), [np.log(19)], rtol=1e-4)


def test_the_ordinary_row_is_the_mean_and_what_is_most_frequent(write_split: Callable[..., str]) -> None:
    number = np.arange(12, dtype=np.float32)
    columns = {"number": number, "pair": np.stack([number, -number], axis=1), "id": np.array([3, 1, 3, 0] * 3)}
    columns |= {"text": np.array([b"a", b"b", b"b", b"c"] * 3, object), "y": np.zeros(12, np.int64)}
    stored = {
        "number": Feature("number", "float32"),
        "pair": Feature("pair", "float32", (2,)),
        "id": Feature("id", "int64"),
        "text": Feature("text", "string"),
    }
    late = Late(stored, lambda features, training: {**features, "double": 2 * features["number"]})
    split = Split(write_split(columns), "train", late, "y", find("binary")(["0", "1"]))
    found = ordinary(split)
    assert found["number"] == pytest.approx(5.5) and found["double"] == pytest.approx(11)
    assert found["pair"].tolist() == [5.5, -5.5] and found["id"] == 3 and found["text"] == b"b"

from __future__ import annotations

import json
import pathlib
import re
import textwrap

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from tfx.types import Channel, standard_artifacts

from components import border, columnar, user_code
from components.artifacts import BaselineMetrics
from components.baseline.boosting import Boosting, most_rows
from components.baseline.component import node
from components.baseline.config import BaselineConfig
from components.baseline.encoding import fit_encoder, unfit
from components.baseline.executor import Executor
from components.graph import Graph, Site
from components.served_model import RawFeature, ServedModel
from spec import home
from spec.errors import InputError
from spec.workload import Workload

GUIDES = home.ROOT / "docs" / "guides"
SCHEMAS = {
    "binary": 'feature { name: "target" type: INT int_domain { min: 0 max: 1 } }',
    "multiclass": 'feature { name: "target" type: BYTES string_domain { value: "a" value: "b" value: "c" value: "d" } }',
    "regression": 'feature { name: "target" type: FLOAT }',
    "ranking": 'feature { name: "target" type: INT }',
}


@pytest.fixture
def run(examples_artifact, output, tmp_path):
    """Runs the executor; returns the methods of baseline.json. With `code`, those of a baseline.py of that content."""

    def go(
        rows: pa.Table, task: str = "binary", code: str = "", schema: str = "", judge: str = "", **fields
    ) -> list[dict]:
        contract = standard_artifacts.Schema()
        contract.uri = str(tmp_path / "schema")
        pathlib.Path(contract.uri).mkdir()
        (pathlib.Path(contract.uri) / "schema.pbtxt").write_text(schema or SCHEMAS[task])
        if code:
            module = tmp_path / "mine" / "baseline.py"
            module.parent.mkdir(exist_ok=True)
            module.write_text(textwrap.dedent(code))
            fields |= {"module_file": str(module), "module_digest": user_code.digest(module.parent)}
        made = output(baseline=BaselineMetrics)
        fields = {"methods": ("gradient_boosting",), "label": "target", **fields}
        config = border.dump(BaselineConfig(task, **fields))
        given = {"examples": [examples_artifact(rows)], "schema": [contract]}
        if judge:
            given["judge"] = [standard_artifacts.Model()]
            given["judge"][0].uri = judge
        Executor().Do(given, made, {"config": config})
        written = (pathlib.Path(made["baseline"][0].uri) / "baseline.json").read_text()
        return json.loads(written, parse_constant=pytest.fail)["methods"]

    return go


@pytest.mark.parametrize(
    ("task", "metric", "least"),
    [("binary", "auc", 0.9), ("multiclass", "accuracy", 0.7), ("regression", "r2", 0.6), ("ranking", "ndcg_10", 0.85)],
)
def test_every_task_has_its_metrics_on_the_rows_of_the_model(run, make_rows, task, metric, least) -> None:
    rows = make_rows(600, task)
    query = {"query": "search", "leave_out": ("search",)} if task == "ranking" else {}
    (found,) = run(rows, task, **query)
    assert found["name"] == "gradient boosting"
    assert found["overall"][metric] > least
    assert (found["rows"], found["train_rows"], found["train_rows_in_all"]) == (600, 600, 600)
    assert found["columns"] == ["fare", "hour", "company"]  # not the label, not the query
    assert found["left_out"] == {"pixels": "it holds several values a row"}
    assert found["not_applicable"] == "" and found["seconds"] > 0


def test_where_trees_learn_from_nothing_it_says_so(run, make_rows) -> None:
    (found,) = run(make_rows(60).select(["pixels", "target"]))
    assert found["overall"] == {} and "no column is a number" in found["not_applicable"]


def test_a_label_that_is_none_of_the_classes_is_for_a_person_to_mend(run, make_rows) -> None:
    with pytest.raises(InputError, match="label 'target'"):
        run(make_rows(60, "multiclass"), "binary")


ANSWERS = """
    '''Answers of my own.'''
    import numpy as np


    def fare(train, test, task):
        '''The fare alone.

        Whatever else there is.
        '''
        assert task.classes == ("0", "1") and "target" in train.column_names and "target" not in test.column_names
        return 1 / (1 + np.exp(-test["fare"].fill_null(0).to_numpy()))


    def coin(train, test, task):
        return np.full(len(test), 0.5)


    def table(train, test, task):
        return np.zeros((len(test), 3))


    def hole(train, test, task):
        return np.where(np.arange(len(test)) < 2, np.nan, 0.5)


    def fall(train, test, task):
        return test["target"]
"""


def test_functions_of_the_workload_s_own_are_judged_in_their_order(run, make_rows) -> None:
    coin, trees, fare = run(make_rows(600), code=ANSWERS, methods=("coin", "gradient_boosting", "fare"))
    assert coin["overall"]["auc"] == 0.5 < fare["overall"]["auc"] < trees["overall"]["auc"]
    assert (fare["name"], fare["about"]) == ("fare", "The fare alone.") and coin["about"] == ""
    assert (fare["rows"], fare["train_rows"], fare["train_rows_in_all"]) == (600, 600, 600)


def test_functions_of_the_workload_s_own_share_what_was_read(run, make_rows, monkeypatch) -> None:
    read: list[str] = []
    whole = columnar.read_split
    monkeypatch.setattr(
        columnar, "read_split", lambda uri, split, columns: read.append(split) or whole(uri, split, columns)
    )
    run(make_rows(60), code=ANSWERS, methods=("coin", "fare"))
    assert read == ["train", "test"]


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("nobody", "has no function 'nobody'"),
        ("table", r"baseline.py: table must answer as a binary model does, in shape \[60\]. Received: \[60, 3\]"),
        ("hole", "baseline.py: hole gives 2 of 60 rows an answer that is not"),
        ("fall", r"baseline.py, line \d+, in fall: KeyError"),
    ],
)
def test_what_a_function_does_wrong_is_said_in_a_line(run, make_rows, method, words) -> None:
    with pytest.raises(InputError, match=words):
        run(make_rows(60), code=ANSWERS, methods=(method,))


def test_a_task_of_many_classes_takes_a_row_of_probabilities(run, make_rows) -> None:
    code = """
        import numpy as np

        def shares(train, test, task):
            counts = np.bincount(task.read_labels(train["target"], "target"), minlength=len(task.classes))
            return np.tile(counts / counts.sum(), (len(test), 1))
    """
    (found,) = run(make_rows(300, "multiclass"), "multiclass", code, methods=("shares",))
    assert 0.3 < found["overall"]["accuracy"] < 0.6


def test_rows_without_a_label_are_judged_by_what_a_function_answers(run, make_rows, tmp_path, monkeypatch) -> None:
    task = re.findall(r"```python\n(.*?)```", (GUIDES / "add-a-task.md").read_text(), re.DOTALL)[0]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.py").write_text(task)
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path))
    code = """
        import numpy as np

        def hours(train, test, task):
            return np.full(len(test), 0.25)
    """
    methods = ("gradient_boosting", "hours")
    trees, hours = run(
        make_rows(60).drop(["target"]),
        "mine.task.Reconstruction",
        code,
        SCHEMAS["regression"],
        methods=methods,
        label="",
    )
    assert trees["not_applicable"] == "there is no label that trees could learn"
    assert hours["overall"] == {"reconstruction_error": 0.25}


@pytest.fixture
def light_or_dark(tmp_path) -> str:
    """A release's artifact: a classifier of pictures of four bytes, by their mean."""

    def answer(picture):
        light = tf.reduce_mean(tf.cast(tf.reshape(tf.io.decode_raw(picture, tf.uint8), [-1, 4]), tf.float32), axis=1)
        p = tf.stack([1 - light / 255, light / 255], axis=1)
        return {"probabilities": p, "label": tf.gather(tf.constant(["dark", "light"]), tf.argmax(p, axis=1))}

    folder = tmp_path / "judge" / "Format-Serving"
    served = tf.function(answer).get_concrete_function(picture=tf.TensorSpec([None], tf.string, "picture"))
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": served})
    ServedModel("multiclass", "kind", ("dark", "light"), {"picture": RawFeature("string")}).write(folder)
    return str(folder.parent)


def test_a_release_judges_what_a_simple_method_makes(run, light_or_dark) -> None:
    """Pictures are made for the rows of test, and for those of train that a classifier learns from."""
    code = """
        import numpy as np

        def noise(train, test, task):
            assert set(test.column_names) == {"kind"} and "picture" in train.column_names
            return np.random.default_rng(1).uniform(size=(len(test), 2, 2, 1))

        def typical(train, test, task):
            light = np.array([kind == "light" for kind in test["kind"].to_pylist()])
            return np.where(light, 0.8, 0.2)[:, None, None, None] * np.ones((1, 2, 2, 1))
    """
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, 300)
    pixels = np.clip(random.normal(60 + 130 * kinds[:, None], 20, (300, 4)), 0, 255).astype(np.uint8)
    rows = pa.table({"kind": [("dark", "light")[one] for one in kinds], "picture": [one.tobytes() for one in pixels]})
    options = {"condition": "kind", "shape": [2, 2, 1], "encoding": "raw"}
    schema = 'feature { name: "picture" type: BYTES }'
    named = {"methods": ("noise", "typical"), "label": "picture", "task_options": options}
    noise, typical = run(rows, "generation", code, schema, light_or_dark, **named)
    assert noise["overall"]["judge_accuracy"] < 0.65 and typical["overall"]["judge_accuracy"] == 1
    assert typical["overall"]["synthetic_train"] > 0.95 and typical["overall"]["real_train"] > 0.95
    assert 0 < typical["overall"]["frechet"] < noise["overall"]["frechet"]


@pytest.mark.parametrize(
    ("label", "said", "methods"),
    [
        (True, "gradient_boosting", ("gradient_boosting",)),
        (True, "none", None),
        (True, ["mine", "gradient_boosting"], ("mine", "gradient_boosting")),
        (False, "gradient_boosting", None),  # there is nothing that trees could learn
        (False, ["mine"], ("mine",)),
    ],
)
def test_the_node_is_there_where_a_method_applies(tmp_path, label, said, methods) -> None:
    data = {"label": {"column": "tip"}}
    evaluation = {"baseline": said}
    workload = Workload.model_validate({"name": "trips", "task": "binary", "data": data, "evaluation": evaluation})
    if not label:
        workload = workload.model_copy(update={"data": workload.data.model_copy(update={"label": None})})
    graph = Graph(workload, 1, Site(tmp_path, tmp_path, tmp_path, tmp_path, "", None, ""))
    kinds = {"examples": "Examples", "schema": "Schema", "judge": "Model"}
    graph.outputs = {name: Channel(getattr(standard_artifacts, kind)) for name, kind in kinds.items()}
    made = node(graph)
    assert (made is None) == (methods is None)
    if made is not None:
        assert made.inputs["judge"] is graph.outputs["judge"]  # its version is in the cache's key
        config = border.load(BaselineConfig, made.exec_properties["config"])
        assert (config.methods, config.label) == (methods, "tip" if label else "")
        assert bool(config.module_file) == bool(config.module_digest) == ("mine" in methods)


def test_the_guide_s_function_works_as_it_stands(run) -> None:
    guide = (GUIDES / "baselines.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    texts = ["win a prize now", "call to win cash", "see you at home", "lunch at noon"] * 10
    rows = pa.table({"text": texts, "label": ["spam", "spam", "ham", "ham"] * 10})
    schema = 'feature { name: "label" type: BYTES string_domain { value: "ham" value: "spam" } }'
    (found,) = run(rows, code=code, schema=schema, methods=("bigrams",), label="label", positive_class="spam")
    assert found["overall"]["f1"] == 1.0 and found["about"]


def test_columns_become_numbers() -> None:
    train = pa.table(
        {
            "number": pa.array([1.5, None, float("inf"), 4.0]),
            "flag": pa.array([True, False, None, True]),
            "text": pa.array(["b", "a", "b", "once"]),
            "date": pa.array(["2026-01-01", None, "2026-01-02T00:00:01", "2026-01-01"]),
            "name": pa.array(["w", "x", "y", "z"]),
            "empty": pa.nulls(4, pa.string()),
            "bytes": pa.array([b"1", b"2", b"3", b"4"]),
        }
    )
    encoder = fit_encoder(train, train.column_names)
    assert (encoder.columns, encoder.categorical) == (("number", "flag", "text", "date"), (False, False, True, False))
    assert set(encoder.left_out) == {"name", "empty", "bytes"}
    nan = float("nan")
    expected = [[1.5, 1, 0, 0], [nan, 0, nan, nan], [nan, nan, 0, 86401], [4, 1, nan, 0]]
    found = encoder.matrix(train)
    found[:, 3] -= found[0, 3]
    np.testing.assert_array_equal(found, expected)


def test_texts_of_which_a_few_are_there_twice_are_no_categories() -> None:
    texts = [f"a text of row {i}" for i in range(9)] + ["thanks", "thanks"]
    encoder = fit_encoder(pa.table({"body": texts}), ["body"])
    assert encoder.columns == () and encoder.left_out == {"body": "most rows have a text of their own"}


def test_what_trees_do_not_learn_from_is_known_by_its_type() -> None:
    assert unfit(pa.binary()) and unfit(pa.list_(pa.float32(), 2)) and unfit(pa.list_(pa.int64()))
    assert not any(map(unfit, (pa.int64(), pa.float32(), pa.string(), pa.bool_(), pa.timestamp("us"))))


def test_classes_without_a_row_have_no_chance() -> None:
    features = np.arange(40.0)[:, None]
    boosting = Boosting(4, [False])
    boosting.fit(features, (np.arange(40) >= 20) * 2)
    found = boosting.predict(features)
    assert found.shape == (40, 4) and (found[:, [1, 3]] == 0).all()
    with pytest.raises(ValueError, match="all of one class"):
        Boosting(2, [False]).fit(features, np.zeros(40, int))


def test_wide_data_is_learnt_from_fewer_rows() -> None:
    assert (most_rows(20), most_rows(2000)) == (100_000, 10_000)


def test_no_method_learns_from_personal_columns_unless_told(run, make_rows) -> None:
    code = """
    import numpy as np

    def names(train, test, task):
        assert "fare" not in train.column_names + test.column_names
        return np.full(test.num_rows, 0.5)
    """
    schema = SCHEMAS["binary"] + ' feature { name: "fare" type: FLOAT annotation { tag: "personal" } }'
    boosting, own = run(make_rows(400), code=code, schema=schema, methods=("gradient_boosting", "names"))
    assert "fare" not in boosting["columns"] and own["overall"]["auc"] == 0.5

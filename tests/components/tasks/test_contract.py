"""What holds of every task: ours, and some that are made up."""

from __future__ import annotations

import math
import pathlib
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.findings import Findings
from components.tasks import Context, Feature, ModelSchema, Task, UnitTerms, find
from components.tasks.catalogue import Catalogue, Seen
from components.tasks.generation import Generation
from components.tasks.reconstruction import Reconstruction
from components.tasks.retrieval import Retrieval
from components.tasks.segmentation import VOID, Segmentation
from spec import tasks
from spec.errors import InputError
from spec.tasks import TASKS, LabelKind, MissingLibraryError
from tests.components.tasks import made_up

GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "guides" / "add-a-task.md"
MADE_UP = [f"tests.components.tasks.made_up.{one}" for one in ("Keypoints", "Generation", "Retrieval")]
ROWS = 64
ITEMS = 40
OPTIONS: dict[str, dict[str, Any]] = {
    "retrieval": {"item": "item", "query_columns": ["x"], "item_columns": ["item"], "top_k": 20},
    "reconstruction": {"unit_interval": True},
    "generation": {"condition": "digit", "shape": (2, 3, 1)},
    "segmentation": {"classes": ["ground", "a", "b"], "size": [4, 6]},
}


def schema_of(name: str) -> ModelSchema:
    classes = {LabelKind.TWO_CLASSES: "ab", LabelKind.CLASSES: "abcde", LabelKind.SEVERAL_CLASSES: "abc"}.get(
        find(name).label_kind, ""
    )
    features = {one: Feature(one, "float32") for one in ("x", "y")}
    label = None if find(name).label_kind is LabelKind.NONE else "label"
    return ModelSchema(
        features, name, label, tuple(classes), label_mean=2.0, label_std=3.0, task_options=OPTIONS.get(name, {})
    )


def rows_of(task: Task, count: int = ROWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths, predictions and groups."""
    random = np.random.default_rng(seed)
    predictions = random.random((count, *task.answer_shape)).astype(np.float32)
    if isinstance(task, Retrieval):
        groups = np.sort(random.integers(0, 8, count))
        lists = np.stack([random.permutation(ITEMS)[:20] for _ in range(8)]).astype(np.float32)
        return random.integers(0, ITEMS, count) * 1.0, lists[groups], groups
    if isinstance(task, Generation):
        return judged_pictures(random, count)
    if isinstance(task, Segmentation):
        truths, found = random.integers(0, 3, (2, count, *task.size)).astype(np.uint8)
        return truths, found, np.zeros(count, np.int64)
    if isinstance(task, Reconstruction):
        return random.integers(0, 2, count), random.random((count, 2)), np.zeros(count, np.int64)
    if isinstance(task, made_up.Generation):
        return random.normal(size=(count, 2)), predictions, np.zeros(count, np.int64)
    if task.label_kind is LabelKind.SEVERAL_CLASSES:
        return random.random(predictions.shape) < predictions, predictions, np.zeros(count, np.int64)
    if task.label_kind.has_classes:
        if task.answer_shape:
            predictions /= predictions.sum(axis=1, keepdims=True)
        return random.integers(0, len(task.classes), count), predictions, np.zeros(count, np.int64)
    truths = random.random((count, *task.answer_shape)) if task.answer_shape else random.integers(0, 4, count) * 1.0
    return truths, predictions, np.sort(random.integers(0, 8, count))


class MoreInk:
    """In place of the small classifier of pictures."""

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        return (pixels.mean(axis=1) > 0.5).astype(np.int64)


def judged_pictures(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes that were asked for, what a judge says of real pictures, and their pixels; what it says of generated ones."""
    real, made = np.log(random.dirichlet(np.ones(3), (2, count)))
    asked = random.integers(0, 3, (count, 1))
    truths = np.concatenate([asked, real, random.random((count, 6))], axis=1)
    return truths, made, np.zeros(count, np.int64)


def task_of(name: str) -> Task:
    task = find(name)(schema_of(name).classes, options=OPTIONS.get(name))
    if isinstance(task, Retrieval):
        ids = np.array([str(one) for one in range(ITEMS)], object)
        seen = Seen.of(pa.array([0, 1, 2]), np.array([3, 4, 5]), "user")
        task.catalogue, task.widths = Catalogue(pa.table({}), ids, np.arange(ITEMS)[::-1], seen), {"shown": ITEMS}
    if isinstance(task, Generation):
        task.judge = SimpleNamespace(spec=SimpleNamespace(classes=("0", "1", "2")))
        task.learners = {one: MoreInk() for one in ("synthetic_train", "real_train")}
    if isinstance(task, made_up.Retrieval):
        truths, predictions, _ = rows_of(task)
        task.corpus, task.owners = predictions, truths
    return task


@pytest.fixture(autouse=True)
def guide(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guide's task, in a use case's own folder."""
    root = tmp_path_factory.getbasetemp() / "guide"
    if not root.exists():
        (root / "readings").mkdir(parents=True)
        (root / "readings" / "task.py").write_text(GUIDE.read_text().split("```python\n")[1].split("```")[0])
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(root))


@pytest.fixture(params=[*TASKS, *MADE_UP, "readings.task.Reconstruction"])
def task(request: pytest.FixtureRequest) -> Task:
    return task_of(request.param)


def units_of(task: Task, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> UnitTerms:
    if task.by_groups:
        return task.group_terms(truths, task.kept(truths, predictions, groups), groups)[0]
    return task.terms(truths, predictions)


def test_it_is_found_by_its_name(task: Task) -> None:
    assert find(task.name) is type(task)
    assert task.metrics and len(set(task.metric_names())) == len(task.metrics)
    assert all(task.metric(name).title for name in task.metric_names())


def test_it_travels_to_workers(task: Task) -> None:
    there = pickle.loads(pickle.dumps(task))
    assert type(there) is type(task) and there.classes == task.classes


def test_sums_of_parts_are_the_sums_of_the_whole(task: Task) -> None:
    truths, predictions, groups = rows_of(task)
    at = int(np.searchsorted(groups, groups[ROWS // 2])) or ROWS // 2  # no group is torn apart
    whole = task.reduce(units_of(task, truths, predictions, groups))
    first, second = (
        task.reduce(units_of(task, truths[part], predictions[part], groups[part]))
        for part in (slice(at), slice(at, None))
    )
    assert task.values(first + second) == pytest.approx(task.values(whole))
    assert all(value is not None for value in task.values(whole).values())
    assert whole.terms["rows"].shape == (1,) and whole.terms[task.unit_term][0] > 0


def test_a_slice_is_its_rows_and_a_weight_so_many_of_them(task: Task) -> None:
    truths, predictions, groups = rows_of(task)
    units = units_of(task, truths, predictions, groups)
    count = len(units.terms["rows"])
    slices = np.random.default_rng(1).integers(0, 3, count)
    weights = np.random.default_rng(2).integers(0, 3, count)
    alone = task.reduce(units.take(np.flatnonzero(slices == 2)))
    assert task.values(task.reduce(units, slices, 3), 2) == pytest.approx(task.values(alone))
    repeated = task.reduce(units.take(np.repeat(np.arange(count), weights)))
    assert task.values(task.reduce(units, weights=weights.astype(float))) == pytest.approx(task.values(repeated))


def test_bounds_are_around_the_value(task: Task) -> None:
    sums = task.reduce(units_of(task, *rows_of(task)))
    for name, value in task.values(sums).items():
        found = task.bounds(name, sums, 0.95)
        assert found is None or (value is not None and found.low <= value <= found.high), name
    assert task.trivial(sums, rows_of(task)[0]).keys() == set(task.metric_names())


def test_a_report_draws_what_the_evaluation_keeps(task: Task) -> None:
    truths, predictions, groups = rows_of(task)
    sums = task.reduce(units_of(task, truths, predictions, groups))
    kept = {*task.charts(sums, (truths, predictions), ROWS)}
    kept |= {"confusion_matrix"} if task.confusion(sums) is not None else set()
    assert {view.key or view.chart for view in task.views} <= kept


def test_what_is_not_finite_is_not_valid(task: Task) -> None:
    _, predictions, _ = rows_of(task)
    predictions[3] = VOID if isinstance(task, Segmentation) else np.nan
    assert task.valid(predictions).tolist() == [row != 3 for row in range(ROWS)]


@pytest.mark.parametrize("champion", [False, True])
def test_the_evaluator_adds_it_up(task: Task, champion: bool) -> None:
    truths, predictions, groups = rows_of(task)
    findings = [Findings(task, ("kind",), task if champion else None, seed=1) for _ in range(2)]
    for one, part in zip(findings, (slice(0, 20), slice(20, None)), strict=True):
        codes = one.slices["kind"].codes(pa.array(np.where(np.arange(ROWS)[part] % 2, "odd", "even")))
        models = [predictions[part]] * (1 + champion)
        one.add(np.arange(ROWS)[part], truths[part], groups[part], [codes], models)
    findings[0].merge(findings[1])
    findings[0].finish()
    sums = findings[0].challenger.sums
    assert sums is not None and findings[0].challenger.invalid_rows == 0
    assert task.values(sums) == pytest.approx(task.values(task.reduce(units_of(task, truths, predictions, groups))))
    assert {value for value, _, _ in findings[0].slices["kind"].by_rows()} == {"odd", "even"}
    assert (findings[0].pair is not None) == champion


def test_its_head_is_built_fitted_and_answers(task: Task) -> None:
    import keras
    import tensorflow as tf

    schema = schema_of(task.name)
    shape = task.head_shape(schema)
    if None in shape or isinstance(task, Segmentation):
        pytest.skip("build_model ends with layers of its own, or the head takes a picture")
    inputs = schema.inputs()
    x = keras.layers.Dense(8)(keras.layers.Concatenate()([keras.ops.expand_dims(one, -1) for one in inputs.values()]))
    for hidden in (x, keras.layers.RepeatVector(3)(x)):  # one network, and three side by side
        model = keras.Model(inputs, schema.outputs(hidden))
        features = {name: np.random.default_rng(0).random(ROWS).astype(np.float32) for name in schema.features}
        output = np.asarray(model(features))
        assert output.shape == (ROWS, *shape) and not task.objection_to_output(output)
        several = shape if task.label_kind is LabelKind.SEVERAL_CLASSES else ()
        labels = np.random.default_rng(0).integers(0, 2 if several else max(2, len(task.classes)), (ROWS, *several))
        target: Any = labels if task.label_kind is not LabelKind.IMAGE else np.zeros((ROWS, *shape), np.float32)
        if (schema.label is None or task.label_optional) and not isinstance(task, made_up.Generation):
            target = task.training_target({name: tf.constant(value) for name, value in features.items()})
        elif schema.label is None:
            target = np.zeros((ROWS, *shape), np.float32)
        metrics = task.training_metrics()
        shown = {one if isinstance(one, str) else one.name for one in metrics}
        assert shown == {one.name for one in task.epoch_metrics}
        model.compile("adam", task.loss(schema), metrics=metrics)
        assert math.isfinite(model.fit(features, target, verbose=0).history["loss"][0])
        tensors = {name: tf.constant(value) for name, value in features.items()}
        answers = {name: value.numpy() for name, value in task.answers(tf.constant(output), tensors, model).items()}
        assert answers[task.output].shape == (ROWS, *task.answer_shape)
        assert not task.objection_to_answers(answers)
        assert set(task.prediction_types()) <= set(answers)
        if task.tfs_signature:
            served = {name: value.numpy() for name, value in task.tfs_answers(tf.constant(output)).items()}
            expected = task.tfs_expected(answers)
            assert served.keys() == expected.keys()
            for name, value in expected.items():
                np.testing.assert_array_equal(served[name], value)


def test_airflow_can_ask_them() -> None:
    """Its environment has neither of these libraries; it reads every workload.yaml twice a minute."""
    code = """
import sys

for name in ("numpy", "pandas", "pyarrow", "scipy", "tensorflow", "keras", "tensorflow_metadata"):
    sys.modules[name] = None
from spec.tasks import TASKS, find

assert all(find(name).metric_names() for name in [*TASKS, "readings.task.Reconstruction"])
"""
    subprocess.run([sys.executable, "-c", code], cwd=GUIDE.parents[2], check=True)


def test_metrics_over_a_corpus_see_it_first() -> None:
    task = find(MADE_UP[2])()
    batch = pa.record_batch({"x": [0.0, 0.1, 5.0, 5.1], "label": [1.0, 1.0, 2.0, 2.0]})

    def read(columns: Any) -> Iterator[pa.RecordBatch]:
        yield batch.select(list(columns))

    prepared = task.prepare(Context("label", None, read, read, lambda rows: {task.output: rows.column("x").to_numpy()}))
    sums = prepared.reduce(prepared.terms(prepared.truths(batch, "label"), batch.column("x").to_numpy()))
    assert prepared.values(sums) == {"hit_rate": 1.0}


def test_a_distribution_is_compared_as_a_whole() -> None:
    task = find(MADE_UP[1])()
    random = np.random.default_rng(0)
    true, made = random.normal(size=(500, 2)), random.normal(size=(500, 2)) + 1
    near = task.value("frechet", task.reduce(task.terms(true, true)))
    far = task.value("frechet", task.reduce(task.terms(true, made)))
    assert near == pytest.approx(0, abs=1e-6) and far == pytest.approx(2, abs=0.4)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("ternary", "Known: binary, multiclass, multilabel, regression, ranking"),
        ("", "there is no task ''"),
        ("components.tasks.binary.Nothing", "has no class 'Nothing'"),
        ("components.tasks.binary.lazily", "has no class 'lazily'"),
        ("nowhere.task.Mine", "there is no module nowhere.task"),
    ],
)
def test_what_is_no_task_is_refused(name: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        find(name)


def test_a_use_case_brings_its_own(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path))
    file = tmp_path / "mine" / "task.py"
    file.parent.mkdir()
    file.write_text("from components.tasks.regression import Regression\n\nclass Mine(Regression): pass\n")
    found = tasks.find("mine.task.Mine")
    assert found.name == "mine.task.Mine" and found.metric_names()[0] == "rmse"
    file.write_text("import a_library_that_is_nowhere\n")
    with pytest.raises(MissingLibraryError, match="a_library_that_is_nowhere"):
        tasks.find("mine.task.Mine")
    file.write_text("1 / 0\n")
    with pytest.raises(InputError, match=r"does not import: ZeroDivisionError"):
        tasks.find("mine.task.Mine")

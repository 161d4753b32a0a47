"""Several classes a row: figures against scikit-learn, labels as lists, answers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics

from components.tasks import find
from spec.errors import InputError

CLASSES = ("art", "sport", "trade", "weather")


@pytest.fixture
def task():
    return find("multilabel")(CLASSES)


def _rows(count: int = 500, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    odds = random.normal(size=(count, 4)) * 2 - np.array([0, 1, 2, 4])
    truths = odds + random.normal(size=odds.shape) * 2 > 0
    return truths, (1 / (1 + np.exp(-odds))).astype(np.float32)


def test_figures_are_those_of_scikit_learn(task) -> None:
    truths, p = _rows()
    values = task.values(task.reduce(task.terms(truths, p)))
    called = p > 0.5
    assert values == {
        "macro_auc": pytest.approx(metrics.roc_auc_score(truths, p), abs=1e-3),
        "macro_auc_pr": pytest.approx(metrics.average_precision_score(truths, p), abs=0.02),
        "micro_f1": pytest.approx(metrics.f1_score(truths, called, average="micro")),
        "macro_f1": pytest.approx(metrics.f1_score(truths, called, average="macro")),
        "subset_accuracy": pytest.approx(metrics.accuracy_score(truths, called)),
        "hamming_loss": pytest.approx(metrics.hamming_loss(truths, called)),
    }


def test_sums_of_parts_and_of_slices_merge(task) -> None:
    truths, p = _rows()
    units = task.terms(truths, p)
    slices = np.arange(len(p)) % 3
    sliced = task.reduce(units, slices, 3)
    for index in range(3):
        alone = task.reduce(task.terms(truths[slices == index], p[slices == index]))
        assert task.values(sliced, index) == pytest.approx(task.values(alone))
    both = task.reduce(task.terms(truths[:200], p[:200])) + task.reduce(task.terms(truths[200:], p[200:]))
    assert task.values(both) == pytest.approx(task.values(task.reduce(units)))


def test_bounds_hold_the_figure_and_narrow_with_rows(task) -> None:
    few, many = (task.reduce(task.terms(*_rows(count))) for count in (50, 5000))
    for metric in task.metric_names():
        wide, narrow = task.bounds(metric, few, 0.95), task.bounds(metric, many, 0.95)
        assert wide.low < task.value(metric, few) < wide.high, metric
        assert narrow.high - narrow.low < (wide.high - wide.low) / 3, metric


def test_a_small_sample_without_a_mistake_is_not_sure(task) -> None:
    truths = np.eye(4, dtype=bool)[np.arange(20) % 4]
    sums = task.reduce(task.terms(truths, np.where(truths, 0.9, 0.1)))
    for metric in ("macro_auc", "micro_f1", "macro_f1", "subset_accuracy"):
        assert task.value(metric, sums) == 1 and task.bounds(metric, sums, 0.95).low < 0.95, metric
    assert task.bounds("hamming_loss", sums, 0.95).high > 0.01


def test_errors_that_go_together_in_a_row_make_less_sure(task) -> None:
    random = np.random.default_rng(1)
    wrong = random.random(300) < 0.2
    truths = np.ones((300, 4), bool)
    together = task.reduce(task.terms(truths, np.where(np.repeat(wrong[:, None], 4, axis=1), 0.1, 0.9)))
    apart = task.reduce(
        task.terms(truths, np.where(random.permuted(np.repeat(wrong[:, None], 4, axis=1), axis=0), 0.1, 0.9))
    )
    widths = [one.high - one.low for one in (task.bounds("micro_f1", sums, 0.95) for sums in (together, apart))]
    assert widths[0] > 1.5 * widths[1]


def test_the_best_same_answer(task) -> None:
    truths, p = _rows()
    trivial = task.trivial(task.reduce(task.terms(truths, p)), truths)
    answers = [np.array(bits, bool) for bits in np.ndindex(2, 2, 2, 2)]
    always = [
        task.values(task.reduce(task.terms(truths, np.tile(one, (len(truths), 1)) * 0.98 + 0.01))) for one in answers
    ]
    for metric in ("micro_f1", "macro_f1", "subset_accuracy"):
        assert trivial[metric] == pytest.approx(max(one[metric] for one in always)), metric
    assert trivial["hamming_loss"] == pytest.approx(min(one["hamming_loss"] for one in always))
    assert trivial["macro_auc"] == 0.5 and trivial["macro_auc_pr"] == pytest.approx(truths.mean())


def test_a_class_that_never_occurs_is_left_out_of_areas(task) -> None:
    truths, p = _rows()
    truths[:, 3] = False
    values = task.values(task.reduce(task.terms(truths, p)))
    assert values["macro_auc"] == pytest.approx(metrics.roc_auc_score(truths[:, :3], p[:, :3]), abs=1e-3)
    nothing = task.reduce(task.terms(np.zeros_like(truths), np.zeros_like(p)))
    assert task.values(nothing)["macro_auc"] is None and task.bounds("macro_auc", nothing, 0.95) is None


def test_labels_are_lists(task) -> None:
    column = pa.array([["sport", "art"], [], ["weather", "weather"]])
    assert task.read_labels(column, "topics").astype(int).tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(InputError, match=r"'topics': labels outside .* 'music'"):
        task.read_labels(pa.array([["music"]]), "topics")
    with pytest.raises(InputError, match="1 of 2 labels are missing"):
        task.read_labels(pa.array([["art"], None]), "topics")


def test_the_graph_maps_lists_as_the_evaluator_does(task) -> None:
    import tensorflow as tf

    lists = [["sport", "art"], [], ["weather"], ["art", "music"]]
    values = tf.ragged.constant(lists, tf.string).to_sparse()
    assert task.targets(values).numpy().tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [-1, -1, -1, -1]]


def test_an_answer_names_the_classes_that_are_called(task) -> None:
    import tensorflow as tf

    output = tf.constant([[0.9, 0.6, 0.1, 0.2], [0.1, 0.2, 0.3, 0.5]])
    answers = {name: value.numpy() for name, value in task.answers(output, {}, None).items()}
    assert answers["label"].tolist() == [b"art;sport", b""]
    assert task.objection_to_answers(answers) == ""
    assert "'music'" in task.objection_to_answers({**answers, "label": np.array([b"art;music", b""], object)})


def test_classes_that_would_not_come_apart_again_are_refused() -> None:
    with pytest.raises(InputError, match=r"'a;b'\. Rename it"):
        find("multilabel").ordered_classes(["a;b", "c"], "topics")

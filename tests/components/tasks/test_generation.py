from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.served_model import RawFeature
from components.tasks import Context, ModelSchema
from components.tasks.generation import Generation
from spec.errors import InputError

CLASSES = ("dark", "light")
RAW = {"condition": "kind", "shape": (2, 2, 1), "encoding": "raw"}


class Brightness:
    """A judge that calls a picture light by its mean."""

    name = "brightness@stable"

    def __init__(self, **features: RawFeature) -> None:
        kind = SimpleNamespace(answer_shape=(2,), judged=lambda answers: answers["probabilities"])
        taken = features or {"image": RawFeature("string")}
        self.spec = SimpleNamespace(features=taken, classes=CLASSES, kind=kind, task="multiclass")

    def predict(self, batch: pa.RecordBatch) -> dict[str, Any]:
        light = np.array([np.frombuffer(one, np.uint8).mean() / 255 for one in batch.column("image").to_pylist()])
        return {"probabilities": np.stack([1 - light, light], axis=1)}


def rows(count: int = 400) -> pa.RecordBatch:
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, count)
    pixels = np.clip(random.normal(60 + 130 * kinds[:, None], 20, (count, 4)), 0, 255).astype(np.uint8)
    return pa.record_batch({"kind": [CLASSES[one] for one in kinds], "picture": [one.tobytes() for one in pixels]})


def pictures_of(batch: pa.RecordBatch) -> Any:
    flat = np.frombuffer(b"".join(batch.column("picture").to_pylist()), np.uint8)
    return flat.reshape(-1, 2, 2, 1).astype(np.float32) / 255


def prepared(answer: Any, judge: Any = None, **options: Any) -> Generation:
    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield rows().select(list(columns))

    context = Context(
        "picture",
        None,
        read,
        read,
        lambda batch: {"pixels": answer(batch)},
        columns=("kind",),
        judge=judge or Brightness(),
    )
    return Generation(options=RAW | options).prepare(context)


def values_of(task: Generation, pixels: Any) -> dict[str, Any]:
    batch = rows()
    units = task.terms(task.truths(batch, "picture"), task.judged({"pixels": pixels}))
    return task.values(task.reduce(units))


def asked_for(batch: pa.RecordBatch) -> Any:
    """A picture of the kind that is asked for, never twice the same."""
    light = np.array([kind == "light" for kind in batch.column("kind").to_pylist()])
    noise = np.random.default_rng(1).normal(0, 0.08, (len(light), 2, 2, 1))
    return np.clip(60 / 255 + 130 / 255 * light[:, None, None, None] + noise, 0, 1).astype(np.float32)


def test_pictures_like_the_real_ones_are_good() -> None:
    task = prepared(asked_for)
    found = values_of(task, asked_for(rows()))
    assert found["judge_accuracy"] > 0.95 and found["synthetic_train"] > 0.95 and found["real_train"] > 0.95
    assert found["frechet"] < 0.1
    assert values_of(task, pictures_of(rows()))["frechet"] == pytest.approx(0, abs=1e-6)


def test_one_picture_for_all_is_not() -> None:
    def same(batch: pa.RecordBatch) -> Any:
        return np.full((batch.num_rows, 2, 2, 1), 0.9, np.float32)

    found = values_of(prepared(same), same(rows()))
    assert found["judge_accuracy"] < 0.6 and found["synthetic_train"] < 0.6 and found["frechet"] > 0.5


def test_without_a_condition_the_distribution_alone_is_judged() -> None:
    found = values_of(prepared(pictures_of, condition=None), pictures_of(rows()))
    assert found == {
        "judge_accuracy": None,
        "frechet": pytest.approx(0, abs=1e-6),
        "synthetic_train": None,
        "real_train": None,
    }


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (Brightness(a=RawFeature("float32"), b=RawFeature("float32")), r"brightness@stable takes a \(float32\[\]\), b"),
        (Brightness(image=RawFeature("float32", (4,))), r"a judge takes one picture, as bytes"),
    ],
)
def test_a_judge_that_cannot_be_asked_is_refused(judge: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepared(asked_for, judge)


def test_without_a_judge_it_says_so() -> None:
    context = Context("picture", None, lambda columns: iter(()), lambda columns: iter(()), lambda batch: {})
    with pytest.raises(InputError, match=r"evaluation.judge: .* mnist@stable"):
        Generation(options=RAW).prepare(context)


def test_labels_of_another_size_are_refused() -> None:
    batch = pa.record_batch({"kind": ["dark"], "picture": [b"\0" * 5]})
    with pytest.raises(InputError, match="not all are pictures of 2 x 2 x 1 as raw"):
        prepared(asked_for).truths(batch, "picture")


def test_a_class_that_the_judge_does_not_know_is_refused() -> None:
    batch = pa.record_batch({"kind": ["grey"], "picture": [b"\0" * 4]})
    with pytest.raises(InputError, match=r"task_options.condition: column 'kind': .*'grey'"):
        prepared(asked_for).truths(batch, "picture")


def test_png_labels_and_answers_are_the_same_pictures() -> None:
    import tensorflow as tf

    task = Generation(options={"shape": (2, 3, 1)})
    pixels = np.arange(12, dtype=np.float32).reshape(2, 2, 3, 1) * 20 / 255
    answers = task.answers(tf.constant(pixels), {}, None)
    again = task.late_target(answers["picture_bytes"])
    assert again.shape == (2, 2, 3, 1)
    np.testing.assert_allclose(again, pixels, atol=1e-6)
    np.testing.assert_allclose(answers["pixels"], pixels)


def test_a_code_may_be_given() -> None:
    import tensorflow as tf

    model = SimpleNamespace(
        code_size=4, decode=lambda features, code: tf.reshape(code, [-1, 2, 2, 1]) * features["kind"]
    )
    task = Generation(options=RAW)
    signature = task.signatures(model, ModelSchema({}, "generation", "picture"))["decode"]
    assert list(signature.columns) == ["kind"] and signature.tensors["code"].shape.as_list() == [None, 4]
    found = signature.answer({"kind": tf.constant(0.5), "code": tf.ones([3, 4])})
    np.testing.assert_allclose(found["pixels"], np.full((3, 2, 2, 1), 0.5))
    assert task.signatures(object(), ModelSchema({}, "generation", "picture")) == {}

"""Tasks that are not in the repository, as a use case would bring them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

from components.tasks import Context, MergeableSums, ModelSchema, Signature, Task, UnitTerms, Values, ratio
from spec.metrics import Metric
from spec.tasks import LabelKind


class Keypoints(Task):
    """A head of several axes: four points of three coordinates."""

    metrics = (Metric("distance", "Distance", lower_is_better=True),)
    label_kind = LabelKind.IMAGE

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (4, 3)

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (4, 3)

    def loss(self, schema: ModelSchema) -> Any:
        return "mse"

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        distance = np.sqrt(((predictions - truths) ** 2).sum(axis=2)).mean(axis=1)
        return UnitTerms({"rows": np.ones(len(distance)), "distance": distance, "squared_distance": distance**2})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        terms = sums.of(slice_index)
        return ratio(terms[metric], terms["rows"])


class Generation(Keypoints):
    """Judged as a whole: how far the mean and the covariance of what it makes are from those of what there is."""

    metrics = (Metric("frechet", "Fréchet distance", lower_is_better=True),)
    label_kind = LabelKind.NONE

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (2,)

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (2,)

    def truths(self, batch: pa.RecordBatch, label: str | None) -> np.ndarray:
        return np.stack([batch.column(name).to_numpy() for name in ("x", "y")], axis=1)

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        return UnitTerms(
            {
                "rows": np.ones(len(truths)),
                **{f"mean_{name}": value for name, value in (("true", truths), ("made", predictions))},
                **{
                    f"outer_{name}": value[:, :, None] * value[:, None, :]
                    for name, value in (("true", truths), ("made", predictions))
                },
            }
        )

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        from scipy import linalg

        rows = sums.terms["rows"][slice_index]
        if rows < 3:
            return None
        means, spreads = [], []
        for name in ("true", "made"):
            mean = sums.terms[f"mean_{name}"][slice_index] / rows
            means.append(mean)
            spreads.append(sums.terms[f"outer_{name}"][slice_index] / rows - np.outer(mean, mean))
        root = linalg.sqrtm(spreads[0] @ spreads[1]).real
        return float(((means[0] - means[1]) ** 2).sum() + np.trace(spreads[0] + spreads[1] - 2 * root))


class Retrieval(Task):
    """Over a corpus: where among the answers to all rows a row finds its own group."""

    metrics = (Metric("hit_rate", "Hit rate", bounded=True),)

    def __init__(self, classes: Any = (), threshold: float = 0.5, options: Any = None) -> None:
        super().__init__(classes, threshold, options)
        self.corpus = np.zeros((0,))
        self.owners = np.zeros((0,))

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (1,)

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        return {self.output: output[:, 0]}

    def loss(self, schema: ModelSchema) -> Any:
        return "mse"

    def prepare(self, context: Context) -> Self:
        assert context.label is not None
        batches = context.test(["x", context.label])
        found = [(self.judged(context.predict(one)), self.truths(one, context.label)) for one in batches]
        self.corpus, self.owners = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return self

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        distance = np.abs(predictions[:, None] - self.corpus[None])
        distance[distance == 0] = np.inf  # itself
        hit = (self.owners[distance.argmin(axis=1)] == truths).astype(np.float64)
        return UnitTerms({"rows": np.ones(len(hit)), "hit_rate": hit, "squared_hit_rate": hit})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        terms = sums.of(slice_index)
        return ratio(terms[metric], terms["rows"])

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        return {"hit_rate": float(np.unique(truths, return_counts=True)[1].max() / len(truths))}


class Partly(Keypoints):
    """A request carries a part of the columns; what is left is asked for by other signatures."""

    label_kind = LabelKind.NONE
    served: tuple[str, ...] = ("company",)

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (2,)

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (2,)

    def served_columns(self, columns: Sequence[str]) -> Sequence[str]:
        return self.served

    def served_output(self, model: Any, features: Mapping[str, Any]) -> Any:
        return model.get_layer("of_company")(features["company"])

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        import tensorflow as tf

        of_miles, last = model.get_layer("of_miles"), model.get_layer("last")
        return {
            "by_miles": Signature(lambda given: {"miles": of_miles(given["trip miles"])}, columns=["trip miles"]),
            "decode": Signature(
                lambda given: {"both": last(given["code"])}, tensors={"code": tf.TensorSpec([None, 4], tf.float32)}
            ),
        }


class AnyWidth(Keypoints):
    """Takes what the model gives, however wide, and has a label for judging alone."""

    label_optional = True

    def head_shape(self, schema: ModelSchema) -> tuple[int | None, ...]:
        return (None,)

    def training_target(self, features: Mapping[str, Any]) -> Any:
        return next(iter(features.values()))


for made_up in (Keypoints, Generation, Retrieval, Partly, AnyWidth):
    made_up.name = f"tests.components.tasks.made_up.{made_up.__name__}"

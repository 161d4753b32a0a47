"""A row, made again from a short code: what the model cannot make again is unlike what it learnt from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.tasks._base import Task
from components.tasks._context import Tensors
from components.tasks._drafts import (
    Draft,
    LabelColumn,
    Unlabelled,
    area_bar,
    chance_of,
    choose_positive,
    draft_classes,
    rows_of_test,
)
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._lazily import confidence, np, pictures
from components.tasks._signatures import Signature
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from components.tasks._views import View
from spec.errors import InputError
from spec.metrics import AUC, BCE, MSE, PSNR
from spec.section import Section
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult
    from components.tasks._schema import ModelSchema

_EPSILON = 1e-7
# Errors are counted in cells of equal ratio: two that are less than 0.6 % apart are a tie for AUC.
_CELLS, _LEAST, _DECADES = 8000, 1e-12, 20
_BINS = 40
_MOST_EPOCHS = 50
_NORMAL = "Mean squared error of a row. The farther right, the less the row is like what the model learnt from."
_ANOMALOUS = "The same of the rows that the label calls anomalous, on the same scale."


class ReconstructionOptions(Section):
    unit_interval: bool = False
    """Whether all features lie between 0 and 1, as scaled pixels do. The head then ends in a sigmoid, and `bce` and `psnr` are
    measured."""


class Reconstruction(Task):
    """The label, if there is one, says which rows are anomalous; predictions are each row's squared error and cross-entropy.

    mse, bce and psnr are means over the normal rows, those of the first class; without a label all rows are normal. auc says how
    well the error tells the two apart.
    """

    name = "reconstruction"
    metrics = (MSE, BCE, PSNR, AUC)
    label_kind = LabelKind.TWO_CLASSES
    label_optional = True
    guide = "docs/guides/pictures.md"
    Options = ReconstructionOptions
    options: ReconstructionOptions
    output = "error"
    widths = {"error": 2 * _CELLS}
    gallery_rows = 24
    views = (
        View("histogram", "Errors", _NORMAL, key="errors"),
        View("histogram", "Errors of anomalies", _ANOMALOUS, key="anomalies"),
    )

    @classmethod
    def ordered_classes(cls, domain: Sequence[str], label: str, positive: str = "") -> list[str]:
        positive = positive or domain[-1]
        if len(domain) != 2 or positive not in domain:
            raise InputError(
                f"label {label!r}: says which rows are anomalous, so it has two classes, and data.label.positive_class is one of "
                f"them. Received: {list(domain)[:5]}, {positive!r}. Mend the domain in schema.pbtxt, or leave data.label out."
            )
        return [one for one in domain if one != positive] + [positive]

    # The model.

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        """Raises InputError for a feature that is not made of float32 numbers."""
        for one in schema.features.values():
            if one.dtype != "float32":
                raise InputError(
                    f"feature {one.name!r}: task reconstruction makes numbers again, float32 ones. Received: {one.dtype}. Cast it, "
                    "or make a one-hot vector of an id (tf.one_hot), in features.py."
                )
        return (sum(math.prod(one.shape) for one in schema.features.values()),)

    def head(self, schema: ModelSchema, x: Any) -> Any:
        import keras

        flat = self.answers_of(schema, x, "sigmoid" if self.options.unit_interval else None)
        return keras.layers.Activation("linear", dtype="float32", name="output")(flat)

    def loss(self, schema: ModelSchema) -> Any:
        return "mse"

    def training_target(self, features: Mapping[str, Any]) -> Any:
        """The features side by side in the order of their names, [N, numbers of a row]."""
        import tensorflow as tf

        flat = [tf.reshape(features[name], [tf.shape(features[name])[0], -1]) for name in sorted(features)]
        return tf.concat(flat, axis=1)

    # What is served.

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """`error` [N], `reconstruction` [N, numbers of a row]; `cross_entropy` [N] of features in 0..1; `code` of an Autoencoder."""
        import tensorflow as tf

        target = self.training_target(features)
        found = {"error": tf.reduce_mean(tf.square(output - target), axis=1), "reconstruction": output}
        if self.options.unit_interval:
            p = tf.clip_by_value(output, _EPSILON, 1 - _EPSILON)
            entropy = target * tf.math.log(p) + (1 - target) * tf.math.log(1 - p)
            found["cross_entropy"] = -tf.reduce_mean(entropy, axis=1)
        if encoder := getattr(model, "encoder", None):
            found["code"] = encoder(dict(features), training=False)
        return found

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        """`decode` of an Autoencoder: `code` [N, d] -> `reconstruction`."""
        decoder = getattr(model, "decoder", None)
        if decoder is None:
            return {}
        import tensorflow as tf

        code = tf.TensorSpec([None, *decoder.input_shape[1:]], tf.float32)
        return {
            "decode": Signature(
                lambda given: {"reconstruction": decoder(given["code"], training=False)}, tensors={"code": code}
            )
        }

    # How good it is.

    def judged(self, answers: Tensors) -> np.ndarray:
        """Squared error and cross-entropy of each row, [N, 2]; NaN for the latter where it is not answered, as by a baseline."""
        error = answers["error"]
        return np.stack([error, answers.get("cross_entropy", np.full_like(error, np.nan))], axis=1)

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.isfinite(predictions[:, 0])

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        error, entropy = predictions.astype(np.float64).T
        decibels = -10 * np.log10(np.maximum(error, _LEAST))
        anomalous = truths.astype(np.int64)
        normal = 1.0 - anomalous
        terms = {"rows": np.ones(len(error)), "normal": normal}
        for name, value in (("mse", error), ("bce", entropy), ("psnr", decibels)):
            terms |= {name: value * normal, f"squared_{name}": value**2 * normal}
        place = np.log10(np.maximum(error, _LEAST) / _LEAST) * (_CELLS / _DECADES)
        return UnitTerms(terms, {"error": anomalous * _CELLS + np.clip(place, 0, _CELLS - 1).astype(np.int64)})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        if metric == "auc":
            return _area(sums.cells["error"][slice_index].reshape(2, -1))
        terms = sums.of(slice_index)
        if metric == "psnr" and not self.options.unit_interval:
            return None
        value = ratio(terms[metric], terms["normal"])
        return None if value is None or math.isnan(value) else value

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        if metric == "auc":
            return confidence.area_bounds(value, t["rows"] - t["normal"], t["normal"], level)
        bounds = confidence.mean if metric == "psnr" else confidence.mean_loss
        return bounds(t[metric], t[f"squared_{metric}"], t["normal"], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        area = None if self.value("auc", sums) is None else 0.5
        return {**super().trivial(sums, truths), "auc": area}

    @property
    def has_baseline(self) -> bool:
        return False

    def data_checks(self, sums: MergeableSums, query: str) -> list[CheckResult]:
        from components.gates import CheckResult, Severity

        rows, normal = (int(sums.terms[name][0]) for name in ("rows", "normal"))
        if not self.classes or 0 < normal < rows:
            return []
        only = self.classes[0 if normal else 1]
        message = (
            f"all {rows:,} rows of the test split are of class {only!r}: auc, or what is over normal rows, is undefined"
        )
        return [CheckResult("the test split has normal and anomalous rows", False, Severity.WARNING, message)]

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        """Pictures beside what was made of them; nothing where a row is not one picture, with pixels from 0 to 1.

        A picture that was brought to another size is made again as a square.
        """
        tiles = []
        for row, again in enumerate(answers["reconstruction"] if self.options.unit_interval else ()):
            original = rows.picture(row)
            if original is None or (shown := _as_picture(again, original)) is None:
                return ()
            lines = [f"error {answers['error'][row]:.4f}", *([self.classes[int(truths[row])]] if self.classes else [])]
            tiles.append(rows.tile(row, *lines, again=shown))
        return [
            Gallery("Made again", tiles, "Rows that chance chose: the picture, and what the model made of its code.")
        ]

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        """Errors on one scale, within the central 99 %; rows beyond are counted in the last bin."""
        if not sample or not len(sample[0]):
            return {}
        anomalous, error = sample[0].astype(bool), sample[1][:, 0].astype(np.float64)
        most = float(np.quantile(error, 0.99)) or 1.0
        charts = {}
        for key, some in (("errors", ~anomalous), ("anomalies", anomalous)):
            counts, edges = np.histogram(np.minimum(error[some], most), bins=_BINS, range=(0, most))
            if some.any():
                scaled = np.rint(counts * (rows / len(error))).astype(int)
                charts[key] = {"edges": edges.tolist(), "counts": scaled.tolist()}
        return charts

    # What `trainyard new` writes.

    @classmethod
    def draft_unlabelled(cls, table: Unlabelled) -> Draft:
        return cls._draft(table.values.num_rows)

    @classmethod
    def _draft(cls, rows: int) -> Draft:
        test_rows = rows_of_test(rows)
        return Draft(
            None,
            cls.name,
            "",
            story=("Without a label: rows are told apart by how badly they are made again from a short code",),
            trivial="Always answering the mean has an mse of about 1, because features.py standardises every number.",
            test_rows=test_rows,
            bars=("{metric: mse, max: 0.9}",),
            max_loss=float(f"{min(0.1, chance_of(test_rows)):.2g}"),
            most_epochs=_MOST_EPOCHS,
            hyperparameters={"learning_rate": 0.004, "hidden_units": 64, "code_share": 0.33},
            purpose="Finds rows that are unlike the others.",
            templates="reconstruction",
        )

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        if label.distinct != 2:
            raise InputError(
                f"--task reconstruction: the label {label.name!r} says which rows are anomalous, so it has two values. "
                f"Received: {label.distinct:,}. Name another column, or leave --label out."
            )
        classes = draft_classes(cls.name, label, "", ())
        drafted = cls._draft(label.rows)
        return dataclasses.replace(
            drafted,
            name=label.name,
            dtype=classes.dtype,
            story=(f"{label.name!r} is for judging alone: nothing is learnt from it",),
            trivial=f"{drafted.trivial} An auc of 0.5 is guessing.",
            bars=(*drafted.bars, area_bar(label)),
            classes=classes.classes,
            counts=classes.counts,
            positive=choose_positive(label, positive),
        )


def _area(histogram: np.ndarray) -> float | None:
    """Under the ROC curve: how often an anomalous row has the greater error; a tie is half."""
    normal, anomalous = histogram
    below = np.cumsum(normal) - normal / 2
    return ratio(float(anomalous @ below), float(normal.sum() * anomalous.sum()))


def _as_picture(again: np.ndarray, original: np.ndarray) -> np.ndarray | None:
    if again.size == original.size:
        return pictures.raster(again.reshape(original.shape))
    return pictures.picture_of(again, pictures.Pixels(high=1.0))

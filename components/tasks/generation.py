"""Pictures made from what a request asks for, such as a class; a released classifier judges them."""

from __future__ import annotations

import copy
import functools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from components.tasks._base import Task
from components.tasks._columns import class_indices
from components.tasks._context import Context, Tensors
from components.tasks._gallery import Gallery, ShownRows, Tile
from components.tasks._lazily import confidence, np, pa, pictures
from components.tasks._signatures import Signature
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from spec.errors import InputError
from spec.metrics import FRECHET, JUDGE_ACCURACY, REAL_TRAIN, SYNTHETIC_TRAIN
from spec.section import ColumnName, Section
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.tasks._schema import ModelSchema

_EPSILON = 1e-7
_TRAIN_ROWS, _HIDDEN, _BATCH, _STEPS = (
    10_000,
    128,
    200,
    1000,
)  # of the small classifier; of as many real digits it learns to read 0.95
_SIDE = 28  # it sees pictures of at most so many pixels a side
_SHOWN, _GRID = 8, 240  # pictures of a class in the report, and their width together
_SKETCHED = 24  # pictures after some epochs, of a class and a code each
_MOST_CLASSES = 64  # covariances of more log-probabilities take too much memory


class GenerationOptions(Section):
    condition: ColumnName | None = None
    """The column with the class of which a picture is asked for, by the judge's names of them. Without it, judge_accuracy and the two
    trainings are undefined."""
    shape: tuple[int, int, Literal[1, 3]] = (28, 28, 1)
    """Height, width and channels of a picture."""
    encoding: Literal["png", "raw"] = "png"
    """How the label's column holds a picture, and the column that the judge takes. raw: a byte for each pixel and channel, row by row;
    png: PNG, or another format that TensorFlow decodes."""


class Generation(Task):
    """The label is a picture, predictions are pictures; both are judged by the log-probabilities of a released classifier.

    A prepared task knows the judge, and two small classifiers: one that learnt from generated pictures, one that learnt from the
    real ones of the same rows.
    """

    name = "generation"
    metrics = (JUDGE_ACCURACY, FRECHET, SYNTHETIC_TRAIN, REAL_TRAIN)
    label_kind = LabelKind.IMAGE
    guide = "docs/guides/pictures.md"
    needs_judge = True
    Options = GenerationOptions
    options: GenerationOptions
    output = "pixels"
    inexact = frozenset({"picture_bytes"})
    gallery_rows = 80
    sketch_rows = _SKETCHED
    judge: Any = None
    learners: Mapping[str, Any] = {}

    # The label.

    def late_target(self, target: Any) -> Any:
        """Encoded pictures [N] -> float32 [N, height, width, channels], from 0 to 1."""
        import tensorflow as tf

        height, width, channels = self.options.shape
        if self.options.encoding == "raw":
            pixels = tf.ensure_shape(
                tf.io.decode_raw(tf.reshape(target, [-1]), tf.uint8), [None, height * width * channels]
            )
            pixels = tf.reshape(pixels, [-1, height, width, channels])
        else:
            decode = functools.partial(tf.io.decode_image, channels=channels, expand_animations=False)
            pixels = tf.map_fn(decode, tf.reshape(target, [-1]), fn_output_signature=tf.uint8)
            pixels = tf.ensure_shape(pixels, [None, height, width, channels])
        return tf.cast(pixels, tf.float32) / 255.0

    def truths(self, batch: pa.RecordBatch, label: str | None) -> np.ndarray:
        """[N, 1 + C + d]: the class that is asked for (-1: none), what the judge says of the real picture, and its pixels."""
        assert label is not None
        encoded = batch.column(label)
        parts = [self._asked_for(batch)[:, np.newaxis], self._judgement(encoded), _small(self._decoded(encoded, label))]
        return np.concatenate(parts, axis=1).astype(np.float32)

    # The model.

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return self.options.shape

    def head(self, schema: ModelSchema, x: Any) -> Any:
        import keras

        flat = self.answers_of(schema, x, "sigmoid")
        return keras.layers.Reshape(self.options.shape, dtype="float32", name="output")(flat)

    def loss(self, schema: ModelSchema) -> Any:
        return "mse"

    def sketch(self, output: np.ndarray) -> np.ndarray:
        """The pictures in a row."""
        return pictures.grid([pictures.raster(one) for one in output], columns=len(output))

    # What is served.

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return self.options.shape

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """`pixels` [N, height, width, channels], from 0 to 1, and `picture_bytes` [N], the same as PNG."""
        return _answers(output)

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        """`decode` of a model that has a `decode(features, code)` and a `code_size`: the condition and `code` [N, d] -> a picture."""
        if not hasattr(model, "decode"):
            return {}
        import tensorflow as tf

        def answer(given: Mapping[str, Any]) -> dict[str, Any]:
            features = {name: value for name, value in given.items() if name != "code"}
            return _answers(model.decode(features, given["code"]))

        columns = [self.options.condition] if self.options.condition else []
        return {"decode": Signature(answer, columns, {"code": tf.TensorSpec([None, model.code_size], tf.float32)})}

    def prediction_types(self) -> dict[str, pa.DataType]:
        return {"picture_bytes": pa.binary()}

    # How good it is.

    def prepare(self, context: Context) -> Self:
        """Asks the judge what it takes, and has a small classifier learn from pictures that the model makes for rows of train."""
        prepared = copy.copy(self)
        prepared.judge = context.judge
        prepared._insist_on_judge()
        if self.options.condition is not None:
            prepared.learners = prepared._learners(context)
        return prepared

    @classmethod
    def objection_to_judge(cls, judge: Any) -> str:
        if [(one.dtype, one.shape) for one in judge.features.values()] != [("string", ())]:
            taken = [f"{name} ({one.dtype}{list(one.shape)})" for name, one in judge.features.items()]
            return f"takes {', '.join(taken)}; a judge takes one picture, as bytes."
        if not 2 <= len(judge.classes) <= _MOST_CLASSES or judge.kind.answer_shape != (len(judge.classes),):
            return (
                f"is a model of task {judge.task} with {len(judge.classes)} classes; a judge answers with the probabilities of 2 to "
                f"{_MOST_CLASSES} classes."
            )
        return ""

    @property
    def widths(self) -> Mapping[str, int]:  # type: ignore[override]
        return {"asked_for": len(self._judged_classes) + 1}

    def judged(self, answers: Tensors) -> np.ndarray:
        """What the judge says of generated pictures: log-probabilities, [N, C]."""
        pixels = np.rint(np.clip(answers["pixels"], 0, 1) * 255).astype(np.uint8)
        return self._judgement(pa.array([self._encoded(one) for one in pixels], pa.binary()))

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        classes = len(self._judged_classes)
        asked, real, pixels = np.split(truths, [1, 1 + classes], axis=1)
        asked = asked[:, 0].astype(np.int64)
        made, real = predictions.astype(np.float64), real.astype(np.float64)
        terms = {"rows": np.ones(len(asked)), "judge_accuracy": (made.argmax(axis=1) == asked).astype(np.float64)}
        for name, learner in self.learners.items():
            terms[name] = (learner.predict(pixels) == asked).astype(np.float64) if len(asked) else np.zeros(0)
        for name, values in (("real", real), ("made", made)):
            terms |= {name: values, f"squared_{name}": values[:, :, np.newaxis] * values[:, np.newaxis, :]}
        return UnitTerms(terms, {"asked_for": asked + 1})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        if metric == "frechet":
            return _frechet(*(_moments(sums, name, slice_index) for name in ("real", "made")))
        if self.options.condition is None:
            return None
        terms = sums.of(slice_index)
        return ratio(terms[metric], terms["rows"])

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        if metric == "frechet":
            return None
        terms = sums.of(slice_index)
        return confidence.proportion_bounds(terms[metric], terms["rows"], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        """One picture, whatever is asked for: the most frequent class."""
        counts = sums.cells["asked_for"][0]
        share = ratio(float(counts[1:].max()), float(counts.sum())) or None
        return {**super().trivial(sums, truths), "judge_accuracy": share, "synthetic_train": share, "real_train": share}

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        asked, seen = truths[:, 0].astype(int), self.judged(answers).argmax(axis=1)
        tiles = []
        for one in np.unique(asked):
            here = np.flatnonzero(asked == one)[:_SHOWN]
            grid = pictures.grid([pictures.raster(answers["pixels"][row]) for row in here], columns=4)
            right = int((seen[here] == one).sum())
            lines = [] if one < 0 else [self._judged_classes[one], f"{right} of {len(here)} are it to the judge"]
            tiles.append(Tile([pictures.thumbnail(grid, longest=_GRID)], lines))
        return [Gallery("Generated pictures", tiles, "Drawn for rows of the test split that chance chose.")]

    def _insist_on_judge(self) -> None:
        if self.judge is None:
            raise InputError(
                "evaluation.judge: task generation is judged by a release. Name one, such as mnist@stable."
            )
        if problem := self.objection_to_judge(self.judge.spec):
            raise InputError(f"evaluation.judge: {self.judge.name} {problem} Name another.")

    @property
    def _judged_classes(self) -> Sequence[str]:
        return self.judge.spec.classes if self.judge else ()

    def _judgement(self, encoded: pa.Array) -> np.ndarray:
        """The log-probabilities of encoded pictures, [N, C]."""
        spec = self.judge.spec
        batch = pa.record_batch({next(iter(spec.features)): encoded.cast(pa.binary())})
        return np.log(np.clip(spec.kind.judged(self.judge.predict(batch)), _EPSILON, 1))

    def _asked_for(self, batch: pa.RecordBatch) -> np.ndarray:
        """The class of each row, [N]; -1 where none is asked for."""
        if self.options.condition is None:
            return np.full(batch.num_rows, -1)
        try:
            return class_indices(batch.column(self.options.condition), self._judged_classes)
        except InputError as error:
            raise InputError(f"task_options.condition: column {self.options.condition!r}: {error}") from None

    def _decoded(self, encoded: pa.Array, label: str) -> np.ndarray:
        """[N, height, width, channels], from 0 to 1."""
        if encoded.null_count:
            raise InputError(
                f"label {label!r}: {encoded.null_count} of {len(encoded)} pictures are missing. Remove those rows."
            )
        import tensorflow as tf

        try:
            return np.asarray(self.late_target(tf.constant(encoded.to_pylist(), tf.string)))
        except (ValueError, tf.errors.InvalidArgumentError) as error:
            shape = " x ".join(map(str, self.options.shape))
            raise InputError(
                f"label {label!r}: not all are pictures of {shape} as {self.options.encoding}: {' '.join(str(error).split())[:200]}"
            ) from None

    def _encoded(self, picture: np.ndarray) -> bytes:
        if self.options.encoding == "raw":
            return picture.tobytes()
        import tensorflow as tf

        return bytes(tf.io.encode_png(picture).numpy())

    def _learners(self, context: Context) -> dict[str, Any]:
        real, made, asked = [], [], []
        for batch in _first(context, _TRAIN_ROWS):
            real.append(_small(self._decoded(batch.column(context.label), str(context.label))))
            made.append(_small(context.predict(batch)["pixels"]))
            asked.append(self._asked_for(batch))
        classes = np.concatenate(asked)
        seen = {"synthetic_train": made, "real_train": real}
        return {name: _learner(np.concatenate(parts), classes) for name, parts in seen.items()}


def _answers(output: Any) -> dict[str, Any]:
    import tensorflow as tf

    pixels = tf.clip_by_value(output, 0.0, 1.0)
    whole = tf.cast(tf.round(pixels * 255.0), tf.uint8)
    return {"pixels": pixels, "picture_bytes": tf.map_fn(tf.io.encode_png, whole, fn_output_signature=tf.string)}


def _first(context: Context, rows: int) -> Iterator[pa.RecordBatch]:
    """The first rows of train."""
    columns = dict.fromkeys([str(context.label), *context.columns])
    for batch in context.train(list(columns)):
        if rows <= 0:
            return
        yield batch.slice(0, rows)
        rows -= batch.num_rows


def _small(pixels: np.ndarray) -> np.ndarray:
    """[N, height, width, channels] -> [N, d] with at most 28 pixels a side, each the mean of those that it stands for."""
    rows, height, width, channels = pixels.shape
    step = math.ceil(max(height, width) / _SIDE)
    cut = pixels[:, : height // step * step, : width // step * step]
    blocks = cut.reshape(rows, height // step, step, width // step, step, channels)
    return blocks.mean(axis=(2, 4), dtype=np.float32).reshape(rows, -1)


def _learner(pixels: np.ndarray, classes: np.ndarray) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    epochs = math.ceil(_STEPS / math.ceil(len(classes) / _BATCH))
    learner = MLPClassifier((_HIDDEN,), batch_size=min(_BATCH, len(classes)), max_iter=epochs, random_state=1)
    # On one thread: two took 1.6 times the CPU time, and where the cores are busy they wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # so many steps, and no more
        return learner.fit(pixels, classes)


def _moments(sums: MergeableSums, name: str, slice_index: int) -> tuple[np.ndarray, np.ndarray]:
    rows = sums.terms["rows"][slice_index] or math.nan
    mean = sums.terms[name][slice_index] / rows
    return mean, sums.terms[f"squared_{name}"][slice_index] / rows - np.outer(mean, mean)


def _frechet(real: tuple[np.ndarray, np.ndarray], made: tuple[np.ndarray, np.ndarray]) -> float | None:
    """Squared, between two normal distributions (Dowson and Landau, 1982): |m - n|^2 + tr(C + D - 2 (C D)^(1/2))."""
    (m, c), (n, d) = real, made
    if not (np.isfinite(m).all() and np.isfinite(n).all()):
        return None
    values, vectors = np.linalg.eigh(c)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    # The trace of (C D)^(1/2) is that of (C^(1/2) D C^(1/2))^(1/2), which is symmetric.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ d @ root), 0)).sum()
    return max(0.0, float(((m - n) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * cross))

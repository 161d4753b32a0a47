"""The class of each pixel of a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from components.tasks._base import Task
from components.tasks._context import Tensors
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._lazily import confidence, np, pa
from components.tasks._sums import MergeableSums, UnitTerms, Values, divide, ratio
from components.tasks._views import View
from spec.errors import InputError
from spec.metrics import DICE, MIOU, PIXEL_ACCURACY
from spec.section import Section
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.tasks._schema import ModelSchema

VOID = 255
"""Of a mask's pixels: belongs to no class, as an outline that nobody can be sure of; it is neither learnt nor judged."""

_MASK = "mask_bytes"  # so named, TensorFlow Serving's JSON has it in base64
_BORDERLINE = 0.001  # of a picture's pixels; their classes are so close that another machine may call the other one
_PIXELS = ("hits", "wrong", "squared_hits", "squared_wrong", "hits_wrong", "occurs")
Side = Annotated[int, Field(ge=1, le=4096)]


class Options(Section):
    classes: tuple[str, ...] = Field(default=("background", "object"), min_length=2, max_length=VOID)
    """The classes of pixels, in the order of their numbers in the masks: the first is 0. 255 in a mask is no class."""
    size: tuple[Side, Side] = (128, 128)
    """Height and width of the model's output, to which masks are brought (nearest pixel)."""


class Segmentation(Task):
    """The label is a mask: a PNG of one channel, a class's number in each pixel. Predictions are masks, [N, H, W] of uint8.

    Models are compared by the mean of the classes' intersection over union (Everingham et al. 2010, "The Pascal VOC Challenge"): of
    all pixels of the test split together, over the classes that occur.
    """

    name = "segmentation"
    metrics = (MIOU, DICE, PIXEL_ACCURACY)
    epoch_metrics = (MIOU,)
    label_kind = LabelKind.IMAGE
    takes_variants = True
    guide = "docs/guides/pictures.md"
    Options = Options
    output = "shares"
    valid_words = "masks of its classes"
    gallery_rows = 12
    views = (
        View("classes", "Intersection over union by class", "Of all pixels of the test split.", key="by_class"),
        View("confusion_matrix", "Pixels by class"),
    )

    def __init__(
        self, classes: Sequence[str] = (), threshold: float = 0.5, options: Section | Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(classes, threshold, options)
        chosen = self.options
        assert isinstance(chosen, Options)
        self.classes, self.size = chosen.classes, chosen.size

    # The label.

    def late_target(self, target: Any) -> Any:
        """PNGs [N] -> int32 [N, H, W]."""
        import tensorflow as tf

        def decoded(png: Any) -> Any:
            mask = tf.io.decode_png(png)
            one_channel = tf.debugging.assert_equal(tf.shape(mask)[-1], 1, f"a mask {_FORM}")
            with tf.control_dependencies([one_channel]):
                mask = tf.image.resize(mask[..., :1], self.size, "nearest")
            known = tf.reduce_all((mask < len(self.classes)) | (mask == VOID))
            with tf.control_dependencies([tf.debugging.Assert(known, [f"a mask {self._numbers}"])]):
                return tf.ensure_shape(mask[..., 0], self.size)

        masks = tf.map_fn(decoded, target, fn_output_signature=tf.TensorSpec(self.size, tf.uint8))
        return tf.cast(masks, tf.int32)

    def read_labels(self, column: pa.Array | pa.ChunkedArray, label: str) -> np.ndarray:
        masks = np.zeros((len(column), *self.size), np.uint8)
        for row, png in enumerate(column.to_pylist()):
            try:
                masks[row] = self._decoded(png)
            except InputError as error:
                raise InputError(f"label {label!r}: the mask of row {row} of a batch {error}") from None
        return masks

    def _decoded(self, png: bytes | None) -> np.ndarray:
        from PIL import Image

        if png is None:
            raise InputError("is missing. Remove the row, or complete it.")
        try:
            image = Image.open(io.BytesIO(png))
            if image.mode not in ("L", "1"):
                raise InputError(f"{_FORM} Received: mode {image.mode}.")
            mask = np.asarray(image.convert("L") if image.mode == "L" else image, np.uint8)
        except OSError as error:
            raise InputError(f"does not decode ({error}). {_FORM}") from None
        if mask.shape != self.size:
            mask = np.asarray(Image.fromarray(mask).resize(self.size[::-1], Image.Resampling.NEAREST))
        if (wrong := mask[(mask >= len(self.classes)) & (mask != VOID)]).size:
            raise InputError(f"{self._numbers} Received: {wrong[0]}.")
        return mask

    @property
    def _numbers(self) -> str:
        most = len(self.classes) - 1
        return f"has numbers of classes, 0 to {most}, or {VOID} for none. Mend it, or task_options.classes in workload.yaml."

    # The model.

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (*self.size, len(self.classes))

    def head(self, schema: ModelSchema, x: Any) -> Any:
        """The layers that end a model, on features [N, H, W, d]."""
        import keras

        if tuple(x.shape[1:-1]) != self.size:
            raise InputError(
                f"schema.outputs(x): task segmentation takes features [N, {self.size[0]}, {self.size[1]}, d], by "
                f"task_options.size. Received: {list(x.shape)}."
            )
        scores = keras.layers.Conv2D(len(self.classes), 1, dtype="float32")(x)
        return keras.layers.Softmax(dtype="float32", name="output")(scores)

    def loss(self, schema: ModelSchema) -> Any:
        import keras

        return keras.losses.SparseCategoricalCrossentropy(ignore_class=VOID)

    def training_metrics(self) -> list[Any]:
        import keras

        return [keras.metrics.MeanIoU(len(self.classes), name="miou", ignore_class=VOID, sparse_y_pred=False)]

    def objection_to_output(self, output: np.ndarray) -> str:
        if np.abs(output.sum(axis=-1) - 1).max(initial=0) < 1e-3:
            return ""
        return (
            "task segmentation needs a probability for each class of a pixel. End build_model with schema.outputs(x)."
        )

    # What is served.

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (len(self.classes),)

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """`mask_bytes`: a PNG as the label's; `shares`: of the pixels, by class."""
        import tensorflow as tf

        masks = tf.argmax(output, axis=-1, output_type=tf.int32)
        shares = tf.reduce_mean(tf.one_hot(masks, len(self.classes)), axis=[1, 2])
        pictures = tf.cast(masks, tf.uint8)[..., tf.newaxis]
        return {self.output: shares, _MASK: tf.map_fn(tf.io.encode_png, pictures, fn_output_signature=tf.string)}

    def objection_to_answers(self, answers: Tensors) -> str:
        try:
            masks = self.judged(answers)
        except InputError as error:
            return f"{_MASK!r}: a mask {error}"
        off = np.abs(answers[self.output] - _shares(masks, len(self.classes))).max(initial=0)
        return f"{self.output!r} is not what {_MASK!r} shows; one is off by {off:g}" if off > 1e-3 else ""

    def settled(self, found: Tensors, expected: Tensors) -> Tensors:
        """`expected` where in no picture more than a thousandth of the pixels, or one, is of another class."""
        if found.keys() != expected.keys() or any(found[name].shape != expected[name].shape for name in expected):
            return found
        try:
            other = self.judged(found) != self.judged(expected)
        except InputError:
            return found
        share = max(_BORDERLINE, 1 / math.prod(self.size))
        off = np.abs(found[self.output] - expected[self.output]).max(initial=0)
        few = other.mean(axis=(1, 2)).max(initial=0) <= share and off <= share * 1.001  # which are float32
        return expected if few else found

    def prediction_types(self) -> dict[str, pa.DataType]:
        return {**super().prediction_types(), _MASK: pa.binary()}

    # How good it is.

    @property
    def judged_output(self) -> str:
        return _MASK

    @property
    def judged_shape(self) -> tuple[int, ...]:
        return self.size

    def judged(self, answers: Tensors) -> np.ndarray:
        """The masks, [N, H, W] of uint8, which is also how a simple method answers."""
        if answers[_MASK].ndim > 1:
            return answers[_MASK]
        masks = [self._decoded(png) for png in answers[_MASK].tolist()]
        return np.stack(masks) if masks else np.zeros((0, *self.size), np.uint8)

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.asarray((predictions < len(self.classes)).all(axis=(1, 2)))

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        many = len(self.classes)
        confusion = np.zeros((len(truths), many, many))
        for row, (truth, found) in enumerate(zip(truths, predictions, strict=True)):  # not all at once: 8 bytes a pixel
            known = truth != VOID
            pairs = truth[known].astype(np.int64) * many + found[known]
            confusion[row] = np.bincount(pairs, minlength=many**2).reshape(many, many)
        # Of each class, and of all together: pixels that are right, and those that are wrong for it.
        hits = np.diagonal(confusion, axis1=1, axis2=2)
        wrong = confusion.sum(axis=1) + confusion.sum(axis=2) - 2 * hits
        hits = np.concatenate([hits, hits.sum(axis=1, keepdims=True)], axis=1)
        wrong = np.concatenate([wrong, wrong.sum(axis=1, keepdims=True) / 2], axis=1)
        terms = {
            "rows": np.ones(len(truths)),
            "confusion": confusion,
            "hits": hits,
            "wrong": wrong,
            # How sure the figures are (`bounds_of`).
            "squared_hits": hits**2,
            "squared_wrong": wrong**2,
            "hits_wrong": hits * wrong,
            "occurs": (hits + wrong > 0).astype(np.float64),
        }
        return UnitTerms(terms)

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        hits, wrong = (sums.terms[name][slice_index] for name in ("hits", "wrong"))
        if metric == "pixel_accuracy":
            return ratio(float(hits[-1]), float(hits[-1] + wrong[-1]))
        overlap = divide(hits, hits + wrong)[:-1][(hits + wrong)[:-1] > 0]
        if not len(overlap):
            return None
        return float((overlap if metric == "miou" else 2 * overlap / (1 + overlap)).mean())

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        columns = np.stack([sums.terms[name][slice_index] for name in _PIXELS], axis=1)
        if metric == "pixel_accuracy":
            return confidence.clustered_bounds(*columns[-1].tolist(), level=level)
        found = [confidence.clustered_bounds(*one.tolist(), level=level) for one in columns[:-1] if one[-1]]
        return confidence.mean_of_bounds(
            found if metric == "miou" else [confidence.f1_of_jaccard(one) for one in found]
        )

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        """Of the same class in each pixel."""
        pixels = self.confusion(sums).sum(axis=1)
        if not pixels.sum():
            return super().trivial(sums, truths)
        share, occur = float(pixels.max() / pixels.sum()), int((pixels > 0).sum())
        return {"miou": share / occur, "dice": 2 * share / (1 + share) / occur, "pixel_accuracy": share}

    def confusion(self, sums: MergeableSums, slice_index: int = 0) -> np.ndarray:
        return np.asarray(sums.terms["confusion"][slice_index])

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        hits, wrong, occurs = (sums.terms[name][0][:-1] for name in ("hits", "wrong", "occurs"))
        found = zip(self.classes, divide(hits, hits + wrong), occurs, strict=True)
        return {"by_class": [{"name": name, "value": float(value), "rows": int(rows)} for name, value, rows in found]}

    def interest(self, truths: np.ndarray, answers: Tensors) -> np.ndarray:
        """The share of a picture's pixels that are wrong."""
        return np.asarray(((self.judged(answers) != truths) & (truths != VOID)).mean(axis=(1, 2)))

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        wrong = self.interest(truths, answers)
        masks = zip(self._coloured(truths), self._coloured(self.judged(answers)), strict=True)
        tiles = [
            rows.tile(row, f"{wrong[row]:.1%} of the pixels wrong", truth=truth, answer=answer)
            for row, (truth, answer) in enumerate(masks)
        ]
        return [Gallery("The worst masks", tiles, f"A colour is a class: {', '.join(self.classes)}.")] if tiles else []

    def _coloured(self, masks: np.ndarray) -> np.ndarray:
        """[N, H, W] -> uint8 [N, H, W, 3]: the first class is black, the others lie around the colour wheel, no class is white."""
        import colorsys

        many = len(self.classes) - 1
        colours = np.full((VOID + 1, 3), 255, np.uint8)
        colours[0] = 0
        for number in range(many):
            colours[number + 1] = np.array(colorsys.hsv_to_rgb(number / many, 0.7, 0.95)) * 255
        return colours[masks]


_FORM = "is a PNG of one channel (grey, without a palette), with the number of a class in each pixel."


def _shares(masks: np.ndarray, many: int) -> np.ndarray:
    return np.stack([(masks == number).mean(axis=(1, 2)) for number in range(many)], axis=1)

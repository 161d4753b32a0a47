"""What tasks whose label is a class share."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from components.tasks._base import Task
from components.tasks._context import Tensors
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._judged import Conviction
from components.tasks._lazily import np, pa
from components.tasks._views import View
from spec.errors import InputError

if TYPE_CHECKING:
    from components.tasks._schema import ModelSchema

EPSILON = 1e-7
_TOLERANCE = 1e-5


class ClassTask(Task):
    """The label is a class, the answer a probability, or one for each class, and the label that follows from it."""

    tfs_signature = "classify"
    valid_words = "finite and a probability"
    views: ClassVar[tuple[View, ...]] = (View("confusion_matrix", "Confusion matrix"),)
    gallery_rows = 16
    takes_variants = True

    @abc.abstractmethod
    def scores(self, values: Any) -> Any:
        """The probability of each class, [N, C], in the graph or of arrays."""

    @abc.abstractmethod
    def called(self, output: Any) -> Any:
        """The index of the class that each row is called, [N], in the graph."""

    def taught(self, answers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """The probability of each class, in the student's order, [N, C]."""
        if sorted(classes) != sorted(self.classes):
            raise InputError(
                f"training.teacher: answers with the classes {_names(set(classes))}; the student's are "
                f"{_names(set(self.classes))}. Name a teacher of the same classes."
            )
        scores = type(self)(classes).scores(answers)
        return np.asarray(scores[:, [classes.index(one) for one in self.classes]], np.float32)

    def teachers_loss(self, schema: ModelSchema, temperature: float) -> Any:
        from components.tasks._softened import SoftenedDivergence

        return SoftenedDivergence(self.scores, temperature)

    def objection_to_output(self, output: np.ndarray) -> str:
        if ((output >= 0) & (output <= 1)).all():
            return ""
        return (
            f"task {self.name} needs probabilities between 0 and 1. Received values from {output.min():.3g} to "
            f"{output.max():.3g}. End build_model with schema.outputs(x), or a sigmoid or softmax."
        )

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """The probabilities, the class that is called, and how probable that is, [N]."""
        import tensorflow as tf

        called = self.called(output)
        return {
            self.output: tf.reshape(output, [-1, *self.answer_shape]),
            "label": tf.gather(tf.constant(self.classes, tf.string), called),
            "confidence": tf.gather(self.scores(output), called, batch_dims=1),
        }

    def explained_score(self, output: Any, answered: Any) -> Any:
        """The log-odds of the class that the row is called."""
        return _log_odds(output, self.called(answered), self.scores)

    def tfs_answers(self, output: Any) -> dict[str, Any]:
        import tensorflow as tf

        scores = self.scores(output)
        classes = tf.tile(tf.constant(self.classes, tf.string)[tf.newaxis], [tf.shape(scores)[0], 1])
        return {"classes": classes, "scores": scores}

    def tfs_expected(self, answers: Tensors) -> Tensors:
        names = np.array([[name.encode() for name in self.classes]] * len(answers[self.output]), dtype=object)
        return {"scores": self.scores(answers[self.output]), "classes": names}

    def objection_to_answers(self, answers: Tensors) -> str:
        values, labels = answers[self.output], answers.get("label")
        low, high = float(values.min()), float(values.max())
        if low < -_TOLERANCE or high > 1 + _TOLERANCE:
            return f"{self.output!r} must lie in [0, 1]; it goes from {low:g} to {high:g}"
        if labels is None or labels.shape != values.shape[:1]:
            return "output 'label' must be one string a row"
        texts = {one.decode("utf-8", "replace") for one in labels.tolist()}
        if unknown := set().union(*map(self.named, texts)) - set(self.classes):
            return f"'label' says {_names(unknown)}; the classes are {_names(set(self.classes))}"
        return ""

    def interest(self, truths: np.ndarray, answers: Tensors) -> np.ndarray:
        """The probability of the class that a row is called, where it is the wrong one."""
        called = self._called_in(answers)
        sure = self.scores(answers[self.output])[np.arange(len(called)), called]
        return np.where(called != truths, sure, -np.inf)

    def conviction(self, truths: np.ndarray, answers: Tensors) -> Conviction | None:
        """The log-odds of the class that a row was called."""
        return self.log_odds(self._called_in(answers))

    def log_odds(self, classes: np.ndarray) -> Conviction:
        """Of a class of each row, [N]."""

        def of_changed(answers: Tensors, rows: np.ndarray) -> np.ndarray:
            of_class = self.scores(answers[self.output])[np.arange(len(rows)), classes[rows]].astype(np.float64)
            p = np.clip(of_class, EPSILON, 1 - EPSILON)
            return np.asarray(np.log(p) - np.log1p(-p))

        return of_changed

    def _called_in(self, answers: Tensors) -> np.ndarray:
        """The index of the class that each row was called, [N]."""
        labels, which = np.unique(answers["label"], return_inverse=True)
        return np.array([self.classes.index(label.decode()) for label in labels], np.int64)[which]

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        said, sure = [label.decode() or "nothing" for label in answers["label"]], self.interest(truths, answers)
        tiles = [
            rows.tile(row, f"{said[row]} ({sure[row]:.2f})", f"is {self.said_of(truth) or 'nothing'}", mark="bad")
            for row, truth in enumerate(truths)
        ]
        caption = "Where the model is wrong, the surest first: what it answered, how sure it was, and what is true."
        return [Gallery("Most confident errors", tiles, f"{caption} {rows.key}".strip())] if tiles else []

    def said_of(self, truth: Any) -> str:
        """What `label` says where the model answers a row's truth."""
        return self.classes[truth]

    def named(self, label: str) -> set[str]:
        """The classes that an answered label names."""
        return {label}

    def prediction_types(self) -> dict[str, pa.DataType]:
        return {**super().prediction_types(), "label": pa.string()}


class ClassesTask(ClassTask):
    """The answer is a probability for each of two classes or more, [N, C].

    Attributes:
        activation: of Keras, which makes probabilities of the model's last numbers.
    """

    activation: ClassVar[str]
    output = "probabilities"

    @classmethod
    def ordered_classes(cls, domain: Sequence[str], label: str, positive: str = "") -> list[str]:
        if len(domain) < 2:
            raise InputError(f"label {label!r}: {cls.name} needs two classes or more. Received: {domain}.")
        return list(domain)

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (len(schema.classes),)

    def head(self, schema: ModelSchema, x: Any) -> Any:
        import keras

        # float32 whatever the policy: half precision is for the layers before, not for probabilities.
        return keras.layers.Activation(self.activation, dtype="float32", name="output")(self.answers_of(schema, x))

    @property
    def answer_shape(self) -> tuple[int, ...]:
        return (len(self.classes),)

    def scores(self, values: Any) -> Any:
        return values


def _names(values: set[str]) -> str:
    return ", ".join(repr(value) for value in sorted(values)) or "none"


def _log_odds(output: Any, classes: Any, scores: Callable[[Any], Any]) -> Any:
    """How sure a model is of a class of each row, in the graph, [N].

    Where a sigmoid or softmax ends the model, of what that was given: in float32 a sure probability is 1, and has no slope.

    Args:
        output: of the model, [N, C], or [N, 1] of two classes.
        classes: their indices, [N].
        scores: an output -> the probability of each class, [N, C].
    """
    import tensorflow as tf

    last = output.op
    if last.type == "Softmax":
        logits = last.inputs[0]
    elif last.type == "Sigmoid":
        logits = tf.concat([tf.zeros_like(output), last.inputs[0]], axis=1)
    else:
        logits = tf.math.log(tf.clip_by_value(scores(output), EPSILON, 1.0))
    own = tf.one_hot(classes, logits.shape[1], on_value=True, off_value=False)
    others = tf.reduce_logsumexp(tf.where(own, logits.dtype.min, logits), axis=1)
    return tf.gather(logits, classes, batch_dims=1) - others

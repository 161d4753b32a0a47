"""A conditional generative adversarial network for pictures of 28 x 28 pixels: made to be good after minutes on two CPU cores.

The discriminator says whether a picture is a real one of its digit (projection: Miyato and Koyama, 2018), and which digit it is
(auxiliary classifier: Odena et al., 2017); the latter alone makes the pictures of a digit too much alike. Both networks take their
step from one pass, so that a picture is made once a step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import keras
import tensorflow as tf
from keras import layers, ops

if TYPE_CHECKING:
    from components.trainer import ModelSchema


def build_model(schema: ModelSchema, hyperparameters: Mapping[str, Any]) -> keras.Model:
    """Builds both networks and compiles them with a learning rate that falls to nothing.

    Args:
        schema: the transformed features and the task.
        hyperparameters: `code`, numbers that a picture is drawn from; `width`, filters of the layers of 14 x 14 pixels (those of
            7 x 7 have twice as many); `digit_weight`, what telling the digit counts in the generator's loss; `learning_rate` at the
            start; `steps_per_epoch` and `epochs` come from the trainer.
    """
    classes = schema.features["digit"].shape[0]
    code, width = hyperparameters["code"], hyperparameters["width"]
    model = ConditionalGAN(
        _generator(code, classes, width), _discriminator(classes, width), code, hyperparameters["digit_weight"]
    )
    steps = hyperparameters["steps_per_epoch"] * hyperparameters["epochs"]
    rate = keras.optimizers.schedules.CosineDecay(hyperparameters["learning_rate"], steps, alpha=0.01)
    model.compile(keras.optimizers.Adam(rate, beta_1=0.5))
    return model


@keras.saving.register_keras_serializable("trainyard.digits_gan")
class ConditionalGAN(keras.Model):
    """Draws pictures of digits.

    Args:
        generator: code [N, d] and digit, one-hot [N, classes] -> pictures [N, 28, 28, 1], from 0 to 1.
        discriminator: pictures and digit -> logit of being real [N, 1], logits of the digits [N, classes].
        code_size: d.
        digit_weight: what telling the digit counts in the generator's loss.
    """

    def __init__(
        self, generator: keras.Model, discriminator: keras.Model, code_size: int, digit_weight: float, **options: Any
    ) -> None:
        super().__init__(**options)
        self.generator, self.discriminator, self.code_size = generator, discriminator, code_size
        self._digit_weight = digit_weight
        self._random = keras.random.SeedGenerator()

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """The pictures of some digits; the same `seed` is the same picture."""
        return self.decode(features, self._codes(features["seed"]), training)

    def decode(self, features: Mapping[str, Any], code: Any, training: bool = False) -> Any:
        """The pictures that codes [N, d] stand for."""
        return self.generator([code, features["digit"]], training=training)

    def get_config(self) -> dict[str, Any]:
        networks = keras.saving.serialize_keras_object(
            {"generator": self.generator, "discriminator": self.discriminator}
        )
        return {"name": self.name, "code_size": self.code_size, "digit_weight": self._digit_weight, **networks}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Self:
        return cls(**keras.saving.deserialize_keras_object(config, custom_objects))

    def train_step(self, data: Any) -> dict[str, Any]:
        features, pictures = data
        with tf.GradientTape(persistent=True) as tape:
            of_generator, of_discriminator = self._losses_of(features["digit"], pictures, training=True)
        networks = ((self.generator, of_generator), (self.discriminator, of_discriminator))
        variables = [one for network, _ in networks for one in network.trainable_variables]
        gradients = [one for network, loss in networks for one in tape.gradient(loss, network.trainable_variables)]
        self.optimizer.apply(gradients, variables)
        return self._logs(of_generator, of_discriminator)

    def test_step(self, data: Any) -> dict[str, Any]:
        features, pictures = data
        return self._logs(*self._losses_of(features["digit"], pictures, training=False))

    def _losses_of(self, digits: Any, pictures: Any, training: bool) -> tuple[Any, Any]:
        """Of the generator and of the discriminator: non-saturating (Goodfellow et al., 2014), and both are to have digits told."""
        codes = keras.random.normal((ops.shape(digits)[0], self.code_size), seed=self._random)
        made = self.generator([codes, digits], training=training)
        both, twice = ops.concatenate([pictures, made]), ops.tile(digits, (2, 1))
        logits, told = self.discriminator([both, twice], training=training)
        real, fake = ops.split(logits, 2)
        right = ops.split(keras.losses.categorical_crossentropy(twice, told, from_logits=True), 2)
        of_generator = ops.mean(ops.softplus(-fake)) + self._digit_weight * ops.mean(right[1])
        of_discriminator = ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake)) + ops.mean(right[0])
        return of_generator, of_discriminator

    def _logs(self, of_generator: Any, of_discriminator: Any) -> dict[str, Any]:
        return {"loss": of_generator + of_discriminator, "generator": of_generator, "discriminator": of_discriminator}

    def _codes(self, seeds: Any) -> Any:
        """A code for each seed [N], standard normal [N, d]; of one row it does not depend on the others."""

        def drawn(seed: tf.Tensor) -> tf.Tensor:
            return tf.random.stateless_normal([self.code_size], tf.stack([seed, 0]))

        return tf.map_fn(drawn, tf.reshape(seeds, [-1]), fn_output_signature=tf.float32)


def _generator(code: int, classes: int, width: int) -> keras.Model:
    codes, digits = keras.Input((code,)), keras.Input((classes,))
    x = layers.Dense(7 * 7 * 2 * width, use_bias=False)(layers.Concatenate()([codes, digits]))
    x = layers.Reshape((7, 7, 2 * width))(_normalised(x))
    x = _normalised(layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=False)(x))
    x = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid", dtype="float32")(x)
    return keras.Model([codes, digits], x)


def _normalised(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))


def _discriminator(classes: int, width: int) -> keras.Model:
    pictures, digits = keras.Input((28, 28, 1)), keras.Input((classes,))
    x = layers.Rescaling(2.0, -1.0)(pictures)
    for filters in (width, 2 * width):
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 4, strides=2, padding="same")(x))
    # Without it the discriminator knows the real pictures by heart, and the generator learns nothing from it.
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.2)(layers.Dense(4 * width)(x))
    of_its_digit = ops.sum(x * layers.Dense(4 * width, use_bias=False)(digits), axis=1, keepdims=True)
    logit = layers.Dense(1, dtype="float32")(x) + of_its_digit
    return keras.Model([pictures, digits], [logit, layers.Dense(classes, dtype="float32")(x)])

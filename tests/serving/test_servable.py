"""A loaded version by itself: what it refuses, which row it names, and what it is warmed up with."""

from __future__ import annotations

import base64
import json
import logging
import pathlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from serving.errors import BadRequestError
from serving.models._refusals import complaint
from serving.models.servable import Servable

SIDE = 4
SIGNATURES = ("serving_default", "serving_examples")


class _Brightness(tf.Module):
    """How bright pictures of 4 x 4 pixels are; another size is an error."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answers(image)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, {"the picture": tf.io.FixedLenFeature([], tf.string)})
        return self.answers(parsed["the picture"])

    def answers(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = tf.TensorSpec([SIDE, SIDE, 1], tf.uint8)
        pixels = tf.map_fn(lambda one: tf.io.decode_png(one, channels=1), image, fn_output_signature=spec)
        return {"brightness": tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2, 3])}


def png(side: int = SIDE) -> bytes:
    return bytes(tf.io.encode_png(np.full((side, side, 1), 7, np.uint8)).numpy())


def example(picture: bytes) -> bytes:
    found = tf.train.Example()
    found.features.feature["the picture"].bytes_list.value.append(picture)
    return bytes(found.SerializeToString())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("brightness")
    model = _Brightness()
    tf.saved_model.save(model, str(folder), {name: getattr(model, name) for name in SIGNATURES})
    extra = folder / "assets.extra"
    extra.mkdir(exist_ok=True)
    features = {"the picture": {"dtype": "string", "input": "image"}}
    (extra / "trainyard.json").write_text(json.dumps({"features": features}))
    golden = {"instances": [{"image": {"b64": base64.b64encode(png()).decode()}}]}
    (extra / "golden_requests.json").write_text(json.dumps(golden))
    return folder


@pytest.fixture(scope="module")
def servable(folder: pathlib.Path) -> Servable:
    return Servable("brightness", 1, folder)


def ask(servable: Servable, *pictures: bytes) -> list[float]:
    return servable.run(servable.signature(), {"image": np.array(pictures, object)})["brightness"].tolist()


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_of_several_rows_the_refused_one_is_named(servable: Servable, bad: int) -> None:
    pictures = [png()] * 5
    assert ask(servable, *pictures) == [7.0] * 5
    pictures[bad] = b"no picture"
    with pytest.raises(BadRequestError, match=f"brightness refuses row {bad}: .*PNG"):
        ask(servable, *pictures)
    with pytest.raises(BadRequestError, match="brightness refuses the input: "):
        ask(servable, b"no picture")


def test_a_picture_that_would_unfold_to_gigabytes_is_not_decoded(servable: Servable) -> None:
    huge = png()[:16] + struct.pack(">II", 100_000, 100_000) + png()[24:]
    with pytest.raises(
        BadRequestError, match="row 1, input 'the picture': has 100000 x 100000 pixels; at most 50,000,000"
    ):
        ask(servable, png(), huge)


def test_nor_is_one_in_a_tf_example(servable: Servable) -> None:
    huge = png()[:16] + struct.pack(">II", 100_000, 100_000) + png()[24:]
    examples = np.array([example(png()), example(huge)], object)
    signature = servable.signature("serving_examples")
    assert servable.run(signature, {"examples": examples[:1]})["brightness"].tolist() == [7.0]
    with pytest.raises(BadRequestError, match="row 1, feature 'the picture': has 100000 x 100000 pixels"):
        servable.run(signature, {"examples": examples})
    with pytest.raises(BadRequestError, match="brightness refuses the input: Could not parse"):
        servable.run(signature, {"examples": np.array([b"no example"], object)})


def test_a_picture_of_another_size_is_refused_by_its_size_and_the_models(servable: Servable) -> None:
    said = "input 'the picture', a picture of 5 x 5 pixels, has [5,5,1]; the model takes [4,4,1]."
    for pictures, where in (([png(5)], "the input"), ([png(), png(5)], "row 1")):
        with pytest.raises(BadRequestError) as refused:
            ask(servable, *pictures)
        assert str(refused.value) == f"brightness refuses {where}: {said}"


@pytest.mark.parametrize(
    "message",
    [
        "Tried to set a tensor with incompatible shape at a list index. Item element shape: [5,5,1] list shape: [4,4,1]",
        "Shape of tensor PartitionedCall/map/while/Cast [5,5,1] is not compatible with expected shape [4,4,1].",
    ],
)
def test_what_tensorflow_says_of_shapes_becomes_what_a_caller_knows(message: str) -> None:
    error = tf.errors.InvalidArgumentError(None, None, f"Graph execution error:\n\n{message}\n\t [[{{{{node map}}}}]]")
    said = complaint(error, {"scene": np.array([png(5)], object), "number": np.array([1])})
    assert said == "input 'scene', a picture of 5 x 5 pixels, has [5,5,1]; the model takes [4,4,1]."
    assert (
        complaint(error, {"words": np.array([b"text"], object)}) == message
    )  # no picture, so who knows what it is about


def test_the_warm_up_asks_with_a_request_that_the_release_was_tested_with(
    servable: Servable, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "serving"):
        servable.warm_up()
    assert "warm-up" not in caplog.text

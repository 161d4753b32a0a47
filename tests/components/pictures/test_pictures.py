"""Which values are pictures, and what a page shows of them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.pictures import (
    Pixels,
    decoded,
    grid,
    heated,
    overlaid,
    picture_of,
    pixel_columns,
    raster,
    thumbnail,
    value_of,
)

SCHEMA = """
feature { name: "plain" type: INT int_domain { max: 255 } }
feature { name: "bytes" type: BYTES image_domain {} }
feature { name: "ink" type: FLOAT shape { dim { size: 64 } } float_domain { max: 16 } annotation { tag: "image" } }
feature { name: "wide" type: INT shape { dim { size: 2 } dim { size: 3 } } annotation { tag: "image" } }
feature { name: "face" type: BYTES image_domain {} annotation { tag: "personal" } }
"""


def test_the_schema_says_which_columns_are_pictures() -> None:
    assert pixel_columns(text_format.Parse(SCHEMA, schema_pb2.Schema())) == {
        "bytes": Pixels(),
        "ink": Pixels(0, 16),
        "wide": Pixels(shape=(2, 3)),
    }


@pytest.mark.parametrize("encode", [tf.io.encode_png, tf.io.encode_jpeg])
def test_an_image_file_is_a_picture_wherever_it_is(encode: object) -> None:
    content = encode(np.full((5, 4, 3), 200, np.uint8)).numpy()  # type: ignore[operator]
    found = picture_of(content)
    assert found is not None and found.shape == (5, 4, 3) and found.dtype == np.uint8
    assert abs(int(found.max()) - 200) < 3


@pytest.mark.parametrize(
    "value", [b"BMW 320", b"\xff\xd8\xff and then nothing", b"text", "text", None, 3.5, [1.0, 2.0]]
)
def test_other_values_are_none(value: object) -> None:
    assert picture_of(value) is None


def test_pixels_are_a_square_or_of_the_schemas_shape() -> None:
    grey = picture_of(bytes(range(9)), Pixels())
    assert grey is not None and grey[..., 0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert picture_of(bytes(12), Pixels()).shape == (2, 2, 3)  # type: ignore[union-attr]
    assert picture_of(list(range(6)), Pixels(0, 5, (2, 3)))[1, 2].tolist() == [255]  # type: ignore[union-attr, index]
    assert picture_of(bytes(7), Pixels()) is None and picture_of([1.0] * 5, Pixels(0, 1, (2, 3))) is None


def test_numbers_become_pixels_between_black_and_white() -> None:
    assert raster(np.array([[-1.0, 0.25], [np.nan, 9.0]]))[..., 0].tolist() == [[0, 64], [0, 255]]


def test_a_small_picture_keeps_its_pixels_and_a_large_one_is_reduced() -> None:
    small = np.arange(8 * 6, dtype=np.uint8).reshape(8, 6, 1)
    shown = thumbnail(small, "input")
    assert (shown.width, shown.height, shown.title, shown.media_type) == (84, 112, "input", "image/png")
    np.testing.assert_array_equal(decoded(shown.content), small)
    large = thumbnail(np.full((500, 1000, 3), 90, np.uint8))
    assert (large.width, large.height, large.media_type) == (128, 64, "image/jpeg")
    assert decoded(large.content).shape == (64, 128, 3)  # type: ignore[union-attr]


def test_a_picture_becomes_the_value_that_it_was_read_from() -> None:
    drawn = np.array([[0, 255], [51, 102]], np.uint8)[..., np.newaxis]
    for value, pixels in (
        ([0.0, 10.0, 2.0, 4.0], Pixels(0, 10)),
        ([0, 10, 2, 4], Pixels(0, 10)),
        (drawn.tobytes(), Pixels()),
        (tf.io.encode_png(drawn).numpy(), None),
    ):
        again = value_of(drawn, value, pixels)
        assert again == value and type(again[0]) is type(value[0])
        np.testing.assert_array_equal(picture_of(value, pixels), drawn)


def test_what_counted_is_coloured_and_the_rest_is_grey() -> None:
    picture = np.full((4, 4, 3), (10, 200, 90), np.uint8)
    found = heated(picture, np.array([[1.0, 0.0], [0.0, -1.0]])).astype(int)
    assert found.shape == (4, 4, 3) and np.ptp(found[0, 3]) == 0
    assert found[0, 0, 0] > found[0, 0, 2] and found[3, 3, 2] > found[3, 3, 0]


def test_a_mask_is_seen_on_its_picture() -> None:
    picture = np.full((2, 2, 1), 100, np.uint8)
    found = overlaid(picture, np.array([[0, 1], [2, 1]]))
    assert found[0, 0].tolist() == [100, 100, 100]
    assert found[0, 1].tolist() == found[1, 1].tolist() != found[1, 0].tolist() != [100, 100, 100]


def test_pictures_make_a_grid() -> None:
    found = grid([np.full((2, 2, 1), value, np.uint8) for value in (1, 2, 3)], columns=2)
    assert found[..., 0].tolist() == [
        [1, 1, 128, 2, 2],
        [1, 1, 128, 2, 2],
        [128] * 5,
        [3, 3, 128, 128, 128],
        [3, 3, 128, 128, 128],
    ]

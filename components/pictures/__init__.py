"""Pictures among the values of columns and answers: which are some, and what of them a page shows. TensorFlow draws them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from components.schema import is_personal, is_picture

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADS = (_PNG, b"\xff\xd8\xff", b"GIF8", b"RIFF", b"BM")  # and of JPEG, GIF, WebP, BMP
_SMALL = 64  # pixels of a picture's longer side up to which it keeps each of them
_SHOWN_SIDE = 112  # that a small one is enlarged to
_JPEG_QUALITY = 88
# Of the classes of a mask, from 1: bright enough to be seen on a picture, and apart for those who see no red.
_COLOURS = ((0, 158, 255), (255, 176, 0), (0, 200, 130), (255, 92, 138), (170, 110, 255), (240, 228, 66))
# The two that those who see no red tell apart best.
_FOR, _AGAINST = (255, 140, 0), (30, 110, 255)


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a page shows of a picture.

    Attributes:
        content: a PNG, or a JPEG.
        width: on the page, in CSS pixels.
        height: as its width.
        title: what stands below it.
    """

    content: bytes
    width: int
    height: int
    title: str = ""

    @property
    def media_type(self) -> str:
        """Of the content."""
        return "image/png" if self.content.startswith(_PNG) else "image/jpeg"


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A column whose numbers or bytes are a picture's pixels, row by row.

    Attributes:
        low: what is black.
        high: what is white.
        shape: of one picture, [H, W] or [H, W, 1 or 3]; empty: a square, as many numbers as there are say how large.
    """

    low: float = 0.0
    high: float = 255.0
    shape: tuple[int, ...] = ()


def pixel_columns(schema: schema_pb2.Schema) -> dict[str, Pixels]:
    """The columns that schema.pbtxt says are pictures, by `image_domain {}` or the tag `image`; none that is personal."""
    found = {}
    for feature in schema.feature:
        if is_picture(feature) and not is_personal(feature):
            domain = next((d for d in (feature.float_domain, feature.int_domain) if d.max > d.min), None)
            low, high = (float(domain.min), float(domain.max)) if domain else (0.0, 255.0)
            shape = tuple(int(dim.size) for dim in feature.shape.dim)
            found[feature.name] = Pixels(low, high, shape if len(shape) > 1 else ())
    return found


def picture_of(value: Any, pixels: Pixels | None = None) -> np.ndarray | None:
    """One value of a column as a picture, uint8 [H, W, 1 or 3]; None: it is none.

    Args:
        value: bytes, or numbers.
        pixels: of a column that `pixel_columns` names; None: only the bytes of an image file are a picture.
    """
    if isinstance(value, bytes) and value.startswith(_HEADS) and (found := decoded(value)) is not None:
        return found
    if pixels is None or value is None or isinstance(value, str):
        return None
    flat = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value, np.float32)
    shape = pixels.shape or _square(flat.size)
    return raster(flat.reshape(shape), pixels.low, pixels.high) if math.prod(shape) == flat.size else None


def value_of(picture: np.ndarray, like: Any, pixels: Pixels | None = None) -> Any:
    """A picture as a value of its column, what `picture_of` reads.

    Args:
        picture: uint8 [H, W, 1 or 3].
        like: a value of the column.
        pixels: of a column that `pixel_columns` names.
    """
    if pixels is None or (isinstance(like, bytes) and like.startswith(_HEADS)):
        import tensorflow as tf

        return tf.io.encode_png(picture).numpy()
    numbers = pixels.low + picture.reshape(-1).astype(np.float64) / 255 * (pixels.high - pixels.low)
    if isinstance(like, bytes):
        return numbers.round().astype(np.uint8).tobytes()
    return (numbers if np.asarray(like).dtype.kind == "f" else numbers.round().astype(np.int64)).tolist()


def decoded(content: bytes) -> np.ndarray | None:
    """The pixels of an image file, uint8 [H, W, 1 or 3]; None: it cannot be read. Of a moving one the first picture."""
    import tensorflow as tf

    try:
        found = tf.io.decode_image(content, expand_animations=False).numpy()
    except tf.errors.InvalidArgumentError:
        return None
    return np.asarray(found[..., :3] if found.shape[-1] > 1 else found)


def raster(values: np.ndarray, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Numbers as pixels: [H, W] or [H, W, 1 or 3] -> uint8 [H, W, 1 or 3], `low` is black and `high` is white.

    Example:
        >>> import numpy as np
        >>> raster(np.array([[0.0, 0.5, 2.0]]))[0, :, 0].tolist()
        [0, 128, 255]
    """
    shares = np.clip((np.nan_to_num(values.astype(np.float32)) - low) / (high - low), 0, 1)
    return (shares.reshape(*values.shape[:2], -1) * 255).round().astype(np.uint8)


def grid(pictures: Sequence[np.ndarray], columns: int = 8) -> np.ndarray:
    """Pictures of one shape as one, row by row, a grey line between them; uint8 [H, W, 1 or 3] each."""
    padded = [np.pad(one, ((0, 1), (0, 1), (0, 0)), constant_values=128) for one in pictures]
    padded += [np.full_like(padded[0], 128)] * (-len(padded) % columns)
    rows = [np.concatenate(padded[first : first + columns], axis=1) for first in range(0, len(padded), columns)]
    return np.concatenate(rows)[:-1, :-1]


def overlaid(picture: np.ndarray, mask: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """A picture with the classes of its mask in colours, uint8 [H, W, 3].

    Args:
        picture: uint8 [H, W, 1 or 3].
        mask: the class of each pixel, [H, W] of integers; 0: shows the picture as it is.
        strength: how much of a colour there is, 0 to 1.
    """
    base = np.broadcast_to(picture, (*picture.shape[:2], 3)).astype(np.float32)
    colour = np.array(_COLOURS, np.float32)[(mask.astype(np.int64) - 1) % len(_COLOURS)]
    mixed = base * (1 - strength) + colour * strength
    return np.where(mask[..., None] > 0, mixed, base).round().astype(np.uint8)


def heated(picture: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """A picture, grey and dim, with what counted in it: orange for an answer, blue against it; uint8 [H, W, 3].

    Args:
        picture: uint8 [H, W, 1 or 3].
        counted: from -1 to 1, [h, w], stretched to the picture; 0 is not coloured.
    """
    import tensorflow as tf

    counted = tf.image.resize(counted[..., np.newaxis], picture.shape[:2]).numpy()
    grey = np.broadcast_to(picture.mean(axis=2, keepdims=True) * 0.6 + 50, (*picture.shape[:2], 3))
    colour = np.where(counted > 0, _FOR, _AGAINST).astype(np.float32)
    strength = np.abs(counted) * 0.75
    return (grey * (1 - strength) + colour * strength).round().astype(np.uint8)


def shrunk(picture: np.ndarray, longest: int) -> np.ndarray:
    """A picture whose longer side has at most so many pixels, uint8 [H, W, 1 or 3]."""
    import tensorflow as tf

    if (side := max(picture.shape)) <= longest:
        return picture
    size = [max(1, round(one * longest / side)) for one in picture.shape[:2]]
    return np.asarray(tf.cast(tf.round(tf.image.resize(picture, size, method="area")), tf.uint8))


def thumbnail(picture: np.ndarray, title: str = "", longest: int = 128) -> Picture:
    """What a page shows of a picture.

    A small one keeps each of its pixels and is shown larger; a large one becomes a JPEG, which takes a fifth of the bytes.

    Args:
        picture: uint8 [H, W, 1 or 3].
        title: what stands below it, where several are beside each other.
        longest: side that it may have, in pixels.
    """
    import tensorflow as tf

    if (side := max(picture.shape)) <= _SMALL:
        scale = max(1, _SHOWN_SIDE // side)
        return Picture(tf.io.encode_png(picture).numpy(), picture.shape[1] * scale, picture.shape[0] * scale, title)
    picture = shrunk(picture, longest)
    height, width, _ = picture.shape
    return Picture(tf.io.encode_jpeg(picture, quality=_JPEG_QUALITY).numpy(), width, height, title)


def _square(count: int) -> tuple[int, ...]:
    """The shape of a square picture, grey or of three colours, of so many numbers; (0,) where there is none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side > 1 and side * side * channels == count:
            return (side, side, channels)
    return (0,)

"""MNIST with strangers in its test set: letters of Omniglot, drawn like MNIST's digits."""

from __future__ import annotations

import io
import pathlib
import zipfile
from typing import TYPE_CHECKING

from pipelines.datasets import mnist
from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST

if TYPE_CHECKING:
    import numpy as np

_URL = "https://github.com/brendenlake/omniglot/raw/master/python/"
_FILES = tuple(
    CachedFile(name, size, sha256, _URL + name)
    for name, size, sha256 in (
        (
            "images_background_small1.zip",
            1_319_022,
            "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
        ),
        (
            "images_background_small2.zip",
            1_580_917,
            "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
        ),
    )
)
_INK = 20  # MNIST draws a digit into 20 x 20 of its 28 x 28 pixels
_PEN = 3  # pixels that a line of Omniglot's is widened by, for it to be as thick as MNIST's once it is small


def _letters() -> np.ndarray:
    """Omniglot's letters [N, 28, 28] (uint8), white on black, by alphabet; of what both archives hold, one."""
    import numpy as np
    from PIL import Image

    drawn = {}
    for content in cached_contents(_FILES, home.datasets_cache() / "omniglot"):
        with zipfile.ZipFile(io.BytesIO(content)) as letters:
            for name in letters.namelist():
                letter = name.partition("/")[2]  # alphabet/character/file
                if letter.endswith(".png") and letter not in drawn:
                    with Image.open(io.BytesIO(letters.read(name))) as picture:
                        drawn[letter] = _like_mnist(picture)
    return np.stack([drawn[letter] for letter in sorted(drawn)])


def _like_mnist(picture: object) -> np.ndarray:
    """A letter, black on white, as MNIST draws: white on black, scaled to its box, its centre of mass in the middle."""
    import numpy as np
    from PIL import Image, ImageFilter, ImageOps

    ink = ImageOps.invert(picture.convert("L")).filter(ImageFilter.MaxFilter(_PEN))  # type: ignore[attr-defined]
    ink = ImageOps.contain(ink.crop(ink.getbbox()), (_INK, _INK), Image.Resampling.BOX)
    values = np.asarray(ink, np.float64)
    centre = (np.indices(values.shape) * values).sum(axis=(1, 2)) / values.sum()
    top, left = (round(min(max(13.5 - c, 1), 27 - n)) for c, n in zip(centre, values.shape, strict=True))
    canvas = np.zeros((28, 28), np.uint8)
    canvas[top : top + values.shape[0], left : left + values.shape[1]] = np.round(values * (255 / values.max()))
    return canvas


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [(images, split, 0) for split, (images, _) in mnist.pictures().items()]
    table = pa.concat_tables(
        pa.table(
            {
                "image_bytes": mnist.packed(images),
                "anomaly": pa.array([anomaly] * len(images), pa.int64()),
                "split": pa.repeat(pa.scalar(split), len(images)),
            }
        )
        for images, split, anomaly in [*parts, (_letters(), TEST, 1)]
    )
    pq.write_table(table, folder / "mnist_anomalies.parquet", compression="zstd", use_dictionary=["anomaly", "split"])


DATASET = Dataset(
    name="mnist_anomalies",
    description="MNIST's 70,000 digits (anomaly 0) and, in test alone, 4,840 handwritten letters of eight alphabets (anomaly 1).",
    source=f"{mnist.DATASET.source} and https://github.com/brendenlake/omniglot",
    licence="CC BY-SA 3.0 (MNIST), MIT (Omniglot)",
    spans=range(1, 2),
    write=_write,
)

"""MNIST: the dataset cache's copy, else the official download."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from pipelines.datasets._idx import parse_idx
from spec import home
from spec.errors import InputError
from spec.splits import TEST, TRAIN

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
# Images and labels of the train set, then of the test set.
_FILES = tuple(
    CachedFile(f"{name}-ubyte.gz", size, sha256, f"{_URL}{name}-ubyte.gz")
    for name, size, sha256 in (
        (
            "train-images-idx3",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "train-labels-idx1",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            "t10k-images-idx3",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "t10k-labels-idx1",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    )
)


def pictures() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Split -> images [N, 28, 28] (uint8, 0 is the black ground) and labels [N] (uint8), in the official order.

    Raises:
        InputError: a file is damaged, or missing and cannot be downloaded.
    """
    contents = cached_contents(_FILES, home.datasets_cache() / "mnist")
    arrays = [parse_idx(content, file.name) for content, file in zip(contents, _FILES, strict=True)]
    found = dict(zip((TRAIN, TEST), zip(arrays[::2], arrays[1::2], strict=True), strict=True))
    for split, (images, labels) in found.items():
        if images.shape != (len(images), 28, 28) or labels.shape != (len(images),):
            raise InputError(
                f"data set mnist, {split}: images [N, 28, 28] and labels [N] expected. "
                f"Received: {images.shape} and {labels.shape}."
            )
    return found


def packed(images: np.ndarray) -> pa.Array:
    """Images [N, 28, 28] (uint8) as binary values of 784 bytes, row by row."""
    import pyarrow as pa

    fixed = pa.Array.from_buffers(pa.binary(28 * 28), len(images), [None, pa.py_buffer(images.tobytes())])
    return fixed.cast(pa.binary())


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables(
        pa.table(
            {
                "image_bytes": packed(images),
                "label": pa.array(labels, pa.int64()),
                "split": pa.repeat(pa.scalar(split), len(images)),
            }
        )
        for split, (images, labels) in pictures().items()
    )
    # Pixels do not repeat as whole images: a dictionary of them would only cost.
    pq.write_table(
        table,
        folder / "mnist.parquet",
        compression="zstd",
        use_dictionary=["label", "split"],
    )


DATASET = Dataset(
    name="mnist",
    description="70,000 handwritten digits of 28 x 28 pixels, with the official split: 60,000 train, 10,000 test.",
    source=_URL,
    licence="CC BY-SA 3.0",
    spans=range(1, 2),
    write=_write,
)

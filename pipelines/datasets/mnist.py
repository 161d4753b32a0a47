"""MNIST: the dataset cache's copy, else the official download."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import RemoteFile, cached_contents
from pipelines.datasets._idx import parse_idx
from spec import home
from spec.errors import InputError
from spec.splits import TEST, TRAIN

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_SPLITS = (TRAIN, TEST)
# Images and labels of the train set, then of the test set.
_FILES = tuple(
    RemoteFile(f"{_URL}{name}-ubyte.gz", size, sha256)
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


def _part(images: np.ndarray, labels: np.ndarray, split: str) -> pa.Table:
    """Columns `image_bytes` (784 bytes, row by row), `label` and `split`."""
    import pyarrow as pa

    rows = len(images)
    if images.shape != (rows, 28, 28) or labels.shape != (rows,):
        raise InputError(
            f"data set mnist, {split}: images [N, 28, 28] and labels [N] expected. "
            f"Received: {images.shape} and {labels.shape}."
        )
    packed = pa.Array.from_buffers(pa.binary(28 * 28), rows, [None, pa.py_buffer(images.tobytes())])
    return pa.table(
        {
            "image_bytes": packed.cast(pa.binary()),
            "label": pa.array(labels, pa.int64()),
            "split": pa.repeat(pa.scalar(split), rows),
        }
    )


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    contents = cached_contents(_FILES, home.datasets_cache() / "mnist")
    arrays = [parse_idx(content, file.name) for content, file in zip(contents, _FILES, strict=True)]
    table = pa.concat_tables(
        _part(images, labels, split) for images, labels, split in zip(arrays[::2], arrays[1::2], _SPLITS, strict=True)
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

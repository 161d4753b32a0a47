"""MNIST with a number beside each picture, by which a model that makes pictures up draws its own."""

from __future__ import annotations

import pathlib

from pipelines.datasets import mnist
from pipelines.datasets._dataset import Dataset


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts, first = [], 0
    for split, (images, labels) in mnist.pictures().items():
        columns = {
            "digit": pa.array(labels, pa.int64()),
            "seed": pa.array(range(first, first + len(images)), pa.int64()),
            "image_bytes": mnist.packed(images),
            "split": pa.repeat(pa.scalar(split), len(images)),
        }
        parts.append(pa.table(columns))
        first += len(images)
    pq.write_table(
        pa.concat_tables(parts),
        folder / "mnist_numbered.parquet",
        compression="zstd",
        use_dictionary=["digit", "split"],
    )


DATASET = Dataset(
    name="mnist_numbered",
    description="MNIST's 70,000 digits, each with its place as a number: 60,000 train, 10,000 test.",
    source=mnist.DATASET.source,
    licence=mnist.DATASET.licence,
    spans=range(1, 2),
    write=_write,
)

"""Handwritten digits that come with scikit-learn: no network is needed."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset


def _write(span: int, folder: pathlib.Path) -> None:
    # Imported here: the module is listed by processes that need none of it.
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = digits.data.astype("float32")
    rows, size = pixels.shape
    table = pa.table(
        {
            "pixels": pa.ListArray.from_arrays(pa.array(range(0, rows * size + 1, size), pa.int32()), pixels.ravel()),
            "label": pa.array(digits.target, pa.int64()),
        }
    )
    pq.write_table(table, folder / "digits.parquet")


DATASET = Dataset(
    name="digits",
    description="1,797 handwritten digits of 8 x 8 pixels, each pixel 0 (white) to 16 (black), row by row.",
    source="https://archive.ics.uci.edu/dataset/80 (test set, shipped with scikit-learn)",
    licence="CC BY 4.0",
    spans=range(1, 2),
    write=_write,
)

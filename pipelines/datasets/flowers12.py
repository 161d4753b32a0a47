"""Twelve of Oxford's flowers, 80 photos of each. Not the official download: a subset of it, resized, that was divided once."""

from __future__ import annotations

import io
import pathlib
import tarfile

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home

_FILE = CachedFile(
    "flowers12.tar",
    10_782_720,
    "0e27a0cc549456475a838cf2c01145dbc5eaa600e0a08f000960c8403ef27537",
    made_of="a tar of train/<flower>/*.jpg and test/<flower>/*.jpg, 224 x 224 pixels each, out of "
    "https://www.robots.ox.ac.uk/~vgg/data/flowers",
)


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (content,) = cached_contents([_FILE], home.datasets_cache() / "flowers12")
    rows = []
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in sorted(tar.getmembers(), key=lambda one: one.name):
            if member.name.endswith(".jpg") and (photo := tar.extractfile(member)):
                split, label, _ = member.name.split("/")
                rows.append((photo.read(), label, split))
    images, labels, splits = zip(*rows, strict=True)
    pq.write_table(
        pa.table({"image": images, "label": labels, "split": splits}),
        folder / "flowers12.parquet",
        compression="zstd",
        use_dictionary=["label", "split"],
    )


DATASET = Dataset(
    name="flowers12",
    description="960 photos of 224 x 224 pixels (JPEG) of twelve kinds of flowers: 60 of each to train with, 20 to test.",
    source="https://www.robots.ox.ac.uk/~vgg/data/flowers (a subset, resized)",
    licence="none stated",
    spans=range(1, 2),
    write=_write,
)

"""CIFAR-10 as JPEGs. Not the official download, which holds bare pixels: a copy whose pictures were encoded, with some loss."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST, TRAIN

_MADE_OF = "CIFAR-10's batches (https://www.cs.toronto.edu/~kriz/cifar.html) as Parquet: image (JPEG), label, split"
_FILES = {
    TRAIN: CachedFile(
        "cifar10_train.parquet",
        15_128_002,
        "83b12b07843d9cd0d51bd61ce5bccad51538c87f2fc23f4086dee44d3388337b",
        made_of=_MADE_OF,
    ),
    TEST: CachedFile(
        "cifar10_test.parquet",
        3_027_226,
        "8caad9d8cef903b68b539b6d1f4256ccba95c58faec8df9275cd1b5491560d6a",
        made_of=_MADE_OF,
    ),
}


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    contents = cached_contents(list(_FILES.values()), home.datasets_cache() / "cifar10")
    for split, content in zip(_FILES, contents, strict=True):
        table = pq.read_table(pa.BufferReader(content), columns=["image", "label"])
        table = table.append_column("split", pa.repeat(pa.scalar(split), table.num_rows))
        # Small JPEGs are mostly tables, the same in each: zstd makes a third of them.
        pq.write_table(
            table,
            folder / f"cifar10-{split}.parquet",
            compression="zstd",
            use_dictionary=["label", "split"],
        )


DATASET = Dataset(
    name="cifar10",
    description="60,000 photos of 32 x 32 pixels (JPEG) of ten things, with the official split: 50,000 train, 10,000 test.",
    source="https://www.cs.toronto.edu/~kriz/cifar.html (re-encoded as JPEG)",
    licence="none stated",
    spans=range(1, 2),
    write=_write,
)

"""Who checked in where on Gowalla, divided as in the LightGCN paper. Not that download, one user a line: its pairs, as Parquet."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST, TRAIN

_MADE_OF = "LightGCN's gowalla/train.txt and test.txt as Parquet, a row a pair: user, item (int32)"
_FILES = {
    TRAIN: CachedFile(
        "gowalla_train.parquet",
        1_836_066,
        "1cae19e5ae19a5d559dff8bf87670596525d3182a082e5f85ff25b525bbb600b",
        made_of=_MADE_OF,
    ),
    TEST: CachedFile(
        "gowalla_test.parquet",
        784_166,
        "6b680ffaeec533f1ceea252d74d0e0810a312646e9ab7a8886aaa4dbb583c35f",
        made_of=_MADE_OF,
    ),
}


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    contents = cached_contents(list(_FILES.values()), home.datasets_cache() / "gowalla")
    for split, content in zip(_FILES, contents, strict=True):
        pairs = pq.read_table(pa.BufferReader(content))
        table = pa.table(
            {
                "user": pairs["user"].cast(pa.int64()),
                "place": pairs["item"].cast(pa.int64()),
                "split": pa.repeat(pa.scalar(split), pairs.num_rows),
            }
        )
        pq.write_table(table, folder / f"gowalla-{split}.parquet", compression="zstd")


DATASET = Dataset(
    name="gowalla",
    description="1,027,370 pairs of a user and a place: 810,128 to train, 217,242 to test.",
    source="https://snap.stanford.edu/data/loc-gowalla.html (as the LightGCN paper divided it)",
    licence="none stated",
    spans=range(1, 2),
    write=_write,
)

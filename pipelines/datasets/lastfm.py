"""Who listens to which artist on Last.fm, divided as the LightGCN paper's authors did: the dataset cache's copy, else theirs."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST, TRAIN

_URL = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/lastfm/"
_FILES = {
    split: CachedFile(name, size, sha256, _URL + name)
    for split, name, size, sha256 in (
        (TRAIN, "data1.txt", 579_727, "c82af3228cbbda2f55a39244de09ed93292894f1d0d9f1908ebb57e27598fded"),
        (TEST, "test1.txt", 144_867, "de4417c0e6123284ce59a0934bcf5288ec1ec8774a18a1eef453c9952dfa48f9"),
    )
}


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    contents = cached_contents(list(_FILES.values()), home.datasets_cache() / "lastfm")
    types = {"user": pa.int64(), "artist": pa.int64(), "plays": pa.float64()}
    for split, content in zip(_FILES, contents, strict=True):
        table = csv.read_csv(
            pa.BufferReader(content),
            csv.ReadOptions(column_names=list(types)),
            csv.ParseOptions(delimiter="\t"),
            csv.ConvertOptions(column_types=types),
        )
        table = table.append_column("split", pa.repeat(pa.scalar(split), table.num_rows))
        pq.write_table(table, folder / f"lastfm-{split}.parquet", compression="zstd")


DATASET = Dataset(
    name="lastfm",
    description="52,668 pairs of a user and an artist, with how often the user played it: four fifths to train, a fifth to test.",
    source="https://grouplens.org/datasets/hetrec-2011 (as LightGCN's authors divided it)",
    licence="non-commercial use",
    spans=range(1, 2),
    write=_write,
)

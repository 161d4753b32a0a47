"""Who listens to which artist on Last.fm, divided as the LightGCN paper's authors did: the dataset cache's copy, else theirs."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST, TRAIN

if TYPE_CHECKING:
    import pyarrow as pa

_URL = "https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/master/data/lastfm/"
_FILES = {
    split: CachedFile(name, size, sha256, _URL + name)
    for split, name, size, sha256 in (
        (TRAIN, "data1.txt", 579_727, "c82af3228cbbda2f55a39244de09ed93292894f1d0d9f1908ebb57e27598fded"),
        (TEST, "test1.txt", 144_867, "de4417c0e6123284ce59a0934bcf5288ec1ec8774a18a1eef453c9952dfa48f9"),
    )
}
_FRIENDS = CachedFile(
    "trustnetwork.txt",
    249_214,
    "5b5bd7cbe4d22f3cd333dbfc7ec4b995cb2bdb28d95b0e9c5fc5607079f7b69e",
    _URL + "trustnetwork.txt",
)


def listens() -> dict[str, pa.Table]:
    """Split -> its pairs: `user` and `artist`, whole numbers; `plays`; `split`."""
    import pyarrow as pa

    types = {"user": pa.int64(), "artist": pa.int64(), "plays": pa.float64()}
    tables = {}
    for split, content in zip(_FILES, _contents(*_FILES.values()), strict=True):
        table = _numbers(content, types)
        tables[split] = table.append_column("split", pa.repeat(pa.scalar(split), table.num_rows))
    return tables


def friendships() -> pa.Table:
    """Who is a friend of whom: `user`, `friend`; each friendship is there both ways."""
    import pyarrow as pa

    (content,) = _contents(_FRIENDS)
    return _numbers(content, {"user": pa.int64(), "friend": pa.int64()})


def _contents(*files: CachedFile) -> list[bytes]:
    return cached_contents(files, home.datasets_cache() / "lastfm")


def _numbers(content: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    return csv.read_csv(
        pa.BufferReader(content),
        csv.ReadOptions(column_names=list(types)),
        csv.ParseOptions(delimiter="\t"),
        csv.ConvertOptions(column_types=types),
    )


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow.parquet as pq

    for split, table in listens().items():
        pq.write_table(table, folder / f"lastfm-{split}.parquet", compression="zstd")


DATASET = Dataset(
    name="lastfm",
    description="52,668 pairs of a user and an artist, with how often the user played it: four fifths to train, a fifth to test.",
    source="https://grouplens.org/datasets/hetrec-2011 (as LightGCN's authors divided it)",
    licence="non-commercial use",
    spans=range(1, 2),
    write=_write,
)

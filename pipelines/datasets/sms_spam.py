"""Text messages, some of them spam: the dataset cache's copy, else out of UCI's zip."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home

_FILE = CachedFile(
    "SMSSpamCollection",
    477_907,
    "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d",
    "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
    member="SMSSpamCollection",
)


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (content,) = cached_contents([_FILE], home.datasets_cache() / "sms_spam")
    labels, _, texts = zip(*(line.partition("\t") for line in content.decode().rstrip("\n").split("\n")), strict=True)
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "sms_spam.parquet", compression="zstd")


DATASET = Dataset(
    name="sms_spam",
    description="5,574 text messages in English, each `ham` or `spam`.",
    source="https://archive.ics.uci.edu/dataset/228",
    licence="CC BY 4.0",
    spans=range(1, 2),
    write=_write,
)

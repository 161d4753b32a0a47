"""Sentences of film reviews: the dataset cache's copy, else out of Cornell's archive."""

from __future__ import annotations

import pathlib

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home

_URL = "https://www.cs.cornell.edu/people/pabo/movie-review-data/rt-polaritydata.tar.gz"
_FILES = {
    label: CachedFile(name, size, sha256, _URL, f"rt-polaritydata/{name}")
    for label, name, size, sha256 in (
        (
            "negative",
            "rt-polarity.neg",
            612_256,
            "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
        ),
        (
            "positive",
            "rt-polarity.pos",
            626_139,
            "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
        ),
    )
}


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    contents = cached_contents(list(_FILES.values()), home.datasets_cache() / "rotten_tomatoes")
    texts, labels = [], []
    for label, content in zip(_FILES, contents, strict=True):
        # splitlines() would take U+0085, which some sentences hold, for the end of a line.
        sentences = [line.strip() for line in content.decode("latin-1").rstrip("\n").split("\n")]
        texts += sentences
        labels += [label] * len(sentences)
    pq.write_table(pa.table({"text": texts, "label": labels}), folder / "rotten_tomatoes.parquet", compression="zstd")


DATASET = Dataset(
    name="rotten_tomatoes",
    description="10,662 sentences of film reviews, half of them `positive`, half `negative`.",
    source="https://www.cs.cornell.edu/people/pabo/movie-review-data (sentence polarity 1.0)",
    licence="for research",
    spans=range(1, 2),
    write=_write,
)

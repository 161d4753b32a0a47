"""MovieLens 100k: who rated which film how, with profiles and films. It may not be passed on: every user downloads it."""

from __future__ import annotations

import io
import pathlib
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._download import CachedFile, cached_contents
from spec import home
from spec.splits import TEST, TRAIN

if TYPE_CHECKING:
    import pyarrow as pa

_FILE = CachedFile(
    "ml-100k.zip",
    4_924_029,
    "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "https://files.grouplens.org/datasets/movielens/ml-100k.zip",
)
_NEWEST = 5  # one in five of each user's ratings is test: the newest
_COLD = 20  # one in twenty users is test with all ratings


def _lines(archive: zipfile.ZipFile, name: str, separator: str) -> Iterator[list[str]]:
    for line in archive.read(f"ml-100k/{name}").decode("latin-1").split("\n"):
        if line:
            yield line.split(separator)


def table_of(content: bytes) -> pa.Table:
    """The rows of ml-100k.zip: one a rating, with the user's columns and the film's, ordered by user and time."""
    import pandas as pd
    import pyarrow as pa

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        ratings = pd.DataFrame(_lines(archive, "u.data", "\t"), columns=["user", "item", "rating", "timestamp"])
        users = pd.DataFrame(
            _lines(archive, "u.user", "|"), columns=["user", "age", "gender", "occupation", "zip_region"]
        )
        genres = [name for name, _ in _lines(archive, "u.genre", "|")]
        items = pd.DataFrame(
            [
                (item, re.sub(r" \(\d{4}\)$", "", title), date[-4:] or None, _genres(genres, flags))
                for item, title, date, _, _, *flags in _lines(archive, "u.item", "|")
            ],
            columns=["item", "title", "year", "genres"],
        )
    # The first digit of a zip code is a part of the United States; codes from elsewhere begin with a letter.
    users["zip_region"] = users["zip_region"].str[0].where(users["zip_region"].str[0].str.isdigit(), "other")
    rows = ratings.merge(users, on="user", validate="many_to_one").merge(items, on="item", validate="many_to_one")
    numbers = ["user", "item", "rating", "timestamp", "age"]
    rows = rows.astype(dict.fromkeys(numbers, "int64")).astype({"year": "Int64"})
    rows = rows.sort_values(["user", "timestamp", "item"], ignore_index=True)
    of_user = rows.groupby("user")["item"]
    newest = of_user.cumcount(ascending=False) < of_user.transform("size") // _NEWEST
    rows["cold_user"] = (rows["user"] % _COLD == 0).astype("int64")
    rows["split"] = (newest | (rows["cold_user"] == 1)).map({True: TEST, False: TRAIN})
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)


def _genres(names: list[str], flags: list[str]) -> str:
    return "|".join(name for name, flag in zip(names, flags, strict=True) if flag == "1")


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow.parquet as pq

    (content,) = cached_contents([_FILE], home.datasets_cache() / "movielens_100k")
    pq.write_table(table_of(content), folder / "movielens_100k.parquet", compression="zstd")


DATASET = Dataset(
    name="movielens_100k",
    description="100,000 ratings (1 to 5) by 943 users of 1,682 films, with profiles, titles and genres. Test is the newest fifth of "
    "each user's ratings, and all of every twentieth user's (`cold_user` 1), whom train does not know.",
    source="https://grouplens.org/datasets/movielens/100k",
    licence="for research; not to be passed on",
    spans=range(1, 2),
    write=_write,
)

"""What can be retrieved, and who has had which, against plain Python."""

from __future__ import annotations

import pathlib

import numpy as np
import pyarrow as pa
import pytest

from components.tasks import query_keys
from components.tasks.catalogue import Catalogue
from spec.errors import InputError


def listens(rows: int, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    users = [f"u{one}" for one in random.integers(0, 20, rows)]
    return pa.table(
        {"user": users, "artist": random.integers(100, 150, rows), "title": [f"{seed}-{i}" for i in range(rows)]}
    )


SPLITS = {"train": listens(150, 0), "eval": listens(60, 1)}


def catalogue(item: str | None = "artist", query: str | None = "user", **changed: pa.Table) -> Catalogue:
    tables = SPLITS | changed
    return Catalogue.of(
        lambda split: lambda columns: iter(tables[split].select(list(columns)).to_batches(max_chunksize=37)),
        item,
        ["artist", "title"],
        query,
    )


def test_each_item_once_and_the_most_frequent_first() -> None:
    found, artists = catalogue(), SPLITS["train"]["artist"].to_pylist()
    assert sorted(found.ids) == sorted({str(one) for one in artists})
    assert found.counts.tolist() == sorted((artists.count(int(one)) for one in found.ids), reverse=True)
    for place, name in enumerate(found.ids):
        first = artists.index(int(name))
        assert found.counts[place] == artists.count(int(name))
        assert found.items["title"][place].as_py() == SPLITS["train"]["title"][first].as_py()


def test_what_each_query_has_had_in_train_or_eval(tmp_path: pathlib.Path) -> None:
    catalogue().write(tmp_path)
    found = Catalogue.read(tmp_path)
    links = {
        (user, str(artist))
        for one in SPLITS.values()
        for user, artist, _ in zip(*one.to_pydict().values(), strict=True)
    }
    users = [f"u{one}" for one in range(25)]  # of whom five are not known
    rows = found.seen.rows(query_keys(pa.array(users), "user"))
    assert (rows < 0).tolist() == [one >= 20 for one in range(25)]
    places = np.arange(-1, len(found))
    has = found.seen.has(rows[:, None], places[None])
    before = found.seen.before(rows[:, None], places[None])
    for i, user in enumerate(users):
        had = [(user, name) in links for name in found.ids]
        assert has[i].tolist() == [False, *had]
        assert before[i].tolist() == [0, 0, *np.cumsum(had)[:-1]]


def test_ids_are_text_whatever_they_are_in_the_data() -> None:
    found = catalogue()
    top = found.ids[0]
    assert found.places([[top.encode(), b"none"]]).tolist() == [[0, -1]]
    assert found.places(np.array([int(top)])).tolist() == [0]


def test_without_an_item_column_each_row_is_one() -> None:
    found = catalogue(item=None, query=None)
    assert found.ids.tolist() == [str(one) for one in range(150)]
    assert found.items["title"].to_pylist() == SPLITS["train"]["title"].to_pylist() and not len(found.seen.keys)


@pytest.mark.parametrize(
    ("ids", "says"), [([None, 1], "1 of 2 values of column 'artist' are missing"), ([1.5, 2], "text or whole numbers")]
)
def test_an_item_needs_an_id(ids: list[object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        catalogue(train=pa.table({"user": ["a", "b"], "artist": ids, "title": ["", ""]}))

"""Items beside a batch: which ones there are, that they are drawn evenly, and by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from components.tasks import Feature
from components.tasks.retrieval import Retrieval
from components.trainer._checks import SplitChecks
from components.trainer._drawn import DrawnItems
from components.trainer._input import Split, open_split

OPTIONS = {"item": "artist", "query_columns": ["user"], "item_columns": ["artist", "genre"], "negatives": 4}
FEATURES = [Feature(name, "int64", (), 9) for name in ("user", "artist", "genre")]
# Artist 3 has most rows; an artist's genre is that of its first row.
ARTISTS = np.array([3, 3, 5, 3, 7, 3, 3, 3])
GENRES = np.array([30, 31, 50, 32, 70, 33, 34, 35])


@pytest.fixture
def train(write_split) -> Split:
    uri = write_split({"user": np.arange(8), "artist": ARTISTS, "genre": GENRES}, group=2)
    opened = open_split(uri, "train", FEATURES, SplitChecks("train", Retrieval(options=OPTIONS), None), pool_bytes=64)
    opened.drawn = DrawnItems.of(opened, "artist", 4).draw
    return opened


def batches(train: Split, seed: int | None) -> list[tuple[dict[str, np.ndarray], np.ndarray]]:
    return [
        ({name: value.numpy() for name, value in features.items()}, target.numpy())
        for features, target in train.dataset(4, seed)
    ]


def test_items_are_drawn_evenly_with_the_features_of_their_first_rows(train: Split) -> None:
    drawn: list[int] = []
    for epoch in range(30):
        train.epoch = epoch
        for features, target in batches(train, 1):
            assert features["drawn/artist"].shape == (4, 4)
            assert (features["drawn/genre"] == features["drawn/artist"] * 10).all()
            np.testing.assert_array_equal(target, np.column_stack([features["artist"], features["drawn/artist"]]))
            drawn += features["drawn/artist"].reshape(-1).tolist()
    counts = np.bincount(drawn, minlength=8)[[3, 5, 7]]
    assert counts.sum() == len(drawn) and counts.min() > 0.28 * len(drawn), "however many rows an item has"


def test_seed_and_epoch_decide_what_is_drawn(train: Split) -> None:
    one, again = (batches(train, 1)[0][0]["drawn/artist"] for _ in range(2))
    np.testing.assert_array_equal(one, again)
    train.epoch = 1
    assert (batches(train, 1)[0][0]["drawn/artist"] != one).any()


def test_nothing_is_drawn_for_evaluation(train: Split) -> None:
    features, target = batches(train, None)[0]
    assert "drawn/artist" not in features
    np.testing.assert_array_equal(target, ARTISTS[:4])

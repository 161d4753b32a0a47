"""Items beside a batch: which ones there are, that they are drawn evenly, and by the seed."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from components.tasks import Feature, ModelSchema
from components.tasks._contrasts import InBatchSoftmax
from components.tasks.retrieval import Retrieval
from components.tasks.towers import Towers
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


@pytest.mark.slow
def test_with_a_small_batch_a_recommender_is_no_worse_for_it(write_split) -> None:
    """Users and items in six dimensions, some items far more popular: three quarters of what a user took are train's."""
    random, users, items = np.random.default_rng(0), 200, 300
    liking = 1.5 * random.normal(size=(users, 6)) @ random.normal(size=(6, items)) - 0.8 * np.log(1 + np.arange(items))
    chances = np.exp(liking) / np.exp(liking).sum(axis=1, keepdims=True)
    taken = np.stack([random.choice(items, 20, replace=False, p=one) for one in chances])
    rows = {"user": np.repeat(np.arange(users), 15), "artist": taken[:, :15].reshape(-1)}
    features = [Feature("user", "int64", (), users), Feature("artist", "int64", (), items)]
    schema = ModelSchema({one.name: one for one in features}, "retrieval", None)
    shares, uri = np.maximum(np.bincount(rows["artist"], minlength=items), 1) / 3000, write_split(rows)

    def found(count: int) -> float:
        """The share of a user's last five that the first twenty have."""
        keras.utils.set_random_seed(0)
        split = open_split(uri, "train", features, SplitChecks("train", Retrieval(options=OPTIONS), None))
        if count:
            split.drawn = DrawnItems.of(split, "artist", count).draw
        inputs = schema.inputs()
        towers = (
            keras.Model({one.name: inputs[one.name]}, keras.layers.Embedding(one.vocabulary_size, 16)(inputs[one.name]))
            for one in features
        )
        model = Towers(*towers)
        distinct = len(np.unique(rows["artist"]))
        model.compile(keras.optimizers.Adam(3e-3), InBatchSoftmax(shares, distinct), jit_compile=False)
        for split.epoch in range(6):
            model.fit(split.dataset(8, 1), shuffle=False, verbose=0)
        scores = np.array(
            model.queries({"user": np.arange(users)}) @ keras.ops.transpose(model.items({"artist": np.arange(items)}))
        )
        np.put_along_axis(scores, taken[:, :15], -np.inf, axis=1)
        first = np.argsort(-scores, axis=1)[:, :20]
        return float((first[:, :, np.newaxis] == taken[:, np.newaxis, 15:]).any(axis=1).mean())

    without, drawn = found(0), found(4)
    assert drawn > without - 0.02 and drawn > 0.25, (without, drawn)

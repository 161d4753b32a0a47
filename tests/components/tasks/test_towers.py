"""Two towers and their losses, against what NumPy makes of the same embeddings."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from components.tasks import Feature, ModelSchema
from components.tasks._contrasts import Contrastive, InBatchBPR, InBatchSoftmax
from components.tasks.towers import Towers

RANDOM = np.random.default_rng(0)
EMBEDDINGS = RANDOM.normal(size=(6, 2, 3)).astype(np.float32)
CODES = np.array([0, 1, 2, 1, 0, 3])
SCORES = EMBEDDINGS[:, 0] @ EMBEDDINGS[:, 1].T


def towers(**options: object) -> tuple[Towers, dict[str, np.ndarray]]:
    inputs = ModelSchema({n: Feature(n, "int64", (), 9) for n in ("user", "artist")}, "binary", None).inputs()
    user, artist = (keras.Model({n: inputs[n]}, keras.layers.Embedding(9, 4)(inputs[n])) for n in ("user", "artist"))
    return Towers(user, artist, **options), {"user": RANDOM.integers(0, 9, 5), "artist": RANDOM.integers(0, 9, 5)}


def test_each_tower_sees_its_own_features() -> None:
    model, features = towers(temperature=0.5)
    both = np.asarray(model(features))
    queries, items = model.queries({"user": features["user"]}), model.items({"artist": features["artist"]})
    np.testing.assert_allclose(both[:, 0] * 0.5, queries, rtol=1e-6)
    np.testing.assert_allclose(both[:, 1], items, rtol=1e-6)


def test_cosine_is_of_length_one() -> None:
    model, features = towers(similarity="cosine")
    np.testing.assert_allclose(np.linalg.norm(model.items(features), axis=1), 1, rtol=1e-5)


def test_what_is_no_tower_is_refused() -> None:
    with pytest.raises(ValueError, match="of a dictionary of features"):
        Towers(keras.Sequential([keras.layers.Dense(2)]), keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="Received: 'l2'"):
        towers(similarity="l2")


def test_softmax_corrects_for_frequent_items_and_takes_no_item_for_its_own_rival() -> None:
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    expected = []
    for row, item in enumerate(CODES):
        rivals = [other for other in range(6) if other == row or CODES[other] != item]
        corrected = SCORES[row, rivals] - np.log(shares[CODES[rivals]])
        expected.append(np.log(np.exp(corrected).sum()) - (SCORES[row, row] - np.log(shares[item])))
    found = InBatchSoftmax(shares)(CODES, EMBEDDINGS)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-5)


def test_drawn_items_are_rivals_of_every_row_and_expected_as_often_as_they_come() -> None:
    """By hand: an item is among the candidates by its share of the batch, or as one of two that are drawn a row of five."""
    shares, drawn_codes = np.array([0.4, 0.3, 0.15, 0.1, 0.05]), RANDOM.integers(0, 5, (6, 2))
    drawn = RANDOM.normal(size=(6, 2, 3)).astype(np.float32)
    codes, vectors = [*CODES, *drawn_codes.reshape(-1)], [*EMBEDDINGS[:, 1], *drawn.reshape(-1, 3)]
    expected, pairs = [], []
    for row, item in enumerate(CODES):
        rivals = [other for other in range(18) if other == row or codes[other] != item]
        scores = np.array([EMBEDDINGS[row, 0] @ vectors[other] for other in rivals])
        corrected = scores - np.log([shares[codes[other]] + 2 / 5 for other in rivals])
        own = rivals.index(row)
        expected.append(np.log(np.exp(corrected).sum()) - corrected[own])
        pairs.append(np.log1p(np.exp(np.delete(scores, own) - scores[own])).mean())
    target, output = np.column_stack([CODES, drawn_codes]), np.concatenate([EMBEDDINGS, drawn], axis=1)
    assert float(InBatchSoftmax(shares, 5)(target, output)) == pytest.approx(np.mean(expected), rel=1e-5)
    assert float(InBatchBPR()(target, output)) == pytest.approx(np.mean(pairs), rel=1e-5)


def test_towers_embed_what_is_drawn() -> None:
    model, features = towers()
    drawn = RANDOM.integers(0, 9, (5, 3))
    found = np.asarray(model({**features, "drawn/artist": drawn, "drawn/user": drawn}))
    assert found.shape == (5, 5, 4)
    np.testing.assert_allclose(found[:, :2], model(features), rtol=1e-6)
    np.testing.assert_allclose(found[3, 4], model.items({"artist": drawn[3, 2:]})[0], rtol=1e-6)


def test_bpr_holds_the_own_item_against_each_other_one() -> None:
    expected = [
        np.mean([np.log1p(np.exp(SCORES[row, o] - SCORES[row, row])) for o in range(6) if CODES[o] != item])
        for row, item in enumerate(CODES)
    ]
    assert float(InBatchBPR()(CODES, EMBEDDINGS)) == pytest.approx(np.mean(expected), rel=1e-5)


def test_contrastive_draws_rows_of_a_class_together() -> None:
    expected = []
    for row, item in enumerate(CODES):
        others = [other for other in range(6) if other != row]
        alike = [other for other in others if CODES[other] == item]
        normaliser = np.log(np.exp(SCORES[row, others]).sum())
        expected.append(np.mean([normaliser - SCORES[row, one] for one in alike]) if alike else 0.0)
    assert float(Contrastive()(CODES, EMBEDDINGS)) == pytest.approx(np.mean(expected), rel=1e-5)

"""The sentiment workload on its own data."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components import assets, user_code
from components.tasks import find
from spec import home


@pytest.fixture(scope="module")
def sentiment(case: Callable[[str], Any]) -> Any:
    return case("sentiment")


@pytest.fixture(scope="module")
def rows(sentiment: Any) -> pa.Table:
    """In another order than the file's, which begins with all that pans."""
    rows = sentiment.rows()
    return rows.take(np.random.default_rng(0).permutation(len(rows)))


@pytest.fixture
def vectors(sentiment: Any) -> Any:
    declared = sentiment.workload.assets
    if not (home.datasets_cache() / declared["glove_100d"].file).is_file():
        pytest.skip("the word vectors are not in the dataset cache")
    with assets.given(declared):
        yield declared


def _praises(rows: pa.Table) -> np.ndarray:
    return pc.equal(rows["label"], "positive").to_numpy().astype(int)


def test_the_data_keeps_its_contracts(sentiment: Any, rows: pa.Table) -> None:
    assert sentiment.anomalies(rows) == {}
    assert sentiment.failed_expectations(rows) == []
    assert len(rows) == 10_662 and _praises(rows).sum() == 5_331


def test_words_are_looked_up_as_the_vectors_write_them(sentiment: Any, vectors: Any, rows: pa.Table) -> None:
    texts = ["it's not bad, isn't it?", "It 's NOT bad , is n't it ?", "qqzzqq", ""]
    _, features = sentiment.vectors(pa.table({"text": texts, "label": ["positive"] * 4}))
    words = features["words"]
    assert (words[0] == words[1]).all() and (words[0] > 1).sum() == 9
    assert words[2][0] == 1 and words[2][1:].max() == 0 and words[3].max() == 0


def test_the_wide_part_tells_pairs_apart_and_hears_nothing_behind_the_end(sentiment: Any) -> None:
    wide = user_code.load_function(str(sentiment.folder / "model.py"), "_wide")

    def said(words: list[int]) -> np.ndarray:
        inputs = keras.Input((len(words),), dtype="int64")
        model = keras.Model(inputs, wide(inputs, 10))
        (weights,) = model.get_weights()
        assert not weights.any()  # what train does not have stays silent
        random = np.random.default_rng(1)
        model.set_weights([random.normal(size=weights.shape)])
        return model(np.array([words])).numpy()

    np.testing.assert_allclose(said([5, 6, 7, 0, 0]), said([5, 6, 7]), rtol=1e-5)
    assert np.abs(said([5, 6, 7]) - said([7, 5, 6])).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["cnn", "lstm", "transformer"])
def test_each_architecture_learns(sentiment: Any, vectors: Any, rows: pa.Table, architecture: str) -> None:
    train, test = rows.slice(0, 2000), rows.slice(9662)
    schema, features = sentiment.vectors(train)
    training = sentiment.workload.training
    chosen = training.model_copy(update={"hyperparameters": {**training.hyperparameters, "architecture": architecture}})
    case = dataclasses.replace(sentiment, workload=sentiment.workload.model_copy(update={"training": chosen}))
    model = case.fit(schema, features, _praises(train), epochs=4)
    _, unseen = sentiment.vectors(test)
    answers = model.predict(unseen, verbose=0)[:, 0]
    assert ((answers > 0.5) == _praises(test)).mean() > 0.62


@pytest.mark.parametrize("method", ["bigrams", "linear_svm"])
def test_linear_methods_learn(sentiment: Any, rows: pa.Table, method: str) -> None:
    function = user_code.load_function(str(sentiment.folder / "baseline.py"), method)
    train, test = rows.slice(0, 4000), rows.slice(9662)
    found = function(train, test.drop(["label"]), find("binary")(("negative", "positive")))
    assert ((found > 0.5) == _praises(test)).mean() > 0.7

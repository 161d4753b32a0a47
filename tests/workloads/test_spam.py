"""The spam workload on its own data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from components import user_code
from components.tasks import find


@pytest.fixture(scope="module")
def spam(case: Callable[[str], Any]) -> Any:
    return case("spam")


@pytest.fixture(scope="module")
def rows(spam: Any) -> pa.Table:
    return spam.rows()


@pytest.fixture(scope="module")
def transformed(spam: Any, rows: pa.Table) -> Any:
    """Train, test, and a message with a number in two ways."""
    two = pa.table({"text": ["Call 0123 NOW!!", "call 9876 now !!"], "label": ["spam", "spam"]}, schema=rows.schema)
    return spam.transform(rows.slice(0, 2500), rows.slice(4574), two)


def _is_spam(rows: pa.Table) -> np.ndarray:
    return pc.equal(rows["label"], "spam").to_numpy().astype(int)


def _f1(truths: np.ndarray, probability: np.ndarray) -> float:
    called = probability > 0.5
    return 2 * (called & (truths == 1)).sum() / (called.sum() + truths.sum())


def test_the_data_keeps_its_contracts(spam: Any, rows: pa.Table) -> None:
    assert spam.anomalies(rows) == {}
    assert spam.failed_expectations(rows) == []
    assert len(rows) == 5574 and _is_spam(rows).sum() == 747


def test_how_long_a_number_is_counts_and_not_which(transformed: Any) -> None:
    schema, (train, _, two) = transformed
    assert (two["words"][0] == two["words"][1]).all() and two["known"][0].sum() == 5
    assert train["words"].max() < schema.features["words"].vocabulary_size
    assert (train["known"].sum(axis=1) > 0).mean() > 0.99, "few messages are without a word"


def test_the_network_finds_spam(spam: Any, rows: pa.Table, transformed: Any) -> None:
    schema, (train, test, _) = transformed
    model = spam.fit(schema, train, _is_spam(rows.slice(0, 2500)), epochs=2)
    assert _f1(_is_spam(rows.slice(4574)), model.predict(test, verbose=0)[:, 0]) > 0.85


def test_so_does_the_linear_method(spam: Any, rows: pa.Table) -> None:
    function = user_code.load_function(str(spam.folder / "baseline.py"), "linear_svm")
    train, test = rows.slice(0, 2500), rows.slice(4574)
    found = function(train, test.drop(["label"]), find("binary")(("ham", "spam")))
    assert found.shape == (1000,) and _f1(_is_spam(test), found) > 0.9

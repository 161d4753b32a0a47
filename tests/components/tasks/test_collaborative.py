"""Simple methods for who had what, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.tasks import collaborative
from components.tasks.spectral import links_of, normalised, spectral

LINKS = np.array([[0, 0], [0, 1], [1, 1], [1, 2], [2, 2], [2, 0], [3, 0], [0, 1]])  # the last one is there twice
SHARES = links_of(LINKS, (5, 4)).toarray()  # the last query has nothing, and nobody has the last item


class Task:
    class options:
        item = "item"
        top_k = 2


def test_lists_leave_out_what_was_had_and_the_most_frequent_wins() -> None:
    train = pa.table({"user": [7, 7, 8, 8, 9], "item": [30, 10, 10, 20, 10]})
    test = pa.table({"user": [9, 7, 5, 9]})
    found = collaborative.lists(train, test, Task, "user", collaborative.popularity)
    assert found[[0, 2, 3]].tolist() == [[20, 30], [10, 20], [20, 30]], "somebody new gets what most have"
    assert found[1, 0] == 20


def test_the_filter_is_two_steps_along_the_graph() -> None:
    links = links_of(LINKS, (5, 4))
    shares = np.array(
        [[1 / np.sqrt(SHARES[u].sum() * SHARES[:, i].sum()) if SHARES[u, i] else 0 for i in range(4)] for u in range(5)]
    )
    np.testing.assert_allclose(collaborative.graph_filter(links)(links), SHARES @ shares.T @ shares, atol=1e-6)


def test_ease_is_a_regression_of_each_item_on_the_others() -> None:
    weights = collaborative.ease_weights(links_of(LINKS, (5, 4)), ridge=2.0)
    others = SHARES[:, 1:].astype(np.float64)
    wanted = np.linalg.solve(others.T @ others + 2.0 * np.eye(3), others.T @ SHARES[:, 0])
    np.testing.assert_allclose(weights[1:, 0], wanted, atol=1e-9)
    assert not np.diag(weights).any()


@pytest.mark.parametrize("smoothing", [0.0, 3.0])
def test_spectral_vectors_are_the_links_filtered(smoothing: float) -> None:
    random = np.random.default_rng(0)
    links = links_of(random.integers(0, [40, 30], (300, 2)), (41, 31))
    exact = np.linalg.svd(normalised(links, smoothing).toarray())
    queries, items = spectral(links, 8, 2.0, smoothing)
    lengths = [np.sqrt(links.sum(axis) + smoothing) for axis in (1, 0)]
    wanted = lengths[0][:, None] * (exact[0][:, :8] * exact[1][:8] @ exact[2][:8]) * lengths[1]
    found = queries @ items.T
    np.testing.assert_allclose(found / np.abs(found).max(), wanted / np.abs(wanted).max(), atol=1e-3)
    assert np.linalg.norm(np.concatenate([queries, items]), axis=1).mean() == pytest.approx(2.0, rel=1e-5)
    assert not queries[40].any() and not items[30].any(), "what has no links has no direction"


def test_smoothing_takes_each_to_have_links_more() -> None:
    shares = normalised(links_of(LINKS, (5, 4)), smoothing=1.0).toarray()
    assert shares[3, 0] == pytest.approx(1 / np.sqrt((1 + 1) * (3 + 1)))

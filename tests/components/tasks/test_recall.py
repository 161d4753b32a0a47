from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.tasks import Context
from components.tasks._recall import check, recall
from components.tasks._retrieval_options import IndexOptions

EXACT = np.array([[b"a", b"b"], [b"c", b""], [b"", b""]], object)


def test_recall_is_the_share_of_the_exact_answer() -> None:
    found = recall(np.array([[b"b", b"x"], [b"c", b"y"], [b"z", b""]], object), EXACT)
    np.testing.assert_array_equal(found, [0.5, 1.0, np.nan])


def asking(rows: int, found: float) -> Context:
    """Queries of which so many in a hundred find one of the two items that they should."""
    batches = [pa.record_batch({"user": np.arange(start, min(start + 400, rows))}) for start in range(0, rows, 400)]

    def predict(batch: pa.RecordBatch) -> dict[str, np.ndarray]:
        users = np.asarray(batch["user"]) % 100
        return {"items": np.stack([np.where(users < found, b"a", b"x"), np.full(len(users), b"y")], axis=1)}

    exactly = lambda batch: {"items": np.tile(np.array([[b"a", b"b"]]), (batch.num_rows, 1))}  # noqa: E731
    return Context(None, None, lambda columns: iter(batches), iter, predict, columns=["user"], predict_exactly=exactly)  # type: ignore[arg-type]


@pytest.mark.parametrize(("least", "passes"), [(0.25, True), (0.26, False)])
def test_the_least_recall_decides(least: float, passes: bool) -> None:
    found = check(IndexOptions(min_recall=least), asking(2500, 50))
    assert found.passes is passes and found.diagnostics == {"recall": 0.25, "min_recall": least, "rows": 1000}
    assert "recall of the index 0.2500" in found.message
    assert ("Raise task_options.index.ef_search (now 200)" in found.message) is not passes

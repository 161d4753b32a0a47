"""How much of what exact search answers an approximate index finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.tasks._context import Context
from components.tasks._lazily import np
from components.tasks._retrieval_options import IndexOptions

if TYPE_CHECKING:
    from components.gates import CheckResult

_QUERIES = 1000


def recall(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Of each query, the share of its exact answer that was found, [N]; nan where that is empty.

    Args:
        found: items, [N, k] of bytes; empty: none.
        exact: the same by exact search.
    """
    shares = np.full(len(exact), np.nan)
    for row, (ours, theirs) in enumerate(zip(found.tolist(), exact.tolist(), strict=True)):
        if wanted := set(theirs) - {b""}:
            shares[row] = len(wanted & set(ours)) / len(wanted)
    return shares


def check(options: IndexOptions, context: Context) -> CheckResult:
    """Asks both for the first thousand rows of test."""
    from components.gates import CheckResult

    shares, rows = [], 0
    for batch in context.test(context.columns):
        part = batch.slice(0, _QUERIES - rows)
        shares.append(recall(*(ask(part)["items"] for ask in (context.predict, context.predict_exactly))))
        if (rows := rows + len(part)) >= _QUERIES:
            break
    value = float(np.nanmean(np.concatenate(shares)))
    message = (
        f"recall of the index {value:.4f} against exact search, {options.min_recall:g} is needed; {rows:,} rows of test"
    )
    if not (passes := value >= options.min_recall):
        message += (
            f". Raise task_options.index.ef_search (now {options.ef_search}), or links and ef_construction "
            f"({options.links}, {options.ef_construction})"
        )
    said = {"recall": value, "min_recall": options.min_recall, "rows": rows}
    return CheckResult("the index finds what exact search finds", passes, message=message, diagnostics=said)

"""How well each column alone tells the label: too well, and it gives it away; no more, and rows do not belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.drift._config import DriftConfig
from components.drift._profile import Profile
from components.gates import CheckResult, Severity

MOST_ROWS = 100_000
_BINS = 200
_MOST_CLASSES = 20
_FEWEST = 50  # rows of a class, in either part, that say something

Floats = npt.NDArray[np.float64]


def strengths(sample: Mapping[str, pa.ChunkedArray], is_train: npt.NDArray[np.bool_], label: str) -> dict[str, float]:
    """How well each column alone tells the label, where enough rows say.

    Args:
        sample: rows of some columns, the label among them.
        is_train: which of the rows are trained on: what a value says of the label is learnt from them, and asked of the others,
            so that a column of which each row has a value of its own (an id) tells nothing.
        label: its column.
    """
    if label not in sample:
        return {}
    told = {name: strength(values, sample[label], is_train) for name, values in sample.items() if name != label}
    return {name: found for name, found in told.items() if found is not None}


def checks(newest: Profile, before: Profile | None, config: DriftConfig) -> Iterator[CheckResult]:
    """Columns that tell the label better than they can know it, and those that tell it much worse than in the span before."""
    if not newest.strengths:
        return
    leaks = [name for name, found in newest.strengths.items() if found > config.leakage]
    for name in sorted(leaks, key=lambda one: -newest.strengths[one]):
        message = (
            f"{name} alone tells {config.label}: {newest.strengths[name]:.3f} (limit {config.leakage:g}; 1 is always right). It "
            "was probably written after the label was known, and will not be there when a prediction is asked for. "
            "Leave it out (data.ignore)."
        )
        yield _check("leakage", name, False, message, newest.strengths[name], config.leakage)
    if not leaks:
        name = max(newest.strengths, key=lambda one: newest.strengths[one])
        found = newest.strengths[name]
        message = f"no column alone tells {config.label}: {name} does so with {found:.3f} (limit {config.leakage:g})"
        yield _check("leakage", "", True, message, found, config.leakage)
    for name, found in newest.strengths.items():
        then = before.strengths.get(name) if before else None
        if before and then is not None and then - found > config.association:
            message = (
                f"{name} told {config.label} with {then:.3f} in {before.name}, and does so with {found:.3f} now (limit: "
                f"{config.association:g} less). Label and features may belong to different rows: ask how they were joined."
            )
            yield _check("association", name, False, message, found, config.association)


def _check(kind: str, column: str, passes: bool, message: str, found: float, limit: float) -> CheckResult:
    evidence = {"kind": kind, "column": column, "strength": found, "limit": limit}
    return CheckResult(f"{kind}({column})" if column else kind, passes, Severity.WARNING, message, evidence)


def strength(column: pa.ChunkedArray, label: pa.ChunkedArray, is_train: npt.NDArray[np.bool_]) -> float | None:
    """How well a column alone ranks the label, 0.5 (not at all) to 1; None where too few rows say.

    Of classes the area under the ROC curve, the mean over classes; of amounts Spearman's correlation, from 0. A value, or a
    two-hundredth of the numbers, is scored by the label's mean among the rows of train that have it.
    """
    codes = _codes(column, is_train)
    if codes is None:
        return None
    encoded = pc.dictionary_encode(label)
    classes = encoded.combine_chunks().dictionary
    is_amount = pa.types.is_floating(label.type) or (pa.types.is_integer(label.type) and len(classes) > _MOST_CLASSES)
    if is_amount:
        target = label.cast(pa.float64(), safe=False).to_numpy()
        return _rank_correlation(_scores(codes, target, is_train)[~is_train], target[~is_train])
    number = encoded.combine_chunks().indices.to_numpy(zero_copy_only=False)
    wanted = range(1, 2) if len(classes) == 2 else range(min(len(classes), _MOST_CLASSES))
    areas = []
    for one in wanted:
        target = (number == one).astype(np.float64)
        sides = target[is_train], target[~is_train]
        if min(min(side.sum(), len(side) - side.sum()) for side in sides) >= _FEWEST:
            areas.append(_area(_scores(codes, target, is_train)[~is_train], target[~is_train] > 0))
    return float(np.mean(areas)) if areas else None


def _codes(column: pa.ChunkedArray, is_train: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
    """A small number for each value, or for each range of numbers; missing ones have one of their own."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        missing = pc.is_null(column, nan_is_null=True).to_numpy()
        values = pc.fill_null(
            column, 0
        ).to_numpy()  # in their own type: a double would put neighbouring ids into one bin
        known = np.sort(values[is_train & ~missing & np.isfinite(values)])
        edges = np.unique(known[np.linspace(0, len(known) - 1, _BINS + 1).round().astype(int)]) if len(known) else known
        return np.where(missing, len(edges) + 1, np.searchsorted(edges, values)).astype(np.int64)
    if pa.types.is_nested(kind):
        return None
    return pc.dictionary_encode(column, null_encoding="encode").combine_chunks().indices.to_numpy(zero_copy_only=False)


def _scores(codes: npt.NDArray[np.int64], target: Floats, is_train: npt.NDArray[np.bool_]) -> Floats:
    """The label's mean among the rows of train with the same code, drawn a little to that of all."""
    size = int(codes.max()) + 1
    rows = np.bincount(codes[is_train], minlength=size)
    mean = float(target[is_train].mean())
    return (np.bincount(codes[is_train], target[is_train], size) + mean)[codes] / (rows + 1)[codes]


def _area(scores: Floats, is_positive: npt.NDArray[np.bool_]) -> float:
    """Under the ROC curve, from the ranks of the positives (Mann and Whitney, 1947)."""
    positives = int(is_positive.sum())
    negatives = len(scores) - positives
    if not positives or not negatives:
        return 0.5
    return float((_ranks(scores)[is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _rank_correlation(scores: Floats, target: Floats) -> float | None:
    a, b = _ranks(scores), _ranks(target)
    if len(a) < _FEWEST or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]

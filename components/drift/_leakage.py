"""Columns that give the label away: how well each of them alone tells it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.drift._config import DriftConfig
from components.gates import CheckResult, Severity

MOST_ROWS = 100_000
_BINS = 200
_MOST_CLASSES = 20
_FEWEST = 30  # rows of a class, in either part, that say something

Floats = npt.NDArray[np.float64]


def checks(
    sample: Mapping[str, pa.ChunkedArray], is_train: npt.NDArray[np.bool_], config: DriftConfig
) -> list[CheckResult]:
    """One failed check a column that tells the label better than the limit; else one that names the strongest.

    Args:
        sample: rows of some columns, the label among them.
        is_train: which of the rows are trained on: what a value says of the label is learnt from them, and asked of the others,
            so that a column of which each row has a value of its own (an id) tells nothing.
        config: the label's name and the limit.
    """
    if config.label not in sample:
        return []
    told = {
        name: found
        for name, column in sample.items()
        if name != config.label and (found := strength(column, sample[config.label], is_train)) is not None
    }
    if not told:
        return []
    leaks = sorted((name for name, found in told.items() if found > config.leakage), key=lambda name: -told[name])
    if not leaks:
        name = max(told, key=lambda one: told[one])
        message = f"no column alone tells {config.label}: at most {name}, {told[name]:.3f} (limit {config.leakage:g})"
        return [CheckResult("leakage", True, Severity.WARNING, message, _evidence(name, told[name], config))]
    return [
        CheckResult(
            f"leakage({name})",
            False,
            Severity.WARNING,
            f"{name} alone tells {config.label}: {told[name]:.3f} (limit {config.leakage:g}; 1 is always right). It was probably "
            "written after the label was known, and will not be there when a prediction is asked for. Leave it out (data.ignore).",
            _evidence(name, told[name], config),
        )
        for name in leaks
    ]


def _evidence(column: str, found: float, config: DriftConfig) -> dict[str, object]:
    return {"kind": "leakage", "column": column, "strength": found, "limit": config.leakage}


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
        target = label.cast(pa.float64()).to_numpy()
        return _rank_correlation(_scores(codes, target, is_train)[~is_train], target[~is_train])
    number = encoded.combine_chunks().indices.to_numpy(zero_copy_only=False)
    wanted = range(1, 2) if len(classes) == 2 else range(min(len(classes), _MOST_CLASSES))
    areas = []
    for one in wanted:
        target = (number == one).astype(np.float64)
        if min(target[is_train].sum(), target[~is_train].sum()) >= _FEWEST:
            areas.append(_area(_scores(codes, target, is_train)[~is_train], target[~is_train] > 0))
    return float(np.mean(areas)) if areas else None


def _codes(column: pa.ChunkedArray, is_train: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64] | None:
    """A small number for each value, or for each range of numbers; missing ones have one of their own."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.cast(pa.float64()).to_numpy()
        known = values[is_train & np.isfinite(values)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1), method="nearest")) if len(known) else known
        return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values)).astype(np.int64)
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

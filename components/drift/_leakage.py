"""How well each single column predicts the label: too well means a leak, and no longer at all means wrongly joined rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from components.confidence import area_bounds
from components.drift.profile import Profile
from components.gates import CheckResult, Severity
from spec.workload import Drift

MOST_ROWS = 100_000
_BINS = 200
_MOST_CLASSES = 20
_ENOUGH = (
    50  # rows of a class (of amounts: rows) in either part: what is found on the held-out ones is then taken as it is
)
_FOLDS = 5
_FEWEST = 2  # rows of a class needed for training and for testing
_SURE = 0.95  # with fewer than enough rows: how sure it has to be ...
_AT_LEAST = 0.9  # ... that a column is at least so good, before it is said to give the label away

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Strength:
    """How well a column alone tells the label.

    Attributes:
        value: 0.5 (not at all; of amounts 0) to 1 (always right).
        least: a lower confidence bound, where there are few rows.
        perfect: the lower bound that a column would have that is always right.
        is_firm: whether there are enough rows to compare it with another span's.
    """

    value: float
    least: float
    perfect: float = 1.0
    is_firm: bool = True


def strengths(sample: Mapping[str, pa.ChunkedArray], is_train: Bools, label: str | None) -> dict[str, Strength]:
    """How well each column alone predicts the label, where there are enough rows.

    Args:
        sample: rows of some columns, the label among them.
        is_train: which of the rows are trained on: what a value says of the label is learnt from them, and asked of the others,
            so that a column of which each row has a value of its own (an id) tells nothing.
        label: its column; None without one.
    """
    if label is None or label not in sample:
        return {}
    told = {name: strength(values, sample[label], is_train) for name, values in sample.items() if name != label}
    return {name: found for name, found in told.items() if found is not None}


def checks(
    told: Mapping[str, Strength], newest: Profile, before: Profile | None, label: str, allowed: Drift
) -> Iterator[CheckResult]:
    """Checks for columns that predict the label too well, and for those that predict it much worse than in the previous span.

    A limit of 1 allows everything: there is no check.
    """
    if not label:
        return
    if allowed.leakage < 1:
        yield from _leakage(told, label, allowed.leakage)
    if before is not None and allowed.association < 1:
        yield from _association(newest, before, label, allowed.association)


def _leakage(told: Mapping[str, Strength], label: str, limit: float) -> Iterator[CheckResult]:
    if not told:
        why = f"there is no column of single values, or not two rows of each class of {label} to judge one by"
        yield CheckResult.not_judged("leakage", why, Severity.INFO, {"kind": "leakage"})
        return
    strong = sorted((name for name, one in told.items() if one.value > limit), key=lambda n: -told[n].value)
    for name in strong:
        yield _leak(name, told[name], label, limit)
    if strong:
        return
    name = max(told, key=lambda one: told[one].value)
    found = told[name]
    if found.perfect <= _AT_LEAST:  # even a column that is always right could be chance
        why = (
            f"too few rows of a class of {label} to tell a column that gives it away from chance (the strongest: {name} "
            f"with {found.value:.3f}, at least {found.least:.3f}); give more data"
        )
        yield CheckResult.not_judged("leakage", why, Severity.INFO, {"kind": "leakage", "strength": found.value})
        return
    message = f"no column alone tells {label}: {name} does so with {found.value:.3f} (limit {limit:g})"
    yield _check("leakage", "", True, message, found.value, limit)


def _leak(name: str, found: Strength, label: str, limit: float) -> CheckResult:
    if found.least <= _AT_LEAST and limit > _AT_LEAST:
        why = (
            f"{name} alone tells {label} with {found.value:.3f}, but on so few rows that it may be chance ({_SURE:.0%} "
            f"sure is {found.least:.3f}); ask whether it is known when a prediction is asked for"
        )
        evidence = {"kind": "leakage", "column": name, "strength": found.value, "limit": limit}
        return CheckResult.not_judged(f"leakage({name})", why, Severity.WARNING, evidence)
    few = "" if found.is_firm else f", at least {found.least:.3f} with so few rows"
    message = (
        f"{name} alone tells {label}: {found.value:.3f} (limit {limit:g}; 1 is always right{few}). It "
        "was probably written after the label was known, and will not be there when a prediction is asked for. "
        f"Leave it out: `data.ignore: [{name}]` in workload.yaml."
    )
    return _check("leakage", name, False, message, found.value, limit)


def _association(newest: Profile, before: Profile, label: str, limit: float) -> Iterator[CheckResult]:
    common = [name for name in newest.strengths if name in before.strengths]
    weaker = [n for n in common if before.strengths[n] - newest.strengths[n] > limit]
    for name in weaker:
        then, found = before.strengths[name], newest.strengths[name]
        message = (
            f"{name} told {label} with {then:.3f} in {before.name}, and does so with {found:.3f} now (limit: "
            f"{limit:g} less). Label and features may belong to different rows: ask how they were joined."
        )
        yield _check("association", name, False, message, found, limit)
    if not common:
        why = f"too few rows of each class of {label}, here or in {before.name}, say how well columns tell it"
        yield CheckResult.not_judged("association", why, Severity.INFO, {"kind": "association"})
    elif not weaker:
        message = f"{len(common)} columns tell {label} about as well as in {before.name}"
        yield CheckResult("association", True, Severity.WARNING, message, {"kind": "association"})


def _check(kind: str, column: str, passes: bool, message: str, found: float, limit: float) -> CheckResult:
    evidence = {"kind": kind, "column": column, "strength": found, "limit": limit}
    return CheckResult(f"{kind}({column})" if column else kind, passes, Severity.WARNING, message, evidence)


def strength(column: pa.ChunkedArray, label: pa.ChunkedArray, is_train: Bools) -> Strength | None:
    """How well a column alone ranks the label, 0.5 (not at all) to 1; None if there are too few rows.

    For classes it is the area under the ROC curve, averaged over classes; for amounts Spearman's correlation, from 0. A value, or
    one of two hundred ranges of numbers, is scored by the label's mean in train. If few rows are held out, rows of train are scored
    by the other rows of train as well.
    """
    codes = _codes(column, is_train)
    if codes is None:
        return None
    encoded = pc.dictionary_encode(label)
    classes = encoded.combine_chunks().dictionary
    is_amount = pa.types.is_floating(label.type) or (pa.types.is_integer(label.type) and len(classes) > _MOST_CLASSES)
    asked = _Asked(codes, _order(column), is_train)
    if is_amount:
        return _of_amounts(asked, label.cast(pa.float64(), safe=False).to_numpy())
    number = encoded.combine_chunks().indices.to_numpy(zero_copy_only=False)
    wanted = range(1, 2) if len(classes) == 2 else range(min(len(classes), _MOST_CLASSES))
    found = [one for one in (_of_class(asked, (number == n).astype(np.float64)) for n in wanted) if one is not None]
    firm = [one for one in found if one.is_firm] or found  # rare classes weigh less in the mean
    if not firm:
        return None
    value, least, perfect = (
        float(np.mean([getattr(one, field) for one in firm])) for field in ("value", "least", "perfect")
    )
    return Strength(value, least, perfect, all(one.is_firm for one in firm))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A column's rows: their codes [N], the order of its numbers [N] if it has one, and which rows are of train [N]."""

    codes: npt.NDArray[np.int64]
    order: Floats | None
    is_train: Bools

    def parts(self) -> Iterator[tuple[Bools, Bools]]:
        """Rows to learn from and rows to score: held-out rows by train, and rows of train by the others of train."""
        yield self.is_train, ~self.is_train
        fold = np.random.default_rng(1).integers(0, _FOLDS, len(self.codes))
        for one in range(_FOLDS):
            yield self.is_train & (fold != one), self.is_train & (fold == one)

    def scores(self, target: Floats, learn: Bools, ask: Bools) -> list[Floats]:
        """Scores by the mean of equal values, and by the number itself: the limit between two classes may cut a range of numbers."""
        found = [_scores(self.codes, target, learn)[ask]]
        if self.order is not None:
            found.append(
                (1 if (_rank_correlation(self.order[learn], target[learn]) or 0) >= 0 else -1) * self.order[ask]
            )
        return found


def _of_class(asked: _Asked, target: Floats) -> Strength | None:
    """The strength for one class against the others."""
    sides = target[asked.is_train], target[~asked.is_train]
    fewest = min(min(side.sum(), len(side) - side.sum()) for side in sides)
    if fewest >= _ENOUGH:
        rest = ~asked.is_train
        value = _area(_scores(asked.codes, target, asked.is_train)[rest], target[rest] > 0)
        return Strength(value, value)
    areas = []  # (area, rows of the class)
    for learn, ask in asked.parts():
        positives, negatives = target[ask].sum(), (1 - target[ask]).sum()
        if min(positives, negatives, target[learn].sum(), (1 - target[learn]).sum()) < 1:
            continue
        best = max(_area(scores, target[ask] > 0) for scores in asked.scores(target, learn, ask))
        areas.append((best, float(positives)))
    positives, negatives = float(target.sum()), float((1 - target).sum())
    if not areas or min(positives, negatives) < _FEWEST:
        return None
    value = float(np.average([area for area, _ in areas], weights=[rows for _, rows in areas]))
    least, perfect = (area_bounds(area, positives, negatives, _SURE).low for area in (value, 1.0))
    return Strength(value, least, perfect, is_firm=False)


def _of_amounts(asked: _Asked, target: Floats) -> Strength | None:
    rest = ~asked.is_train
    if rest.sum() >= _ENOUGH:
        value = _rank_correlation(_scores(asked.codes, target, asked.is_train)[rest], target[rest])
        return None if value is None else Strength(value, value)
    found = []
    for learn, ask in asked.parts():
        if min(learn.sum(), ask.sum()) >= _FEWEST:
            told = [_rank_correlation(scores, target[ask]) for scores in asked.scores(target, learn, ask)]
            found.append((max(one or 0.0 for one in told), float(ask.sum())))
    if not found or len(target) < 10 or target.std() == 0:
        return None
    value = float(np.average([one for one, _ in found], weights=[rows for _, rows in found]))
    # Fisher's transformation, with the variance of ranks (Fieller, Hartley and Pearson, 1957).
    wide = float(stats.norm.ppf(_SURE)) * math.sqrt(1.06 / (len(target) - 3))
    least, perfect = (math.tanh(math.atanh(min(one, 0.999)) - wide) for one in (value, 1.0))
    return Strength(value, least, perfect, is_firm=False)


def _codes(column: pa.ChunkedArray, is_train: Bools) -> npt.NDArray[np.int64] | None:
    """An integer code for each value or range of numbers, and one for missing values."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        missing = pc.is_null(column, nan_is_null=True).to_numpy()
        # In their own type: a double would put neighbouring ids into one bin.
        values = pc.fill_null(column, 0).to_numpy()
        known = np.sort(values[is_train & ~missing & np.isfinite(values)])
        edges = np.unique(known[np.linspace(0, len(known) - 1, _BINS + 1).round().astype(int)]) if len(known) else known
        return np.where(missing, len(edges) + 1, np.searchsorted(edges, values)).astype(np.int64)
    if pa.types.is_nested(kind):
        return None
    return pc.dictionary_encode(column, null_encoding="encode").combine_chunks().indices.to_numpy(zero_copy_only=False)


def _order(column: pa.ChunkedArray) -> Floats | None:
    """The numbers of a column without missing values, [N]."""
    if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    values = column.cast(pa.float64(), safe=False).to_numpy()
    return values if np.isfinite(values).all() and len(values) and values.std() else None


def _scores(codes: npt.NDArray[np.int64], target: Floats, learn: Bools) -> Floats:
    """The label's mean over training rows with the same code, shrunk towards the overall mean."""
    size = int(codes.max()) + 1
    rows = np.bincount(codes[learn], minlength=size)
    mean = float(target[learn].mean())
    return (np.bincount(codes[learn], target[learn], size) + mean)[codes] / (rows + 1)[codes]


def _area(scores: Floats, is_positive: Bools) -> float:
    """The area under the ROC curve, from the ranks of the positives (Mann and Whitney, 1947)."""
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
    """Ranks from 1; equal values share their mean rank."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]

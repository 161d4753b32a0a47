"""Measures of how far two distributions of a column differ, 0 if they are the same. Missing is treated as one more value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.drift.distributions import Categories, Distribution, Numbers

_BINS = 10
# The share of an empty bin: half a row, so that a small sample is not taken for a large change.
_HALF_A_ROW = 0.5
# Values with fewer rows on both sides together have no reliable share; they are compared together.
_LEAST_ROWS = 20
# Two samples of one distribution differ by (bins - 1) (1/n + 1/m) on average; this limits the number of bins of names.
_NOISE = 0.05


def compare(new: Distribution, reference: Distribution) -> dict[str, float]:
    """All measures that apply to a pair, by name; none if either side has no rows.

    - `psi`, population stability index: the sum over bins of (p - q) ln(p / q). Bins of numbers are the reference's tenths;
      less than 0.1 is usually called stable, more than 0.25 a shift (Siddiqi, Credit Risk Scorecards, 2006). Bins of names
      are the frequent values, and all others together: of n and m rows of one distribution it is (bins - 1) (1/n + 1/m) on
      average (Yurdakul and Naranjo, J. Risk Model Validation 14, 2020), so a bin for every rare value would always raise an alarm.
    - `kolmogorov_smirnov`: the largest difference between the distribution functions, 0 to 1; of numbers alone.
    - `jensen_shannon`: divergence with logarithms of base 2, 0 to 1 (Lin, IEEE Trans. Inf. Theory 37, 1991), as in TFDV.
    - `l_infinity`: the largest difference of a value's share, 0 to 1, as in TFDV; of named values alone.

    Raises:
        TypeError: one side has numbers and the other names.
    """
    if type(new) is not type(reference):
        raise TypeError(
            f"numbers cannot be compared with names. Received: {type(new).__name__}, {type(reference).__name__}"
        )
    if not _total(new) or not _total(reference):
        return {}
    smallest = _HALF_A_ROW / _total(new), _HALF_A_ROW / _total(reference)
    if isinstance(new, Numbers) and isinstance(reference, Numbers):
        p, q = _binned(new, reference)
        found = {"psi": _psi(p, q, *smallest), "jensen_shannon": _jensen_shannon(p, q)}
        if new.rows and reference.rows:
            found["kolmogorov_smirnov"] = _kolmogorov_smirnov(new, reference)
        return found
    assert isinstance(new, Categories) and isinstance(reference, Categories)
    p, q = _shares(new, reference, list(dict.fromkeys([*reference.counts, *new.counts])))
    l_infinity = float(np.max(np.abs(p - q)))
    p, q = _shares(new, reference, _frequent(new, reference))
    return {"psi": _psi(p, q, *smallest), "jensen_shannon": _jensen_shannon(p, q), "l_infinity": l_infinity}


def _total(one: Distribution) -> int:
    return one.rows + one.missing


def _binned(new: Numbers, reference: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Shares in the reference's deciles, then of missing values."""
    edges = np.unique(reference.quantile(np.arange(1, _BINS) / _BINS)) if reference.rows else np.zeros(0)
    shares = []
    for one in (new, reference):
        up_to = np.concatenate([[0.0], one.share_up_to(edges), [1.0 if one.rows else 0.0]])
        shares.append(np.append(np.diff(up_to) * one.rows, one.missing) / _total(one))
    return shares[0], shares[1]


def _shares(new: Categories, reference: Categories, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Shares of some values, then of all others together and of missing ones."""
    found = []
    for one in (new, reference):
        rows = [one.counts.get(name, 0) for name in names]
        found.append(np.array([*rows, one.rows - sum(rows), one.missing]) / _total(one))
    return found[0], found[1]


def _frequent(new: Categories, reference: Categories) -> list[str]:
    """The values whose shares are reliable enough to compare, the most frequent first."""
    rows = {
        name: new.counts.get(name, 0) + reference.counts.get(name, 0) for name in {**reference.counts, **new.counts}
    }
    known = [
        name
        for name, together in rows.items()
        if together >= _LEAST_ROWS and _is_known(name, new, reference) and _is_known(name, reference, new)
    ]
    most = 1 + int(_NOISE / (1 / _total(new) + 1 / _total(reference)))
    return sorted(known, key=lambda name: -rows[name])[: max(_BINS, most)]


def _is_known(name: str, here: Categories, there: Categories) -> bool:
    """Whether one side knows a value's rows: if not, the value may be among its `other` ones without being new."""
    if name in here.counts or not here.other:
        return True
    usual = there.counts.get(name, 0) * _total(here) / _total(there)
    return usual > 2 * min(here.counts.values(), default=0)


def _psi(p: np.ndarray, q: np.ndarray, smallest_p: float, smallest_q: float) -> float:
    seen = (p > 0) | (q > 0)
    p, q = np.maximum(p[seen], smallest_p), np.maximum(q[seen], smallest_q)
    return float(np.sum((p - q) * np.log(p / q)))


def _jensen_shannon(p: np.ndarray, q: np.ndarray) -> float:
    middle = (p + q) / 2
    return float(max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2))


def _divergence(p: np.ndarray, q: np.ndarray) -> float:
    seen = p > 0
    return float(np.sum(p[seen] * np.log2(p[seen] / q[seen])))


def _kolmogorov_smirnov(new: Numbers, reference: Numbers) -> float:
    at = np.union1d(new.values, reference.values)
    return float(np.max(np.abs(new.share_up_to(at) - reference.share_up_to(at))))

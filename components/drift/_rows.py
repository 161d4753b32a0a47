"""Checks of the rows as a whole: how many there are, whether they are new, and whether evaluated rows were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import Hashes, add_column, spread_bits
from components.drift.profile import ALL, Profile
from components.gates import CheckResult, Severity
from spec.splits import SPLITS
from spec.workload import Drift

_SHOWN = 5


class RowHashes:
    """Hashes of a span's rows, built column by column while the columns are being read.

    Args:
        rows: by split, in the order in which their rows come.
        label: its column, which is kept out of the hash of features.
    """

    def __init__(self, rows: Mapping[str, int], label: str | None) -> None:
        self._rows, self._label = rows, label
        self._features: Hashes | None = None
        self._whole = True
        self._target: Hashes = np.zeros(sum(rows.values()), np.uint64)

    def add(self, name: str, values: pa.ChunkedArray) -> None:
        """Adds a column; call it once per column and always in the same order."""
        column = values.combine_chunks()
        if name == self._label:
            self._target = add_column(self._target, column)
        else:
            self._features = add_column(
                np.zeros(len(self._target), np.uint64) if self._features is None else self._features, column
            )

    def leave_out(self) -> None:
        """Notes that a column is not hashed, so that equal rows can no longer be recognised."""
        self._whole = False

    def of_rows(self) -> Hashes:
        """Hashes over all columns, in the order of the rows; none if a column was left out."""
        if self._features is None or not self._whole:
            return np.zeros(0, np.uint64)
        return spread_bits(self._features * np.uint64(31) + self._target)

    def place(self, row: int) -> tuple[str, int]:
        """The split of a row, and its place there, from 0."""
        for split, rows in self._rows.items():
            if row < rows:
                return split, row
            row -= rows
        raise IndexError(row)

    def by_split(self) -> dict[str, Hashes]:
        """Hashes over the features, by split; none if a column was left out."""
        if self._features is None or not self._whole:
            return {}
        ends = np.cumsum(list(self._rows.values()))
        return dict(zip(self._rows, np.split(self._features, ends[:-1]), strict=True))


def marks(hashes: Hashes) -> tuple[str, float]:
    """A fingerprint that does not depend on the rows' order or files, and the share of rows with a duplicate; ("", 0) without rows."""
    if not len(hashes):
        return "", 0.0
    _, times = np.unique(hashes, return_counts=True)
    return f"{int(hashes.sum(dtype=np.uint64)):016x}-{len(hashes)}", float(times[times > 1].sum() / len(hashes))


def checks(newest: Profile, before: Profile | None, rows: RowHashes, allowed: Drift) -> Iterator[CheckResult]:
    """Checks whether the span repeats the previous one or itself, is much smaller or larger, and whether its splits share rows."""
    if before is not None:
        has_prints = bool(before.fingerprint and newest.fingerprint)
        if has_prints or (before.digest and newest.digest):
            yield _stale(newest, before, allowed)
        else:
            yield _unjudged(
                "stale", f"neither the files nor the rows of both {newest.name} and {before.name} are known"
            )
        many = before.rows.get(ALL, 0)
        few = f"{before.name} has {many:,} rows, too few to compare with (min_rows {allowed.min_rows:,})"
        yield _volume(newest, before, allowed) if many >= allowed.min_rows else _unjudged("rows", few)
        if not has_prints:
            few = f"the rows of both {newest.name} and {before.name} are not known one by one (pictures and lists are not compared)"
        is_known = has_prints and many >= allowed.min_rows
        yield _doubles(newest, before, rows, allowed) if is_known else _unjudged("doubles", few)
    yield from _overlap(rows.by_split(), allowed)


def _stale(newest: Profile, before: Profile, allowed: Drift) -> CheckResult:
    same_bytes = bool(newest.digest) and newest.digest == before.digest
    same_rows = bool(newest.fingerprint) and newest.fingerprint == before.fingerprint
    is_stale = newest.name != before.name and (same_bytes or same_rows)
    how = "file for file" if same_bytes else "row for row, in other files or another order"
    message = (
        f"{newest.name} is {before.name} again, {how}: all of its {newest.rows[ALL]:,} rows were delivered before. "
        "Ask for the new delivery; its export may have stopped."
        if is_stale
        else f"{newest.name} is not {before.name} again"
    )
    found = {"kind": "stale", "digest": newest.digest, "fingerprint": newest.fingerprint, "reference": before.name}
    return CheckResult("stale", not is_stale, allowed.stale, message, found)


def _volume(newest: Profile, before: Profile, allowed: Drift) -> CheckResult:
    now, then = newest.rows[ALL], before.rows[ALL]
    share = now / then
    is_usual = 1 - allowed.rows <= share <= 1 / (1 - allowed.rows) if allowed.rows < 1 else True
    message = f"{newest.name} has {now:,} rows, {share:.0%} of the {then:,} of {before.name}"
    if not is_usual:
        message += (
            f" (limit: {1 - allowed.rows:.0%} to {1 / (1 - allowed.rows):.0%}). Ask whether the delivery is whole."
        )
    return CheckResult("rows", is_usual, Severity.WARNING, message, {"kind": "rows", "rows": now, "rows_before": then})


def _doubles(newest: Profile, before: Profile, rows: RowHashes, allowed: Drift) -> CheckResult:
    passes = newest.doubled - before.doubled <= allowed.doubles
    message = (
        f"{newest.doubled:.1%} of the rows of {newest.name} have a twin, after {before.doubled:.1%} in {before.name}"
    )
    sample = [] if passes else _twins(rows)
    if sample:
        shown = ", ".join(f"{one['split']} row {one['row']}" for one in sample[:2])
        message += f" (limit: {allowed.doubles:.1%} more), e.g. {shown}, alike in every column. Ask whether the export ran twice."
    return CheckResult("doubles", passes, Severity.WARNING, message, {"kind": "doubles", "sample": sample})


def _twins(rows: RowHashes) -> list[dict[str, object]]:
    """The first few pairs of duplicate rows."""
    hashes = rows.of_rows()
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])[:_SHOWN]
    places = [rows.place(int(order[at + one])) for at in same for one in (0, 1)]
    return [{"split": split, "row": row} for split, row in dict.fromkeys(places)]


def _unjudged(kind: str, why: str) -> CheckResult:
    return CheckResult.not_judged(kind, why, Severity.INFO, {"kind": kind})


def _overlap(splits: Mapping[str, Hashes], allowed: Drift) -> Iterator[CheckResult]:
    """Checks for each split whether its rows also are in the splits that the model is made from."""
    if not splits:
        yield _unjudged("overlap", "rows with pictures or lists are not compared one by one")
    for at, split in enumerate(SPLITS):
        held_out, earlier = splits.get(split), {one: splits[one] for one in SPLITS[:at] if one in splits}
        if not earlier or held_out is None:
            continue
        known = np.concatenate(list(earlier.values()))
        if (fewest := min(len(known), len(held_out))) < allowed.min_rows:
            few = f"{fewest:,} rows are too few (min_rows {allowed.min_rows:,})"
            yield _unjudged(f"overlap({split})", few)
        else:
            yield _overlap_of(split, held_out, known, " or ".join(earlier), allowed)


def _overlap_of(split: str, held_out: Hashes, known: Hashes, of: str, allowed: Drift) -> CheckResult:
    shared = pc.indices_nonzero(pc.is_in(pa.array(held_out), pa.array(known))).to_numpy()
    share = len(shared) / len(held_out)
    message = f"{len(shared):,} of the {len(held_out):,} rows of {split} ({share:.1%}) are rows of {of}"
    if share > allowed.overlap:
        shown = ", ".join(f"{split} row {row}" for row in shared[:_SHOWN])
        message += (
            f" in all but the label (limit {allowed.overlap:.1%}), e.g. {shown}: what is measured on them was learnt by heart. "
            "Split by the key that such rows share (data.split.key), or remove the doubles."
        )
    sample = [{"split": split, "row": int(row)} for row in shared[:_SHOWN]]
    found = {"kind": "overlap", "share": share, "limit": allowed.overlap, "sample": sample}
    return CheckResult(f"overlap({split})", share <= allowed.overlap, Severity.WARNING, message, found)

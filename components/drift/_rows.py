"""What rows tell as a whole: how many there are, whether they came before, and whether those that are evaluated were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from components.columnar import Hashes, add_column, spread_bits
from components.drift._config import DriftConfig
from components.drift._profile import ALL, Profile
from components.gates import CheckResult, Severity

_SHOWN = 5


class RowHashes:
    """Hashes of a span's rows, made column by column while something else reads them.

    Args:
        rows: by split, in the order in which their rows come.
        label: its column, which tells no two rows of the same features apart.
    """

    def __init__(self, rows: Mapping[str, int], label: str) -> None:
        self._rows, self._label = rows, label
        self._features: Hashes | None = None
        self._target: Hashes = np.zeros(sum(rows.values()), np.uint64)

    def add(self, name: str, values: pa.ChunkedArray) -> None:
        """Takes a column into account, each once and always in the same order."""
        column = values.combine_chunks()
        if name == self._label:
            self._target = add_column(self._target, column)
        else:
            self._features = add_column(
                np.zeros(len(self._target), np.uint64) if self._features is None else self._features, column
            )

    def fingerprint(self) -> str:
        """The same for the same rows in any order, in any files; empty without a row."""
        if self._features is None or not len(self._features):
            return ""
        rows = spread_bits(self._features * np.uint64(31) + self._target)
        return f"{int(rows.sum(dtype=np.uint64)):016x}-{len(rows)}"

    def by_split(self) -> dict[str, Hashes]:
        """Of the features alone."""
        if self._features is None:
            return {}
        ends = np.cumsum(list(self._rows.values()))
        return dict(zip(self._rows, np.split(self._features, ends[:-1]), strict=True))


def checks(newest: Profile, before: Profile | None, rows: RowHashes, config: DriftConfig) -> Iterator[CheckResult]:
    """Whether the span repeats the one before, is much smaller or larger, and whether its splits share rows."""
    if before is not None:
        if before.fingerprint and newest.fingerprint:
            yield _stale(newest, before, config)
        if before.rows.get(ALL, 0) >= config.min_rows:
            yield _volume(newest, before, config)
    yield from _overlap(rows.by_split(), config)


def _stale(newest: Profile, before: Profile, config: DriftConfig) -> CheckResult:
    same_bytes = bool(newest.digest) and newest.digest == before.digest
    is_stale = newest.name != before.name and (same_bytes or newest.fingerprint == before.fingerprint)
    how = "file for file" if same_bytes else "row for row, in other files or another order"
    message = (
        f"{newest.name} is {before.name} again, {how}: all of its {newest.rows[ALL]:,} rows were delivered before. "
        "Ask for the new delivery; its export may have stopped."
        if is_stale
        else f"{newest.name} is not {before.name} again"
    )
    found = {"kind": "stale", "digest": newest.digest, "fingerprint": newest.fingerprint, "reference": before.name}
    return CheckResult("stale", not is_stale, config.stale, message, found)


def _volume(newest: Profile, before: Profile, config: DriftConfig) -> CheckResult:
    now, then = newest.rows[ALL], before.rows[ALL]
    share = now / then
    is_usual = 1 - config.rows <= share <= 1 / (1 - config.rows) if config.rows < 1 else True
    message = f"{newest.name} has {now:,} rows, {share:.0%} of the {then:,} of {before.name}"
    if not is_usual:
        message += f" (limit: {1 - config.rows:.0%} to {1 / (1 - config.rows):.0%}). Ask whether the delivery is whole."
    return CheckResult("rows", is_usual, Severity.WARNING, message, {"kind": "rows", "rows": now, "rows_before": then})


def _overlap(splits: Mapping[str, Hashes], config: DriftConfig) -> Iterator[CheckResult]:
    train, held_out = splits.get("train"), splits.get("eval")
    if train is None or held_out is None or min(len(train), len(held_out)) < config.min_rows:
        return
    shared = np.flatnonzero(np.isin(held_out, train))
    share = len(shared) / len(held_out)
    message = f"{len(shared):,} of the {len(held_out):,} rows of eval ({share:.1%}) are rows of train"
    if share > config.overlap:
        shown = ", ".join(f"eval row {row}" for row in shared[:_SHOWN])
        message += (
            f" in all but the label (limit {config.overlap:.1%}), e.g. {shown}: what is measured on them was learnt by heart. "
            "Split by the key that such rows share (data.split.key), or remove the doubles."
        )
    sample = [{"split": "eval", "row": int(row)} for row in shared[:_SHOWN]]
    found = {"kind": "overlap", "share": share, "limit": config.overlap, "sample": sample}
    yield CheckResult("overlap(eval)", share <= config.overlap, Severity.WARNING, message, found)

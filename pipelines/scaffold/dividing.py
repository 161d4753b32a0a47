"""How a new workload's rows are divided: enough of a rare class in each split, as far as there are rows of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.ingestion.splitting import ByHash, Places, count_values, counted_column, splitter
from components.tasks import Draft
from spec.errors import InputError
from spec.splits import SPLITS, TEST
from spec.workload import Split

_EVAL, _EVAL_OF_FEW, _TEST = 0.1, 0.2, 0.2
_FEW_ROWS, _FEW_OF_A_CLASS = 1000, 200
_SEEDS = 50
_HALF = 0.5
_SAYS_SOMETHING = 30  # rows of a class in test; a share of fewer wavers by more than 0.15
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Division:
    """What goes under `data.split`, and what it comes to.

    Attributes:
        rows: of each class by split; empty where the label is a number, or a run is the first to read the rows.
    """

    eval_fraction: float = _EVAL
    test_fraction: float = _TEST
    seed: int = 0
    rows: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)


def divide(rows: pa.Table, label: Draft, time: str | None = None, key: str | None = None) -> Division:
    """Chooses fractions and seed.

    A class of a few hundred rows may have none in eval by chance. Every seed is a division at random; of the first fifty, the
    one that comes nearest to giving each split its share of every class is taken. Labels alone decide, no model is looked at.

    Args:
        time: the column to split by, if any.
        key: the column whose hash decides, if any.
    """
    rarest = min(label.counts.values(), default=rows.num_rows)
    few = rows.num_rows < _FEW_ROWS or rarest < _FEW_OF_A_CLASS
    split = Split(time=time, key=key, eval_fraction=_EVAL_OF_FEW if few else _EVAL, test_fraction=_TEST)
    chosen = Division(split.eval_fraction, split.test_fraction)
    batches = rows.combine_chunks().to_batches()
    if not label.counts or not batches:
        return chosen
    codes = _codes(rows.column(label.name))
    column = counted_column(split)
    if column is not None:
        counted = count_values(split, rows.column(column).chunks)
        table = _by_class(codes, splitter(split, label.name, counted).places(batches[0]))
        if not table.sum(axis=0).all():
            raise InputError(
                f"--time {column!r}: has {len(counted[0])} different times, and rows of one time stay together: three or more are "
                "needed, for train, eval and test. Choose another column, or leave --time out."
            )
    else:
        seed, table = _best_seed(batches[0], split, label.name, codes, _SEEDS if few else 1)
        chosen = dataclasses.replace(chosen, seed=seed)
    names = [str(name) for name in rows.column(label.name).combine_chunks().dictionary_encode().dictionary.to_pylist()]
    counts = {name: dict(zip(SPLITS, map(int, line), strict=True)) for name, line in zip(names, table, strict=True)}
    return dataclasses.replace(chosen, rows=counts)


def told(label: Draft, division: Division) -> list[str]:
    """Which class is positive and which is rare, and what that means, in lines for a person."""
    lines = []
    total = sum(label.counts.values())
    if label.positive is not None:
        share = label.counts[label.positive.name] / total
        odd = f", though {share:.1%} of the rows have it" if label.rare and share > _HALF else ""
        lines.append(f"Positive: {label.positive.name} ({label.positive.reason}{odd}; --positive changes it)")
    if label.rare:
        found = label.counts[label.rare]
        parts = division.rows.get(label.rare, {})
        where = f" ({', '.join(f'{rows:,} in {split}' for split, rows in parts.items())})" if parts else ""
        lines.append(
            f"Rare: {label.rare}, {found:,} of {total:,} rows{where}, so classes are weighed in training, and bars are on "
            "metrics that always saying the frequent class fails"
        )
    in_test = {name: _in_test(label, division, name) for name in label.counts}
    scarce = [name for name, rows in in_test.items() if rows < _SAYS_SOMETHING]
    if scarce:
        about = "" if division.rows else "about "
        shown = ", ".join(f"{name} ({about}{in_test[name]})" for name in scarce[:_SHOWN])
        more = f" and {len(scarce) - _SHOWN} more classes" if len(scarce) > _SHOWN else ""
        lines.append(
            f"Few rows in test: {shown}{more}. Figures about {'it' if len(scarce) == 1 else 'them'} will say little, and bars may "
            "not be judged: deliver more rows"
        )
    return lines


def _in_test(label: Draft, division: Division, name: str) -> int:
    """Rows of a class; of images, which are divided when a run reads them, as many as are to be expected."""
    if division.rows:
        return division.rows.get(name, {}).get(TEST, 0)
    return round(label.counts[name] * division.test_fraction)


def _best_seed(
    batch: pa.RecordBatch, split: Split, label: str | None, codes: npt.NDArray[np.int64], seeds: int
) -> tuple[int, npt.NDArray[np.int64]]:
    hashes = ByHash(split, label).hashes(batch)
    tables = [
        _by_class(codes, ByHash(split.model_copy(update={"seed": seed}), label).places_of(hashes))
        for seed in range(seeds)
    ]
    share = np.array([1 - split.eval_fraction - split.test_fraction, split.eval_fraction, split.test_fraction])
    wanted = np.bincount(codes)[:, None] * share
    # In units of what chance alone would move a count by.
    missed = [float(np.max(np.abs(table - wanted) / np.sqrt(np.maximum(wanted, 1)))) for table in tables]
    seed = int(np.argmin(missed))
    return seed, tables[seed]


def _codes(label: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    codes: npt.NDArray[np.int64] = label.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return codes


def _by_class(codes: npt.NDArray[np.int64], places: Places) -> npt.NDArray[np.int64]:
    """Rows by class and split, [classes, splits]."""
    flat = np.bincount(codes * len(SPLITS) + places, minlength=(int(codes.max()) + 1) * len(SPLITS))
    return flat.reshape(-1, len(SPLITS))

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.ingestion.splitting import Places, count_values, counted_column, splitter
from spec.errors import InputError
from spec.splits import EVAL, SPLITS, TEST, TRAIN
from spec.workload import Split


def batch(rows: int = 20_000) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {
            "user": [f"u{i % 500}" for i in range(rows)],
            "x": np.arange(rows) / 7,
            "n": pa.array([None if i % 3 == 0 else i for i in range(rows)], pa.int64()),
            "v": [[float(i), 1.0] for i in range(rows)],
        }
    )


def places(rows: pa.RecordBatch, **fields) -> Places:
    asked = Split(**fields)
    column = counted_column(asked)
    counted = count_values(asked, [rows.column(column)]) if column else None
    return splitter(asked, "y", counted).places(rows)


def splits(rows: pa.RecordBatch, **fields) -> list[str]:
    return [SPLITS[place] for place in places(rows, **fields)]


def shares(rows: pa.RecordBatch, **fields) -> dict[str, float]:
    return dict(zip(SPLITS, np.bincount(places(rows, **fields), minlength=3) / rows.num_rows, strict=True))


def test_each_split_has_about_the_share_that_was_asked_for() -> None:
    assert shares(batch()) == pytest.approx({TRAIN: 0.7, EVAL: 0.1, TEST: 0.2}, abs=0.02)
    asked = shares(batch(), eval_fraction=0.3, test_fraction=0.1)
    assert asked == pytest.approx({TRAIN: 0.6, EVAL: 0.3, TEST: 0.1}, abs=0.02)


def test_a_row_stays_in_its_split_wherever_it_stands_and_whatever_comes_later() -> None:
    whole = batch()
    found = places(whole)
    order = np.random.default_rng(0).permutation(len(whole))
    assert (places(whole.take(pa.array(order))) == found[order]).all()
    assert (places(whole.slice(0, 100)) == found[:100]).all()


def test_a_larger_test_split_takes_rows_of_eval_before_those_of_train() -> None:
    before, after = places(batch(), eval_fraction=0.2, test_fraction=0.1), places(batch(), test_fraction=0.2)
    assert set(before[after == SPLITS.index(TEST)]) == {SPLITS.index(EVAL), SPLITS.index(TEST)}


def test_rows_of_the_same_features_stay_together_whatever_their_label() -> None:
    features = np.arange(400).repeat(2)
    rows = pa.RecordBatch.from_pydict({"x": features, "y": np.tile([0, 1], 400)})
    found = places(rows).reshape(-1, 2)
    assert (found[:, 0] == found[:, 1]).all()
    assert shares(rows) == pytest.approx({TRAIN: 0.7, EVAL: 0.1, TEST: 0.2}, abs=0.1)


def test_a_table_of_nothing_but_the_label_is_split_by_it() -> None:
    rows = pa.RecordBatch.from_pydict({"y": np.arange(1000)})
    assert 0.1 < shares(rows)[TEST] < 0.3


def test_a_key_keeps_its_rows_together() -> None:
    rows = batch()
    by_user: dict[str, set[str]] = {}
    for user, split in zip(rows.column("user").to_pylist(), splits(rows, key="user"), strict=True):
        by_user.setdefault(user, set()).add(split)
    assert all(len(found) == 1 for found in by_user.values())
    assert set.union(*by_user.values()) == set(SPLITS)


def test_the_hash_is_the_same_in_every_process() -> None:
    # Written down once: another figure would move rows between the splits of every user's data.
    found = enumerate(splits(batch(30), key="user"))
    held_back = {4: TEST, 10: TEST, 18: TEST, 21: EVAL, 24: TEST, 26: TEST, 29: EVAL}
    assert {row: split for row, split in found if split != TRAIN} == held_back


@pytest.mark.parametrize("iso", [False, True])
def test_by_time_the_newest_are_test_and_those_before_them_eval(iso: bool) -> None:
    times = list(range(100))
    values = [f"2024-01-01T00:{t // 60:02d}:{t % 60:02d}Z" for t in times] if iso else times
    rows = pa.RecordBatch.from_pydict({"t": values})
    found = splits(rows, time="t", test_fraction=0.25, eval_fraction=0.15)
    assert sorted(found, key=[TRAIN, EVAL, TEST].index) == found
    assert (found.count(TEST), found.count(EVAL)) == (25, 15)


def test_neighbouring_nanoseconds_are_told_apart() -> None:
    times = 1_700_000_000_000_000_000 + np.arange(100)  # as doubles, one and the same
    rows = pa.RecordBatch.from_pydict({"t": times, "y": np.zeros(100)})
    assert splits(rows, time="t") == [TRAIN] * 70 + [EVAL] * 10 + [TEST] * 20


def test_rows_of_one_time_stay_together() -> None:
    times = [1] * 40 + [2] * 20 + [3] * 40
    assert splits(pa.RecordBatch.from_pydict({"t": times}), time="t") == [TRAIN] * 40 + [EVAL] * 20 + [TEST] * 40
    two = shares(pa.RecordBatch.from_pydict({"t": [1] * 50 + [2] * 50}), time="t")
    assert two == {TRAIN: 0, EVAL: 0.5, TEST: 0.5}  # and the executor says that nothing is left to train on


def named(**values: int) -> pa.RecordBatch:
    """Rows of each value of the column that says which split they are in."""
    split = [value for value, rows in values.items() for _ in range(rows)]
    return pa.RecordBatch.from_pydict({"x": range(len(split)), "part": split})


def test_a_column_that_names_all_three_is_taken_at_its_word() -> None:
    rows = pa.RecordBatch.from_pydict({"part": ["Train", "validation", " TEST ", "training", "dev"]})
    assert splits(rows, column="part") == [TRAIN, EVAL, TEST, TRAIN, EVAL]


@pytest.mark.parametrize("held_back", ["test", "eval"])
def test_an_official_test_set_judges_and_eval_is_taken_out_of_train(held_back: str) -> None:
    rows = named(train=2000, **{held_back: 500})
    found = np.array(splits(rows, column="part"))
    assert set(found[2000:]) == {TEST}
    assert set(found[:2000]) == {TRAIN, EVAL} and 0.08 < (found[:2000] == EVAL).mean() < 0.12
    later = named(train=3000, **{held_back: 500})  # the rows that were there are where they were
    assert (np.array(splits(later, column="part"))[:2000] == found[:2000]).all()


def test_a_column_that_says_anything_else_is_refused() -> None:
    for value, received in (("fold-1", "'fold-1'"), (None, "nothing")):
        with pytest.raises(InputError, match=f"train, eval .* or test. Received: {received}"):
            splits(pa.RecordBatch.from_pydict({"part": ["train", value]}), column="part")

"""What the drift gate says of rows as a whole: repeated spans, twins, volume, rows that both splits have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa

from components.drift import _rows as rows
from components.drift.profile import Profile
from components.gates import CheckResult, Severity, Verdict
from spec.workload import Drift

ALLOWED = Drift(min_rows=100)


def table(seed: int = 1, size: int = 1000) -> pa.Table:
    rng = np.random.default_rng(seed)
    kind = pa.array(rng.choice(["cash", "card", None], size))
    return pa.table({"fare": rng.exponential(10, size), "kind": kind, "tip": rng.integers(0, 2, size)})


def hashed(data: pa.Table, train: int = 800) -> rows.RowHashes:
    made = rows.RowHashes({"train": train, "eval": data.num_rows - train}, "tip")
    for name in data.column_names:
        made.add(name, data.column(name))
    return made


def described(name: str, data: pa.Table, digest: str = "") -> Profile:
    fingerprint, doubled = rows.marks(hashed(data).of_rows())
    return Profile(name, {"": data.num_rows}, {}, digest=digest, fingerprint=fingerprint, doubled=doubled)


def found(before: Profile | None, data: pa.Table, digest: str = "") -> dict[str, CheckResult]:
    newest = described("span 2", data, digest)
    return {check.name: check for check in rows.checks(newest, before, hashed(data), ALLOWED)}


def test_a_fingerprint_is_of_the_rows_and_not_of_their_order() -> None:
    data = table()
    shuffled = data.take(pa.array(np.random.default_rng(2).permutation(1000)))
    same, other = rows.marks(hashed(data).of_rows())[0], rows.marks(hashed(table(2)).of_rows())[0]
    assert rows.marks(hashed(shuffled).of_rows())[0] == same != other
    relabelled = data.set_column(2, "tip", pa.array(1 - data.column("tip").to_numpy()))
    assert rows.marks(hashed(relabelled).of_rows())[0] != same
    assert rows.marks(np.zeros(0, np.uint64)) == ("", 0.0)


def test_a_span_that_is_the_one_before_again_is_stale_in_any_order() -> None:
    before = described("span 1", table(), "abc")
    shuffled = table().take(pa.array(np.random.default_rng(2).permutation(1000)))
    again = found(before, shuffled, "def")["stale"]
    assert not again.passes and again.severity is Severity.WARNING and "row for row" in again.message
    assert "file for file" in found(before, table(), "abc")["stale"].message
    assert found(before, table(2), "def")["stale"].passes


def test_a_span_that_is_looked_at_twice_is_not_stale() -> None:
    assert found(described("span 2", table()), table())["stale"].passes


def test_where_a_column_is_left_out_only_the_bytes_tell_a_repeated_span() -> None:
    made = hashed(table())
    made.leave_out()
    assert not len(made.of_rows()) and made.by_split() == {}
    first, second = (Profile(f"span {n}", {"": 1000}, {}, digest="abc") for n in (1, 2))
    found = {check.name: check.verdict for check in rows.checks(second, first, made, ALLOWED)}
    assert found == {
        "stale": Verdict.FAILED,
        "rows": Verdict.PASSED,
        "doubles": Verdict.NOT_JUDGED,
        "overlap": Verdict.NOT_JUDGED,
    }


def test_rows_far_more_or_fewer_are_told() -> None:
    before = described("span 1", table())
    assert found(before, table(2, 950))["rows"].passes and found(before, table(2, 1600))["rows"].passes
    assert (
        "900 rows, 45% of the 2,000 of span 1"
        in found(described("span 1", table(3, 2000)), table(2, 900))["rows"].message
    )
    assert not found(before, table(2, 1700))["rows"].passes
    few = found(described("span 1", table(3, 850).slice(0, 50)), table(2))
    assert (
        few["rows"].verdict is few["doubles"].verdict is Verdict.NOT_JUDGED
        and "50 rows, too few" in few["rows"].message
    )


def test_twins_are_shown_with_their_places() -> None:
    data = table(2)
    twice = pa.concat_tables([data, data.slice(0, 50)])
    check = found(described("span 1", table()), twice)["doubles"]
    assert not check.passes and "9.5% of the rows" in check.message
    sample = check.diagnostics["sample"]
    assert all(one["split"] in ("train", "eval") for one in sample)
    assert {"split": "eval", "row": sample[1]["row"]} == sample[1] and sample[1]["row"] == sample[0]["row"] + 200
    assert found(described("span 1", twice), twice.slice(1))["doubles"].passes  # as it always was


def test_rows_of_train_in_eval_are_found_whatever_their_label_says() -> None:
    data = table(2)
    leaked = data.slice(0, 20).set_column(2, "tip", pa.array(1 - data.column("tip").to_numpy()[:20]))
    both = pa.concat_tables([data, leaked])
    check = found(None, both)["overlap(eval)"]
    assert not check.passes and "20 of the 220 rows of eval (9.1%)" in check.message
    assert check.diagnostics["sample"][0] == {"split": "eval", "row": 200}
    assert found(None, data)["overlap(eval)"].passes


def test_rows_that_the_model_was_made_from_are_found_in_test() -> None:
    """Both those that it learnt from and those that its best epoch was chosen by."""
    data = table(2)
    made = rows.RowHashes({"train": 500, "eval": 300, "test": 220}, "tip")
    twice = pa.concat_tables([data, data.slice(490, 20)])
    for name in twice.column_names:
        made.add(name, twice.column(name))
    found = {check.name: check for check in rows.checks(described("span 1", data), None, made, ALLOWED)}
    assert found["overlap(eval)"].passes and not found["overlap(test)"].passes
    assert "20 of the 220 rows of test (9.1%) are rows of train or eval" in found["overlap(test)"].message


def test_a_profile_keeps_its_marks_and_one_of_an_earlier_version_has_none() -> None:
    one = dataclasses.replace(described("span 1", table(), "abc"), strengths={"fare": 0.7})
    assert Profile.from_json(one.to_json()) == one
    old = '{"name": "span 1", "rows": {"": 1000}, "distributions": {"": {}}}'
    judged = {name for name, check in found(Profile.from_json(old), table()).items() if check.judged}
    assert judged == {"rows", "overlap(eval)"}

"""How new data is divided: rare classes in every split, and the same rows in every run."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.ingestion.splitting import splitter
from components.tasks import Draft, LabelColumn, find
from pipelines.scaffold.dividing import Division, divide, told
from pipelines.scaffold.labelling import draft
from spec.errors import InputError
from spec.splits import EVAL, SPLITS, TEST
from spec.workload import Split


def labelled(classes: list[str], task: str = "binary", positive: str | None = None) -> tuple[pa.Table, Draft]:
    random = np.random.default_rng(5)
    label = pa.chunked_array([random.permutation(classes)])
    table = pa.table({"x": random.normal(size=len(classes)), "day": np.arange(len(classes)) % 7, "y": label})
    return table, draft(find(task), LabelColumn("y", label), positive)


def test_each_split_has_its_share_of_a_rare_class() -> None:
    table, label = labelled(["ok"] * 9_979 + ["fraud"] * 21)
    found = divide(table, label)
    rows = found.rows["fraud"]
    assert (found.eval_fraction, found.test_fraction) == (0.2, 0.2)
    assert sum(rows.values()) == 21 and rows[EVAL] in (4, 5) and rows[TEST] in (4, 5)
    # A run divides them in the same way.
    split = Split(eval_fraction=0.2, test_fraction=0.2, seed=found.seed)
    (batch,) = table.combine_chunks().to_batches()
    places = splitter(split, "y").places(batch)[np.array(table["y"].to_pylist()) == "fraud"]
    assert dict(zip(SPLITS, np.bincount(places, minlength=3).tolist(), strict=True)) == rows
    story = "\n".join(told(label, found))
    assert "Positive: fraud (the rarer one, 21 of 10,000 rows; --positive changes it)" in story
    assert f"Rare: fraud, 21 of 10,000 rows ({rows['train']} in train, {rows['eval']} in eval" in story
    assert f"Few rows in test: fraud ({rows['test']})." in story


def test_where_classes_are_large_nothing_is_searched_for() -> None:
    table, label = labelled(["a"] * 3000 + ["b"] * 3000)
    found = divide(table, label)
    assert (found.eval_fraction, found.test_fraction, found.seed) == (0.1, 0.2, 0)
    assert told(label, found) == ["Positive: b (the last in order; --positive changes it)"]


def test_a_number_has_no_classes_to_spread() -> None:
    table = pa.table({"x": np.arange(30.0)})
    label = draft(find("regression"), LabelColumn("x", table["x"]), None)
    assert divide(table, label) == Division(0.2, 0.2) and told(label, divide(table, label)) == []


def test_a_split_by_time_is_counted_as_it_is() -> None:
    table, label = labelled(["ok"] * 900 + ["bad"] * 100)
    rows = divide(table, label, time="day").rows
    # A fifth ends within day 5, and rows of one time stay together.
    assert rows["ok"][TEST] + rows["bad"][TEST] == sum(n % 7 >= 5 for n in range(1000))
    with pytest.raises(InputError, match=r"--time 'day': has 2 different times.*three or more"):
        divide(table.set_column(1, "day", pa.array(np.arange(1000) % 2)), label, time="day")


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (["0"] * 60 + ["1"] * 40, "1"),
        (["0"] * 40 + ["1"] * 60, "1"),
        (["0"] * 5 + ["1"] * 95, "0"),  # rare, whatever its name
        (["no"] * 5 + ["yes"] * 95, "no"),
        (["False"] * 95 + ["True"] * 5, "True"),
        (["b"] * 45 + ["a"] * 55, "b"),
        (["b"] * 55 + ["a"] * 45, "a"),
    ],
)
def test_rarity_then_name_then_the_rarer_one(classes: list[str], positive: str) -> None:
    _, label = labelled(classes)
    assert label.positive is not None and label.positive.name == positive
    assert ("by name it would be" in label.positive.reason) == (positive in ("0", "no"))


def test_the_positive_class_may_be_said() -> None:
    _, label = labelled(["0"] * 5 + ["1"] * 95, positive="1")
    assert label.positive is not None and (label.positive.name, label.positive.reason) == ("1", "you said so")
    assert "though 95.0% of the rows have it" in told(label, Division())[0]
    with pytest.raises(InputError, match="--positive 'yes': the label 'y' has the classes '0' and '1'"):
        labelled(["0", "1"] * 20, positive="yes")
    with pytest.raises(InputError, match="--positive 'a': is for labels of two classes"):
        labelled(["a", "b", "c"] * 20, "multiclass", positive="a")


def test_of_images_which_a_run_divides_it_is_said_how_many_to_expect() -> None:
    _, label = labelled(["fist"] * 200 + ["palm"] * 200 + ["thumb"], "multiclass")
    assert "Few rows in test: thumb (about 0)." in "\n".join(told(label, Division()))

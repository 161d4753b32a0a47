"""Which class is positive where nobody says."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pytest

from components.columnar import SplitWriter
from components.positive import by_name, by_share
from components.tasks import find


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        (("0", "1"), "1"),
        (("-1", "1"), "1"),
        (("0.0", "1.0"), "1.0"),
        (("No", "YES"), "YES"),
        (("True", "false"), "True"),
        (("n", "y"), "y"),
        (("negative", "positive"), "positive"),
        (("not spam", "spam"), "spam"),
        (("churned", "not_churned"), "churned"),
        (("fraud", "non-fraud"), "fraud"),
    ],
)
def test_a_class_may_be_positive_by_its_name(classes: tuple[str, str], positive: str) -> None:
    for pair in (classes, classes[::-1]):
        found = by_name(pair)
        assert found is not None and found.name == positive and positive in found.reason


@pytest.mark.parametrize("classes", [("fraud", "ok"), ("1", "2"), ("female", "male"), ("yes", "false"), ("", "x")])
def test_other_names_say_nothing(classes: tuple[str, str]) -> None:
    assert by_name(classes) is None


def test_else_the_rarer_one_is_if_it_is_clearly_so() -> None:
    assert by_share(("fraud", "ok"), (21, 19_979)).name == "fraud"
    assert "21 of 20,000 rows" in by_share(("fraud", "ok"), (21, 19_979)).reason
    assert by_share(("a", "b"), (90, 10)).name == "b"
    # What every answer means must not turn around with the next span.
    assert [by_share(("a", "b"), rows).name for rows in ((49, 51), (50, 50), (51, 49))] == ["b", "b", "b"]
    assert by_share(("a", "b"), (49, 51), most=0.5).name == "a"


def test_the_rows_of_train_tell_which_class_is_rare(tmp_path: pathlib.Path) -> None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.transform.labels import positive_class, read_positive, write_positive

    def found(domain: str, values: list[object], task: str = "binary") -> str | None:
        rows = pa.table({"y": values})
        with SplitWriter(tmp_path / "examples", "train", rows.schema) as writer:
            for batch in rows.to_batches():
                writer.write(batch)
        schema = text_format.Parse(f'feature {{ name: "y" {domain} }}', schema_pb2.Schema())
        positive = positive_class(str(tmp_path / "examples"), schema, "y", find(task))
        return positive and positive.name

    texts = 'type: BYTES string_domain { value: "fraud" value: "ok" }'
    assert found(texts, ["ok"] * 9 + ["fraud"]) == "fraud"
    assert found(texts, ["fraud"] * 9 + ["ok"]) == "ok"
    assert found("type: INT int_domain { min: 0 max: 1 }", [1] * 9 + [0]) == "1"
    assert found("type: INT int_domain { min: 1 max: 2 }", [2] * 9 + [1]) == "1"
    assert found(texts, ["ok"], "multiclass") is None

    assert read_positive(str(tmp_path)).name == ""
    write_positive(str(tmp_path), by_share(("fraud", "ok"), (1, 9)))
    assert read_positive(str(tmp_path)) == by_share(("fraud", "ok"), (1, 9))

"""Drafts from data: what they say, that the next span does not break them, and that a person's edits survive."""

from __future__ import annotations

import copy
import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import SplitWriter
from components.data_quality.worker import check_examples
from components.gates import GateResult, Severity
from components.ingestion.contract import columns_of
from components.ingestion.readers import read_file
from components.schema import read_schema
from pipelines import datasets
from quality.contracts import Source, draft, merge, read, read_folders, suite_text
from quality.contracts._facts import look
from quality.contracts._merging import differences
from quality.contracts._relations import relate
from spec import home
from spec.errors import InputError
from spec.workload import Data, Split, load_workload

SCHEMA = """
feature { name: "order_id" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "placed_at" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "day" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "net" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "gross" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "weight" type: FLOAT presence { min_fraction: 0.5 } value_count { min: 1 max: 1 } }
feature { name: "volume" type: FLOAT presence { min_fraction: 0.5 } value_count { min: 1 max: 1 } }
feature { name: "country" type: BYTES presence { min_fraction: 1.0 } shape {}
  string_domain { value: "DE" value: "FR" value: "IT" } }
feature { name: "items" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "email" type: BYTES presence { min_fraction: 1.0 } shape {} annotation { tag: "personal" } }
feature { name: "age" type: INT presence { min_fraction: 1.0 } shape {} annotation { tag: "personal" } }
feature { name: "noise" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "returned" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
"""


def schema() -> schema_pb2.Schema:
    return text_format.Parse(SCHEMA, schema_pb2.Schema())


def orders(many: int, seed: int) -> pa.Table:
    """A shop's orders; `seed` counts the days."""
    random = np.random.default_rng(seed)
    net = np.round(random.gamma(2, 30, many), 2)
    known = random.random(many) < 0.8
    weight = random.gamma(2, 1, many)
    return pa.table(
        {
            "order_id": [f"{seed}-{i:06d}" for i in range(many)],
            "placed_at": np.sort(random.integers(1.7e9 + seed * 86400, 1.7e9 + (seed + 1) * 86400, many)),
            "day": [f"2026-01-{seed:02d}"] * many,
            "net": net,
            "gross": np.round(net * random.choice([1.07, 1.19], many), 2),
            "weight": pa.array(weight, mask=~known),
            "volume": pa.array(weight * 2 + random.random(many), mask=~known),
            "country": random.choice(["DE", "FR", "IT"], many, p=[0.6, 0.3, 0.1]),
            "items": random.integers(1, 6, many),
            "email": [f"person{i}@example.com" for i in range(many)],
            "age": random.integers(18, 95, many),
            "noise": random.normal(60, 10, many),
            "returned": (random.random(many) < 0.2).astype(np.int64),
        }
    )


def drafted(table: pa.Table, **options: Any) -> dict[str, dict[str, Any]]:
    return {one["meta"]["rule"]: one for one in draft(table, schema(), "returned", "binary", **options)}


@pytest.fixture(scope="module")
def rules() -> dict[str, dict[str, Any]]:
    return drafted(orders(2000, 1))


def test_a_draft_says_what_holds_and_why(rules: dict[str, dict[str, Any]]) -> None:
    assert rules["unique(order_id)"]["severity"] == "critical"
    assert rules["range(net)"]["kwargs"]["min_value"] == 0
    assert rules["median(net)"]["kwargs"]["column"] == "net"
    assert rules["values(country)"]["kwargs"]["value_set"] == ["DE", "FR", "IT"]
    assert rules["frequent(country)"]["kwargs"]["value_set"] == ["DE", "FR", "IT"]
    assert rules["classes(returned)"]["kwargs"]["value_set"] == [0, 1]
    assert rules["form(email)"]["kwargs"]["regex"].startswith("^[^@")
    assert rules["order(placed_at)"]["type"] == "expect_column_values_to_be_increasing"
    assert "max_value" not in rules["range(placed_at)"]["kwargs"]  # the next span is later
    assert rules["rows.least"]["kwargs"] == {"min_value": 200}
    assert 0.5 <= rules["present(weight)"]["kwargs"]["mostly"] <= 0.8
    assert all(one["notes"] and one["severity"] in ("critical", "warning") for one in rules.values())
    assert len(rules) < 60


def test_rules_between_columns_hold_for_a_reason(rules: dict[str, dict[str, Any]]) -> None:
    found = {name for name in rules if name.startswith(("order(", "together(", "equal(")) and "," in name}
    assert found == {
        "order(net, gross)",
        "order(weight, volume)",
        "together(weight, volume)",
        "together(volume, weight)",
    }
    doubled = orders(300, 1).append_column("net_too", orders(300, 1)["net"])
    copied = text_format.Parse(
        SCHEMA + 'feature { name: "net_too" type: FLOAT presence { min_fraction: 1.0 } shape {} }', schema_pb2.Schema()
    )
    assert any(one["meta"]["rule"] == "equal(net, net_too)" for one in draft(doubled, copied, "returned", "binary"))


def test_no_personal_value_stands_in_a_draft(rules: dict[str, dict[str, Any]]) -> None:
    said = {name for name in rules if "email" in name or "age" in name}
    assert said == {"present(email)", "length(email)", "form(email)", "present(age)"}


def test_the_same_rows_give_the_same_draft() -> None:
    table = orders(500, 1)
    first, second = (json.dumps(draft(table, schema(), "returned", "binary")) for _ in range(2))
    assert first == second


def test_row_counts_of_earlier_spans_count() -> None:
    usual = drafted(orders(1000, 1), earlier=[900, 1400])["rows.usual"]
    assert usual["kwargs"] == {"min_value": 450, "max_value": 2800}
    assert "3 spans had 900 to 1,400 rows" in usual["notes"]


def judge(folder: pathlib.Path, suite: dict[str, Any], text: str, table: pa.Table) -> GateResult:
    for name in ("contract", "output"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "contract" / "schema.pbtxt").write_text(text)
    (folder / "contract" / "expectations.json").write_text(suite_text(suite))
    with SplitWriter(folder / "examples", "train", table.schema) as writer:
        for batch in table.to_batches():
            writer.write(batch)
    contract = str(folder / "contract")
    suite_file = f"{contract}/expectations.json"
    return check_examples(str(folder / "examples"), ["train"], contract, suite_file, "critical", folder / "output")[0]


def test_the_next_days_break_nothing_critical_and_damage_is_found(tmp_path: pathlib.Path) -> None:
    suite, _ = merge(None, draft(orders(2000, 1), schema(), "returned", "binary"), "shop")
    for day in (2, 3):
        result = judge(tmp_path, suite, SCHEMA, orders(2000 + 100 * day, day))
        assert not result.failures(), result.summary()
    sound = orders(2000, 4)
    cents = sound.set_column(3, "net", pa.array(sound["net"].to_numpy() * 100))
    assert {one.name for one in judge(tmp_path, suite, SCHEMA, cents).failures()} >= {
        "expect_column_median_to_be_between(net)",
        "expect_column_values_to_be_between(net)",
        "expect_column_pair_values_a_to_be_greater_than_b(gross, net)",
    }
    dollars = sound.set_column(4, "gross", pa.array(sound["gross"].to_numpy() * 100))
    failed = judge(tmp_path, suite, SCHEMA, dollars).failures(Severity.CRITICAL)
    assert [one.message.split(" must")[0] for one in failed] == ["gross median"]
    lower = sound.set_column(7, "country", pa.array([one.lower() for one in sound["country"].to_pylist()]))
    failed = judge(tmp_path, suite, SCHEMA, lower).failures(Severity.CRITICAL)
    assert {one.diagnostics["column"] for one in failed} == {"country"}
    flipped = sound.set_column(12, "returned", pa.array(1 - sound["returned"].to_numpy()))
    failed = judge(tmp_path, suite, SCHEMA, flipped).failures(Severity.CRITICAL)
    assert [one.name for one in failed] == ["expect_column_mean_to_be_between(returned)"]
    twice = pa.concat_tables([sound, sound.slice(0, 100)])
    failed = judge(tmp_path, suite, SCHEMA, twice).failures(Severity.CRITICAL)
    assert [one.name for one in failed] == ["expect_column_values_to_be_unique(order_id)"]


def taxi(span: int, folder: pathlib.Path) -> tuple[Any, pa.Table]:
    workload = load_workload(home.ROOT / "pipelines" / "workloads" / "taxi")
    found = read_schema(str(home.ROOT / "schemas" / "taxi"))
    columns = columns_of(found)
    batches = [
        batch
        for path in sorted(datasets.prepare("taxi", span, folder).iterdir())
        for batch in read_file(path, "csv", columns, workload.data.ignore)
    ]
    return found, pa.Table.from_batches(batches)


def test_a_draft_from_taxis_first_span_holds_on_the_second(tmp_path: pathlib.Path) -> None:
    found, first = taxi(1, tmp_path / "landing")
    suite, _ = merge(None, draft(first, found, "big_tipper", "binary"), "taxi")
    assert 30 <= len(suite["expectations"]) <= 60
    text = (home.ROOT / "schemas" / "taxi" / "schema.pbtxt").read_text()
    result = judge(tmp_path, suite, text, taxi(2, tmp_path / "landing")[1])
    assert not result.failures(Severity.CRITICAL), result.summary()
    assert len(result.failures()) <= 2, [one.message for one in result.failures()]


def test_nothing_is_drafted_from_no_rows() -> None:
    with pytest.raises(InputError, match="no rows"):
        draft(orders(10, 1).slice(0, 0), schema(), "returned", "binary")


@pytest.mark.parametrize("many", [1, 5, 30])
def test_few_rows_are_enough_for_a_draft(many: int) -> None:
    assert "present(net)" in drafted(orders(many, 1))


def test_an_empty_column_is_left_alone() -> None:
    table = orders(100, 1)
    empty = table.set_column(5, "weight", pa.nulls(100, pa.float64()))
    assert not [name for name in drafted(empty) if "weight" in name]


# ---- a draft into a suite that is there


def test_a_redraft_of_the_same_data_changes_nothing() -> None:
    proposal = draft(orders(500, 1), schema(), "returned", "binary")
    suite, changes = merge(None, proposal, "shop")
    assert {one.kind for one in changes} == {"added"}
    again, changes = merge(suite, proposal, "shop")
    assert again == suite and not changes


def test_edits_by_hand_survive_a_redraft() -> None:
    first = draft(orders(500, 1), schema(), "returned", "binary")
    suite, _ = merge(None, first, "shop")
    edited = copy.deepcopy(suite)
    by_rule = {one["meta"]["rule"]: one for one in edited["expectations"]}
    by_rule["range(net)"]["kwargs"]["max_value"] = 1234
    by_rule["values(country)"]["severity"] = "critical"
    by_rule["length(email)"]["meta"]["max_failed_fraction"] = 0.5
    edited["expectations"].remove(by_rule["median(net)"])
    mine = {"type": "expect_column_max_to_be_between", "kwargs": {"column": "items", "max_value": 9}, "id": "mine"}
    edited["expectations"].append(mine)
    second, changes = merge(edited, draft(orders(9000, 2), schema(), "returned", "binary"), "shop")
    now = {(one.get("meta") or {}).get("rule"): one for one in second["expectations"]}
    assert now["range(net)"]["kwargs"]["max_value"] == 1234
    assert now["values(country)"]["severity"] == "critical"
    assert now["length(email)"]["meta"]["max_failed_fraction"] == 0.5
    assert "median(net)" not in now and mine in second["expectations"]
    kept = {one.what: one.why for one in changes if one.kind == "kept"}
    assert kept["range(net)"] == "a person has changed it" and kept["median(net)"] == "a person has taken it out"
    assert now["rows.least"]["kwargs"] == {"min_value": 900}
    third, changes = merge(second, draft(orders(9000, 2), schema(), "returned", "binary"), "shop")
    assert third == second and not differences(changes)


def test_what_no_longer_holds_is_removed_and_ids_stay() -> None:
    suite, _ = merge(None, draft(orders(500, 1), schema(), "returned", "binary"), "shop")
    for one in suite["expectations"]:
        one["id"] = f"id of {one['meta']['rule']}"
    crossed = orders(500, 2)
    crossed = crossed.set_column(4, "gross", pa.array(crossed["net"].to_numpy()[::-1]))
    second, changes = merge(suite, draft(crossed, schema(), "returned", "binary"), "shop")
    assert "order(net, gross)" in {one.what for one in changes if one.kind == "removed"}
    changed = next(one for one in second["expectations"] if one["meta"]["rule"] == "median(gross)")
    assert changed["id"] == "id of median(gross)"


def test_a_rule_for_what_the_suite_speaks_of_already_is_not_added() -> None:
    mine = {"type": "expect_column_median_to_be_between", "kwargs": {"column": "net", "min_value": 1}}
    suite, changes = merge(
        {"name": "shop", "expectations": [mine]}, draft(orders(500, 1), schema(), "returned", "binary"), "shop"
    )
    assert "median(net)" not in {(one.get("meta") or {}).get("rule") for one in suite["expectations"]}
    assert next(one.why for one in changes if one.what == "median(net)") == "the suite has one of its own for this"


def test_ids_of_nineteen_digits_keep_the_last_one() -> None:
    """As floats, neighbours such as these would be one number, and two columns of them equal."""
    first = 1540000000000000000 + 2 * np.arange(200)
    table = pa.table({"first": first, "second": pa.array(first + 1, mask=np.arange(200) == 3)})
    contract = 'feature { name: "first" type: INT shape {} } feature { name: "second" type: INT }'
    facts = look(table, text_format.Parse(contract, schema_pb2.Schema()))
    assert (facts[0].low, facts[0].high, facts[0].distinct) == (first[0], first[-1], 200)
    assert relate(table, facts).equal == ()


def test_columns_whose_names_differ_in_case_are_not_taken_for_each_other(tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(1)
    a, q = random.normal(size=(2, 300))
    table = pa.table({"a": a, "q": q, "A": a + abs(random.normal(size=300)), "Q": q, "b": a, "y": np.arange(300) % 2})
    numbers = "".join(
        f'feature {{ name: "{name}" type: FLOAT presence {{ min_fraction: 1.0 }} shape {{}} }}\n' for name in "aqAQb"
    )
    contract = (
        numbers + 'feature { name: "y" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }'
    )
    suite, _ = merge(None, draft(table, text_format.Parse(contract, schema_pb2.Schema()), "y", "binary"), "letters")
    rules = {one["meta"]["rule"] for one in suite["expectations"]}
    assert "equal(a, b)" in rules
    assert not {"equal(q, Q)", "order(a, A)"} & rules  # GX could not tell which is which
    assert not judge(tmp_path, suite, contract, table).failures()


def test_class_folders_are_drafted_from_by_their_names(tmp_path: pathlib.Path) -> None:
    for number in range(30):
        path = tmp_path / "span-1" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"opened by nobody")
    schema = text_format.Parse(
        'feature { name: "label" type: BYTES presence { min_fraction: 1.0 } shape {} string_domain { value: "cat" value: "dog" } }'
        'feature { name: "image" type: BYTES presence { min_fraction: 1.0 } shape {} image_domain {} }',
        schema_pb2.Schema(),
    )
    (piece,) = read_folders(Source(f"{tmp_path}/span-1/*/*"), columns_of(schema))
    assert piece.batch.schema.names == ["label", "image"]
    rules = {one["meta"]["rule"] for one in draft(pa.Table.from_batches([piece.batch]), schema, "label", "binary", [])}
    assert {"rows.least", "present(image)", "classes(label)"} <= rules


def test_the_column_of_splits_is_read_by_a_run_alone(tmp_path: pathlib.Path) -> None:
    (tmp_path / "day.csv").write_text("net,part\n1.5,train\n2.5,test\n")
    schema = text_format.Parse('feature { name: "net" type: FLOAT shape {} }', schema_pb2.Schema())
    source, columns = Source(str(tmp_path / "day.csv")), columns_of(schema)
    data = Data(uri=str(tmp_path), split=Split(column="part"))
    (piece,) = read(source, columns, data)
    assert piece.batch.to_pydict() == {"net": [1.5, 2.5]}
    with pytest.raises(InputError, match="'part' is not in the schema"):
        list(read(source, columns, Data(uri=str(tmp_path))))

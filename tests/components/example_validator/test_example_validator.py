"""What the schema gate finds, and how it says so."""

from __future__ import annotations

import pathlib

import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2

from components.columnar import SplitWriter, tfx_columns
from components.example_validator import validation
from components.example_validator.schema_checks import checks_of
from components.example_validator.validation import validate

SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 } shape {} float_domain { min: 0 } }
feature { name: "kind" type: BYTES presence { min_fraction: 0.9 } value_count { max: 1 }
          string_domain { value: "card" value: "cash" } }
feature { name: "tip" type: INT presence { min_fraction: 1.0 } shape {} int_domain { min: 0 max: 1 } }
"""


def checks(folder: pathlib.Path, contract: str = SCHEMA, **changes) -> dict[str, object]:
    columns = {"fare": [1.0, 2.0, 3.0, 4.0], "kind": ["card", "cash", "card", "cash"], "tip": [0, 1, 0, 1], **changes}
    batch = pa.RecordBatch.from_pydict(columns)
    with SplitWriter(folder, "train", batch.schema) as writer:
        writer.write(batch)
    schema = text_format.Parse(contract, schema_pb2.Schema())
    options = tfdv.StatsOptions(schema=schema, infer_type_from_schema=True)
    statistics = folder / "FeatureStats.pb"
    statistics.write_bytes(generate_statistics_in_memory(tfx_columns(batch), options).SerializeToString())
    loaded = tfdv.load_stats_binary(str(statistics))
    anomalies = validate(loaded, schema)
    return {check.name: check for check in checks_of(anomalies, loaded, schema, "train", str(folder))}


def test_good_data_pass_a_check_for_each_feature(tmp_path) -> None:
    found = checks(tmp_path)
    assert set(found) == {"train/fare", "train/kind", "train/tip"}
    assert all(check.passes for check in found.values())


@pytest.mark.parametrize(
    ("changes", "name", "parts"),
    [
        ({"tip": [0, 1, 7, 1]}, "train/tip", ["train row 2 has 7"]),
        ({"fare": [1.0, -5.0, 3.0, 4.0]}, "train/fare", ["train row 1 has -5.0"]),
        ({"kind": ["card", "cash", "card", "gold"]}, "train/kind", ["train row 3 has 'gold'"]),
        ({"kind": ["card", None, None, "cash"]}, "train/kind", ["fraction", "train row 1 has None"]),
    ],
)
def test_an_anomaly_names_the_rows(tmp_path, changes, name: str, parts: list[str]) -> None:
    found = checks(tmp_path, **changes)
    failed = [check for check in found.values() if not check.passes]
    assert [check.name for check in failed] == [name]
    for part in parts:
        assert part in failed[0].message
    assert ". ." not in failed[0].message


def test_a_domain_that_features_share_names_its_rows(tmp_path) -> None:
    own = 'string_domain { value: "card" value: "cash" }'
    shared = SCHEMA.replace(own, 'domain: "kinds"') + 'string_domain { name: "kinds" value: "card" value: "cash" }'
    found = checks(tmp_path, shared, kind=["gold", "cash", "card", "card"])["train/kind"]
    assert found.diagnostics["sample"] == [{"split": "train", "row": 0, "value": "gold"}]
    assert found.diagnostics["column"] == "kind"


def test_personal_values_are_not_shown(tmp_path) -> None:
    personal = SCHEMA.replace('name: "kind"', 'name: "kind" annotation { tag: "personal" }')
    found = checks(tmp_path, personal, kind=["card", "cash", "Ann Smith", "card"])["train/kind"]
    assert found.diagnostics["sample"] == [{"split": "train", "row": 2, "value": "(personal)"}]
    assert not found.passes and "Ann" not in str(found)


def test_an_infinite_value_is_a_row_that_proves_it(tmp_path) -> None:
    finite = SCHEMA.replace("float_domain { min: 0 }", "float_domain { disallow_inf: true }")
    found = checks(tmp_path, finite, fare=[1.0, float("inf"), 3.0, 4.0])["train/fare"]
    assert [one["row"] for one in found.diagnostics["sample"]] == [1] and "train row 1 has inf" in found.message


MANY = """
feature { name: "kind" domain: "kinds" presence { min_fraction: 1.0 } type: BYTES }
feature { name: "other" domain: "kinds" type: BYTES }
feature { name: "fare" type: FLOAT shape {} presence { min_fraction: 1.0 } float_domain { max: 2 } }
feature { name: "dropped" type: INT presence { min_count: 1 } }
feature { name: "tip" type: BYTES }
feature { name: "fine" type: INT }
string_domain { name: "kinds" value: "card" }
dataset_constraints { min_examples_count: 100 }
"""


@pytest.mark.parametrize("together", [1, 2, 100])
@pytest.mark.parametrize("rows", [0, 4])
def test_columns_looked_at_apart_have_the_anomalies_of_all_together(
    together: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TFDV's time grows with the square of the columns that it is given."""
    columns = {
        "fine": pa.array([1, 2, 3, 4]),
        "new": pa.array([1, 2, 3, 4]),
        "tip": pa.array([0, 1, 0, 1]),
        "fare": pa.array([1.0, 5.0, 2.0, None]),
        "other": pa.array(["card", "gold", None, "card"]),
        "kind": pa.array(["card", "tin", "tin", None]),
    }
    schema = text_format.Parse(MANY, schema_pb2.Schema())
    batch = tfx_columns(pa.RecordBatch.from_pydict(columns).slice(0, rows))
    statistics = generate_statistics_in_memory(batch, tfdv.StatsOptions())
    monkeypatch.setattr(validation, "_TOGETHER", together)
    found, whole = validate(statistics, schema), tfdv.validate_statistics(statistics, schema)
    assert found == whole
    assert whole.dataset_anomaly_info.reason if rows else True
    assert {*whole.anomaly_info} >= ({"kind", "other", "fare", "dropped", "tip", "new"} if rows else set())

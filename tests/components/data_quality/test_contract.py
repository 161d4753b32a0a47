"""Where suite and schema contradict each other, and what a waiver may say."""

from __future__ import annotations

import datetime
import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from components.data_quality import waivers
from components.data_quality.contract import check_contract
from components.gates import CheckResult, GateResult, Severity
from spec.errors import InputError

SCHEMA = """
feature { name: "fare" type: FLOAT presence { min_fraction: 1.0 } shape {} float_domain { min: 0 max: 500 } }
feature { name: "seats" type: INT presence { min_fraction: 0.9 } int_domain { min: 1 max: 4 } }
feature { name: "payment" type: BYTES presence { min_fraction: 1.0 } shape {} domain: "payment" }
feature { name: "company" type: BYTES presence {} }
string_domain { name: "payment" value: "Cash" value: "Card" }
"""


def expect(kind: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": kwargs}


@pytest.fixture
def contract(tmp_path: pathlib.Path) -> Any:
    (tmp_path / "schema.pbtxt").write_text(SCHEMA)

    def _contract(*expectations: Any) -> pathlib.Path:
        path = tmp_path / "expectations.json"
        path.write_text(json.dumps({"name": "taxi", "expectations": list(expectations)}))
        check_contract(path, tmp_path)
        return path

    return _contract


@pytest.mark.parametrize(
    ("expectation", "where", "why"),
    [
        (expect("column_values_to_not_be_null", column="fair"), "kwargs.column", "Did you mean 'fare'"),
        (expect("column_values_to_be_between", column="payment", min_value=0), "kwargs.min_value", "is BYTES"),
        (expect("column_mean_to_be_between", column="company", min_value=0), "kwargs.column", "of numbers"),
        (expect("column_values_to_match_regex", column="fare", regex="x"), "kwargs.column", "of text"),
        (expect("column_value_lengths_to_be_between", column="seats", min_value=1), "kwargs.column", "of text"),
        (expect("column_values_to_be_in_set", column="payment", value_set=["Cash", "Gold"]), "value_set[1]", "'Gold'"),
        (expect("column_values_to_be_in_set", column="seats", value_set=[1, 7]), "value_set[1]", "domain of 'seats'"),
        (expect("column_values_to_be_in_set", column="seats", value_set=["1"]), "value_set[0]", "without quotes"),
        (expect("column_values_to_be_in_set", column="company", value_set=[1]), "value_set[0]", "with quotes"),
        (expect("column_values_to_not_be_in_set", column="payment", value_set=["Cash", "Card"]), "value_set", "every"),
        (expect("column_values_to_be_between", column="fare", min_value=600), "kwargs.min_value", "at most 500"),
        (expect("column_median_to_be_between", column="seats", max_value=0), "kwargs.max_value", "at least 1"),
        (expect("column_values_to_not_be_null", column="seats"), "kwargs.column", "min_fraction 0.9"),
        (expect("column_values_to_not_be_null", column="fare", mostly=0.9), "kwargs.mostly", "requires it"),
        (expect("column_values_to_be_null", column="fare"), "kwargs.column", "asks for a value in 100%"),
        (expect("column_values_to_be_of_type", column="fare", type_="int64"), "kwargs.type_", "is FLOAT"),
        (expect("table_columns_to_match_set", column_set=["fare", "seats"]), "kwargs.column_set", "'payment'"),
        (expect("table_column_count_to_equal", value=7), "kwargs.value", "4 columns"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_a_contradiction_is_named(contract: Any, expectation: Any, where: str, why: str) -> None:
    with pytest.raises(InputError) as raised:
        contract(expect("column_to_exist", column="fare"), expectation)
    message = str(raised.value)
    assert "expectations.json, $.expectations[1]." in message and "\n" not in message
    assert where in message and why in message


def test_what_is_stricter_or_silent_is_no_contradiction(contract: Any) -> None:
    contract(
        expect("column_values_to_be_in_set", column="payment", value_set=["Cash"], mostly=0.5),
        expect("column_values_to_be_between", column="fare", min_value=1, max_value=900),
        {**expect("column_values_to_not_be_null", column="seats"), "severity": "warning"},
        {**expect("column_values_to_not_be_null", column="seats"), "meta": {"max_failed_fraction": 0.1}},
        expect("column_values_to_not_be_null", column="company", mostly=0.3),
        expect("column_values_to_be_of_type", column="seats", type_="Int64"),
        expect("column_max_to_be_between", column="company", min_value="2020-01-01"),
        expect("table_columns_to_match_set", column_set=["fare"], exact_match=False),
    )


def test_the_shipped_contracts_agree() -> None:
    root = pathlib.Path(__file__).resolve().parents[3] / "schemas"
    for suite in sorted(root.glob("*/expectations.json")):
        check_contract(suite, suite.parent)


def test_a_contract_is_checked_without_great_expectations(contract: Any) -> None:
    path = contract(expect("column_to_exist", column="fare"))
    code = (
        "import sys\nfrom components.data_quality.contract import check_contract\n"
        f"check_contract({str(path)!r}, {str(path.parent)!r})\n"
        "sys.exit(any(name in sys.modules for name in ('great_expectations', 'tensorflow', 'tfx')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


WAIVER = """
waivers:
  - expectation: expect_column_values_to_not_be_null
    column: company
    spans: 2-3
    reason: The new taximeters
      send none.
    owner: fleet-data
    expires: 2026-12-31
"""
BEFORE, AFTER = datetime.date(2026, 12, 31), datetime.date(2027, 1, 1)


def failed(column: str = "company", severity: Severity = Severity.CRITICAL) -> CheckResult:
    kind = "expect_column_values_to_not_be_null"
    found = {"expectation": kind, "column": column, "columns": [column], "id": "7"}
    return CheckResult(f"{kind}({column})", False, severity, "3 are null.", found)


def read(tmp_path: pathlib.Path, text: str = WAIVER) -> tuple[waivers.Waiver, ...]:
    (tmp_path / "waivers.yaml").write_text(text)
    return waivers.read_waivers(tmp_path / "waivers.yaml")


def test_a_waived_failure_is_shown_and_stops_nothing(tmp_path: pathlib.Path) -> None:
    (check,) = waivers.apply([failed()], read(tmp_path), 2, BEFORE)
    assert not check.passes and GateResult("data quality", (check,)).passes
    assert check.diagnostics["waived_severity"] == "critical"
    assert check.diagnostics["waiver"] == "waived by fleet-data until 2026-12-31: The new taximeters send none."
    assert "waived by fleet-data" in check.message


def test_an_expired_waiver_fails_again(tmp_path: pathlib.Path) -> None:
    (check,) = waivers.apply([failed()], read(tmp_path), 2, AFTER)
    assert check.severity is Severity.CRITICAL
    assert check.message == "3 are null. Its waiver by fleet-data expired on 2026-12-31"


@pytest.mark.parametrize("span", [1, 4, None])
def test_a_waiver_is_for_its_spans(tmp_path: pathlib.Path, span: int | None) -> None:
    (check,) = waivers.apply([failed()], read(tmp_path), span, BEFORE)
    assert check == failed()


def test_by_id_and_for_all_spans(tmp_path: pathlib.Path) -> None:
    held = read(tmp_path, 'waivers: [{id: "7", reason: r, owner: o, expires: 2026-12-31}]')
    (check,) = waivers.apply([failed()], held, None, BEFORE)
    assert check.severity is Severity.INFO


def test_a_waiver_that_speaks_of_nothing_warns(tmp_path: pathlib.Path) -> None:
    _, idle = waivers.apply([failed("fare")], read(tmp_path), 2, BEFORE)
    assert idle.severity is Severity.WARNING and not idle.passes
    assert "waivers[0]: no expectation of the suite is expect_column_values_to_not_be_null(company)" in idle.message


def test_the_cache_key_changes_on_the_day_after(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "waivers.yaml"
    assert waivers.digest(path) == ""
    read(tmp_path)
    assert waivers.digest(path, BEFORE) and waivers.digest(path, AFTER) == ""


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        (("expires: 2026-12-31", "expires: soon"), "waivers[0].expires", "'soon'"),
        (("    owner: fleet-data\n", ""), "waivers[0].owner", "required"),
        (("spans: 2-3", "spans: 3-2"), "waivers[0].spans", "above the last"),
        (("spans: 2-3", "spans: many"), "waivers[0].spans", "'many'"),
        (("spans: 2-3", "span: 2"), "waivers[0].span", "no such field"),
        (("    column: company\n", "    id: x\n"), "waivers[0].expectation", "one of the two"),
        ((WAIVER, "waivers: none"), "waivers.yaml", "list below it"),
        (("waivers:", "waivers: ["), "waivers.yaml", "not valid YAML"),
    ],
)
def test_a_malformed_waiver_is_refused(tmp_path: pathlib.Path, change: tuple[str, str], field: str, why: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, WAIVER.replace(*change))
    assert field in str(raised.value) and why in str(raised.value) and "\n" not in str(raised.value)


def test_the_driver_puts_the_waivers_of_the_day_into_the_cache_key(tmp_path: pathlib.Path) -> None:
    from types import SimpleNamespace

    from components.data_quality.driver import Driver

    read(tmp_path, WAIVER.replace("2026-12-31", "2999-12-31"))
    info = SimpleNamespace(exec_properties={"suite_file": str(tmp_path / "expectations.json")})
    held = Driver(None).run(info).exec_properties["waivers"].string_value
    assert held == waivers.digest(tmp_path / "waivers.yaml") != ""
    read(tmp_path, WAIVER.replace("2026-12-31", "2020-12-31"))
    assert Driver(None).run(info).exec_properties["waivers"].string_value == ""


def test_parameters_of_a_suite_have_values_or_are_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "schema.pbtxt").write_text('feature { name: "fare" type: FLOAT }')
    path = tmp_path / "expectations.json"
    kwargs = {"column": "fare", "min_value": {"$PARAMETER": "least"}}
    suite = {"name": "s", "expectations": [{"type": "expect_column_mean_to_be_between", "kwargs": kwargs}]}
    path.write_text(json.dumps(suite))
    with pytest.raises(InputError, match=r"expectations\[0\].kwargs.min_value: the parameter 'least' has no value"):
        check_contract(path, tmp_path)
    path.write_text(json.dumps({**suite, "suite_parameters": {"least": 1}}))
    check_contract(path, tmp_path)

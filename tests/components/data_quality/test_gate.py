"""The gate beside its suite: tolerance, keys, personal columns, spans of a window, classes of a user's own, extremes."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pyarrow as pa
import pytest
from tfx.types import standard_artifacts

from components.artifacts import ROWS_BY_SPAN
from components.columnar import SplitWriter
from components.data_quality.executor import _spans
from components.data_quality.worker import check_examples
from components.gates import CheckResult, GateResult, Severity, Verdict
from spec.errors import InputError

SECRET, PHONE = "Anna Personal", 491701234567
SCHEMA = """
feature { name: "order" type: BYTES }
feature { name: "fare" type: FLOAT }
feature { name: "passenger" type: BYTES annotation { tag: "personal" } }
feature { name: "phone" type: INT annotation { tag: "personal" } }
"""
CUSTOM = '''
from great_expectations.expectations.expectation import ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import ColumnMapMetricProvider, column_condition_partial
from great_expectations.execution_engine import PandasExecutionEngine


class WholeCents(ColumnMapMetricProvider):
    condition_metric_name = "column_values.whole_cents"

    @column_condition_partial(engine=PandasExecutionEngine)
    def _pandas(cls, column, **kwargs):
        return (column * 100).round(6) % 1 == 0


class ExpectColumnValuesToBeWholeCents(ColumnMapExpectation):
    """Amounts have no more than two digits behind the point."""

    map_metric = "column_values.whole_cents"
'''


def rows(many: int, offset: int = 0) -> pa.Table:
    """One row in ten has no fare; all have a passenger and a phone."""
    numbers = range(offset, offset + many)
    return pa.table(
        {
            "order": pa.array([f"order-{i}" for i in numbers], pa.string()),
            "fare": pa.array([None if i % 10 == 0 else float(i) for i in numbers], pa.float64()),
            "passenger": pa.array([f"{SECRET} {i}" for i in numbers], pa.string()),
            "phone": pa.array([PHONE + i for i in numbers], pa.int64()),
        }
    )


def expect(kind: str, meta: dict[str, Any] | None = None, severity: str = "critical", **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "meta": meta or {}}


@pytest.fixture
def run(tmp_path: pathlib.Path) -> Any:
    def _run(*expectations: Any, table: pa.Table | None = None, **options: Any) -> GateResult:
        contract, examples, output = (tmp_path / name for name in ("contract", "examples", "output"))
        for folder in (contract, output):
            folder.mkdir(exist_ok=True)
        (contract / "schema.pbtxt").write_text(options.pop("schema", SCHEMA))
        (contract / "expectations.json").write_text(json.dumps({"name": "g", "expectations": list(expectations)}))
        table = rows(100) if table is None else table
        with SplitWriter(examples, "train", table.schema) as writer:
            for batch in table.to_batches():
                writer.write(batch)
        suite = str(contract / "expectations.json")
        return check_examples(str(examples), ["train"], str(contract), suite, "critical", output, **options)[0]

    return _run


def named(result: GateResult, name: str) -> CheckResult:
    return next(check for check in result.checks if check.name == name)


NOT_NULL = "expect_column_values_to_not_be_null"


@pytest.mark.parametrize(("share", "passes"), [(0.1, True), (0.09, False)])
def test_a_share_of_the_rows_may_fail(run: Any, share: float, passes: bool) -> None:
    result = run(expect(NOT_NULL, {"max_failed_fraction": share}, column="fare"))
    (check,) = result.checks
    assert check.passes is result.passes is passes
    assert ("up to 10 % of the rows may" in check.message) is passes
    assert check.diagnostics["unexpected_count"] == 10


@pytest.mark.parametrize(
    ("expectation", "why"),
    [
        (expect(NOT_NULL, {"max_failed_fraction": 2}, column="fare"), "between 0 and 1"),
        (
            expect("expect_column_mean_to_be_between", {"max_failed_fraction": 0.1}, column="fare", min_value=0),
            "row by row",
        ),
    ],
)
def test_a_tolerance_that_cannot_be_is_refused(run: Any, expectation: Any, why: str) -> None:
    with pytest.raises(InputError, match=why):
        run(expectation)


def test_what_holds_of_no_value_is_not_judged(run: Any) -> None:
    empty = rows(20).set_column(1, "fare", pa.nulls(20, pa.float64()))
    positive = expect("expect_column_values_to_be_between", column="fare", min_value=0)
    result = run(positive, table=empty)
    (check,) = result.checks
    assert check.verdict is Verdict.NOT_JUDGED and not result.passes and "there is no value to look at" in check.message
    present = expect("expect_column_distinct_values_to_contain_set", column="order", value_set=["order-1"])
    assert run(present, table=rows(20)).checks[0].passes
    condition = {"row_condition": "order == 'none'", "condition_parser": "pandas"}
    result = run(expect("expect_column_values_to_be_between", column="phone", min_value=0, **condition))
    (check,) = result.checks
    assert check.verdict is Verdict.NOT_JUDGED and result.passes and "no row meets its condition" in check.message
    assert run(positive).checks[0].passes


def test_a_suite_without_an_expectation_is_no_pass(run: Any) -> None:
    (check,) = run().checks
    assert check.verdict is Verdict.NOT_JUDGED and check.severity is Severity.WARNING and "draft" in check.message


def test_failing_rows_are_shown_with_their_keys(run: Any) -> None:
    result = run(expect(NOT_NULL, column="fare"), keys=["order", "passenger", "absent"])
    sample = result.checks[0].diagnostics["sample"]
    assert sample[1] == {
        "split": "train",
        "row": 10,
        "value": None,
        "keys": {"order": "order-10", "passenger": "(personal)"},
    }
    assert "null (train row 0, order 'order-0', passenger (personal))" in result.checks[0].message


def test_no_file_of_the_gate_shows_a_personal_value(
    run: Any, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = {"row_condition": f"passenger == '{SECRET}", "condition_parser": "pandas"}
    result = run(
        expect("expect_column_values_to_match_regex", column="passenger", regex="^x"),
        expect("expect_column_values_to_be_in_set", column="passenger", value_set=["x"]),
        expect("expect_column_value_lengths_to_be_between", column="passenger", max_value=1),
        expect("expect_column_values_to_be_between", column="phone", max_value=1),
        expect("expect_column_max_to_be_between", column="phone", max_value=1),
        expect("expect_column_distinct_values_to_be_in_set", column="passenger", value_set=["x"]),
        expect("expect_column_most_common_value_to_be_in_set", column="passenger", value_set=["x"]),
        expect("expect_column_pair_values_to_be_equal", column_A="order", column_B="passenger"),
        expect("expect_compound_columns_to_be_unique", column_list=["order", "phone"]),
        expect(NOT_NULL, column="fare"),
        keys=["passenger", "phone"],
    )
    assert len(result.failures()) == 9 and broken
    assert named(result, "expect_column_values_to_match_regex(passenger)").diagnostics["unexpected_count"] == 100
    left = [path for path in (tmp_path / "output").rglob("*") if path.is_file()]
    assert len(left) == 4
    written = "".join(path.read_text() for path in left) + "".join(capfd.readouterr())
    assert SECRET not in written and str(PHONE)[:9] not in written.replace(",", "")
    assert "(personal)" in written


def test_each_span_of_a_window_is_judged_by_itself(run: Any) -> None:
    """A cut-off delivery does not hide behind the spans before it, and a refused one is not trained on a span later."""
    spans = [{"span": 1, "parts": {"train": [0, 90]}}, {"span": 2, "parts": {"train": [90, 10]}}]
    least = expect("expect_table_row_count_to_be_between", min_value=50)
    result = run(least, expect("expect_column_max_to_be_between", column="fare", max_value=80), spans=spans)
    assert not named(result, "expect_table_row_count_to_be_between").passes
    assert {one.name for one in result.failures()} == {
        "expect_table_row_count_to_be_between",
        "expect_column_max_to_be_between(fare)",
        "expect_column_max_to_be_between(fare), span 1",
    }
    nulls = run(expect(NOT_NULL, column="fare"), spans=spans)
    assert named(nulls, f"{NOT_NULL}(fare)").diagnostics["sample"] == [{"split": "train", "row": 90, "value": None}]


def test_spans_are_the_rows_that_ingestion_noted() -> None:
    examples = standard_artifacts.Examples()
    examples.span = 3
    assert _spans(examples, ["train"]) == [{"span": 3, "parts": None}]
    examples.set_string_custom_property("spans", json.dumps([{"span": 2}, {"span": 3}]))
    examples.set_string_custom_property(ROWS_BY_SPAN, json.dumps({"train": [7, 5], "eval": [2, 1]}))
    assert _spans(examples, ["train", "eval"]) == [
        {"span": 2, "parts": {"train": [0, 7], "eval": [0, 2]}},
        {"span": 3, "parts": {"train": [7, 5], "eval": [2, 1]}},
    ]


def test_a_waiver_beside_the_suite_is_honoured(run: Any, tmp_path: pathlib.Path) -> None:
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "waivers.yaml").write_text(
        f"waivers: [{{expectation: {NOT_NULL}, column: fare, reason: r, owner: ann, expires: 2999-01-01}}]"
    )
    result = run(expect(NOT_NULL, column="fare"))
    assert result.passes and result.checks[0].severity is Severity.INFO
    assert json.loads((tmp_path / "output" / "gate.json").read_text())["checks"][0]["diagnostics"]["waiver"]


@pytest.mark.parametrize("place", ["contract", "workload"])
def test_an_expectation_of_the_users_own(run: Any, tmp_path: pathlib.Path, place: str) -> None:
    (tmp_path / place / "checks").mkdir(parents=True)
    (tmp_path / place / "checks" / "money.py").write_text(CUSTOM)
    mine = expect("checks.money.ExpectColumnValuesToBeWholeCents", column="fare")
    table = rows(5).set_column(1, "fare", pa.array([1.0, 2.5, 3.25, 4.125, None], pa.float64()))
    result = run(mine, table=table, code=[str(tmp_path / "workload")])
    (check,) = result.checks
    assert check.name == "expect_column_values_to_be_whole_cents(fare)" and not check.passes
    assert check.diagnostics["sample"] == [{"split": "train", "row": 3, "value": 4.125}]


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("checks.absent.ExpectX", "there is no module 'checks.absent'"),
        ("json.JSONDecoder", "no subclass"),
        ("checks.broken.ExpectX", "broken.py, line 1: NameError"),
    ],
)
def test_a_class_that_cannot_be_used_is_refused(run: Any, tmp_path: pathlib.Path, kind: str, why: str) -> None:
    (tmp_path / "contract" / "checks").mkdir(parents=True)
    (tmp_path / "contract" / "checks" / "broken.py").write_text("nonsense\n")
    with pytest.raises(InputError, match=why):
        run(expect(kind, column="fare"))


def test_all_nulls_get_a_verdict(run: Any) -> None:
    table = pa.table([pa.nulls(50, field.type) for field in rows(1).schema], schema=rows(1).schema)
    result = run(
        expect(NOT_NULL, column="fare"),
        expect("expect_column_values_to_be_between", column="fare", min_value=0),
        expect("expect_column_median_to_be_between", column="fare", min_value=0),
        expect("expect_column_distinct_values_to_contain_set", column="order", value_set=["a"]),
        table=table,
    )
    assert not result.passes and "50 of 50 values" in named(result, f"{NOT_NULL}(fare)").message
    assert "1 of them are missing: 'a'" in result.summary()


@pytest.mark.parametrize("many", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_very_many_columns_get_a_verdict(run: Any, many: int) -> None:
    names = [f"c{i}" for i in range(many)]
    table = pa.table({name: pa.array([1, 2, None]) for name in names})
    schema = "".join(f'feature {{ name: "{name}" type: INT }}\n' for name in names)
    result = run(
        expect("expect_table_columns_to_match_set", column_set=names),
        *(expect(NOT_NULL, column=f"c{i}") for i in range(0, many, many // 20)),
        expect("expect_column_values_to_be_decreasing", column="c7"),  # for GX on pandas
        table=table,
        schema=schema,
    )
    assert len(result.checks) == 22 and len(result.failures()) == 21

"""DataQuality against real artifacts and real Great Expectations."""

from __future__ import annotations

import html.parser
import json
import pathlib
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from tfx.types import channel, standard_artifacts

from components.artifacts import ROWS_IN, ROWS_OUT, SECONDS, DataQualityReport
from components.columnar import SplitWriter, encode_splits
from components.data_quality import _data_docs, waivers
from components.data_quality._running import columns_of
from components.data_quality.component import DataQuality
from components.data_quality.contract import digest
from components.data_quality.executor import DataQualityExecutor
from components.data_quality.worker import check_examples
from components.gates import CheckResult, GateFailed, GateResult, Severity
from spec.errors import InputError

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)> & \"quoted\" 'so'"
ROWS = 200


def make_table(offset: int = 0) -> pa.Table:
    """Rows of a train or eval split: fare has 10 % nulls and one -5, seats 5 % nulls, payment one piece of markup."""
    numbers = range(offset, offset + ROWS)
    return pa.table(
        {
            "fare": pa.array([None if i % 10 == 0 else -5.0 if i == 17 else 1.0 + i for i in numbers], pa.float64()),
            "seats": pa.array([None if i % 20 == 0 else i % 4 + 1 for i in numbers], pa.int64()),
            "payment": pa.array([MARKUP if i == offset + 3 else ("Cash", "Card")[i % 2] for i in numbers]),
            "raw": pa.array([b"caf\xc3\xa9" for _ in numbers], pa.binary()),
            "pixels": pa.array([[0.0, float(i)] for i in numbers], pa.list_(pa.float32(), 2)),
            "tip": pa.array([i % 2 for i in numbers], pa.int64()),
        }
    )


def write_examples(folder: pathlib.Path, splits: dict[str, pa.Table]) -> str:
    for name, table in splits.items():
        with SplitWriter(folder, name, table.schema) as writer:
            for batch in table.to_batches():
                writer.write(batch)
    return str(folder)


@pytest.fixture(scope="module")
def examples_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_examples(tmp_path_factory.mktemp("examples"), {"train": make_table(), "eval": make_table(1000)})


@pytest.fixture(scope="module")
def schema_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("schema")
    kinds = {"fare": "FLOAT", "seats": "INT", "payment": "BYTES", "raw": "BYTES", "pixels": "FLOAT", "tip": "INT"}
    text = "".join(f'feature {{ name: "{name}" type: {kind} }}\n' for name, kind in kinds.items())
    (folder / "schema.pbtxt").write_text(text)
    return str(folder)


def expect(kind: str, severity: str = "critical", notes: str | None = None, **kwargs: Any) -> dict[str, Any]:
    one: dict[str, Any] = {"type": kind, "kwargs": kwargs, "severity": severity}
    return one | ({"notes": notes} if notes else {})


def write_suite(folder: pathlib.Path, *expectations: Any) -> str:
    path = folder / "expectations.json"
    path.write_text(json.dumps({"name": "taxi", "expectations": list(expectations)}))
    return str(path)


@pytest.fixture
def run(tmp_path: pathlib.Path, examples_uri: str, schema_uri: str) -> Any:
    def _run(*expectations: Any, fail_on: str = "critical") -> tuple[GateResult, pathlib.Path]:
        suite = write_suite(tmp_path, *expectations)
        output = tmp_path / "output"
        output.mkdir(exist_ok=True)
        result, _ = check_examples(examples_uri, ["train", "eval"], schema_uri, suite, fail_on, output)
        return result, output

    return _run


def by_name(result: GateResult) -> dict[str, CheckResult]:
    return {check.name: check for check in result.checks}


def test_checks_carry_figures_rows_and_severities(run: Any) -> None:
    result, output = run(
        expect("expect_column_values_to_not_be_null", column="fare", mostly=0.95, notes="The meter always has a fare."),
        expect("expect_column_values_to_be_between", "warning", column="fare", min_value=0),
        expect("expect_column_values_to_be_in_set", "info", column="payment", value_set=["Cash", "Card"], mostly=0.9),
        expect("expect_table_row_count_to_be_between", min_value=100, max_value=10_000),
        expect("expect_column_mean_to_be_between", "warning", column="tip", min_value=0.9, max_value=1),
        expect("expect_table_columns_to_match_ordered_list", "warning", column_list=["seats", "fare"]),
        expect("expect_column_distinct_values_to_be_in_set", "info", column="payment", value_set=["Cash"]),
    )
    checks = by_name(result)
    assert not result.passes
    nulls = checks["expect_column_values_to_not_be_null(fare)"]
    assert nulls.severity is Severity.CRITICAL and not nulls.passes
    assert "40 of 400 values do not (10.0 %)" in nulls.message and "at least 95 % of the time" in nulls.message
    assert "The meter always has a fare." in nulls.message
    assert nulls.diagnostics["sample"][0] == {"split": "train", "row": 0, "value": None}
    assert {one["split"] for one in nulls.diagnostics["sample"]} == {"train"}
    low = checks["expect_column_values_to_be_between(fare)"]
    assert low.severity is Severity.WARNING
    assert low.diagnostics["sample"] == [{"split": "train", "row": 17, "value": -5.0}]
    assert "1 of 360 values do not (0.3 %), e.g. -5 (train row 17)" in low.message
    kinds = checks["expect_column_values_to_be_in_set(payment)"]
    assert kinds.passes and [(s["split"], s["row"]) for s in kinds.diagnostics["sample"]] == [("train", 3), ("eval", 3)]
    assert checks["expect_table_row_count_to_be_between"].passes
    assert "it is 0.5" in checks["expect_column_mean_to_be_between(tip)"].message
    assert not checks["expect_table_columns_to_match_ordered_list(seats, fare)"].passes
    assert "Card" in checks["expect_column_distinct_values_to_be_in_set(payment)"].message
    assert GateResult.from_json((output / "gate.json").read_text()) == result
    native = json.loads((output / "validation.json").read_text())
    assert native["statistics"]["evaluated_expectations"] == 7


def test_integers_with_nulls_stay_integers(run: Any) -> None:
    result, _ = run(
        expect("expect_column_values_to_be_of_type", column="seats", type_="int64"),
        expect("expect_column_values_to_be_in_set", column="seats", value_set=[1, 2, 3]),
        expect("expect_column_values_to_be_in_set", column="raw", value_set=["café"]),
        expect("expect_column_values_to_not_be_null", column="pixels"),
    )
    checks = by_name(result)
    assert checks["expect_column_values_to_be_of_type(seats)"].passes
    assert checks["expect_column_values_to_be_in_set(seats)"].diagnostics["sample"][0]["value"] == 4
    assert isinstance(checks["expect_column_values_to_be_in_set(seats)"].diagnostics["sample"][0]["value"], int)
    assert checks["expect_column_values_to_be_in_set(raw)"].passes
    assert checks["expect_column_values_to_not_be_null(pixels)"].passes


def test_columns_with_nulls_can_be_compared(run: Any) -> None:
    kwargs = {"column_A": "fare", "column_B": "seats", "ignore_row_if": "either_value_is_missing"}
    result, _ = run(expect("expect_column_pair_values_a_to_be_greater_than_b", **kwargs))
    assert "error" not in result.checks[0].diagnostics
    assert result.checks[0].diagnostics["sample"][-1]["row"] == 17


EVERY = frozenset(make_table().column_names)


@pytest.mark.parametrize(
    ("expectation", "wanted"),
    [
        (expect("expect_table_row_count_to_be_between", min_value=1), set()),
        (expect("expect_column_mean_to_be_between", column="fare", min_value=0), {"fare"}),
        (expect("expect_compound_columns_to_be_unique", column_list=["fare", "tip"]), {"fare", "tip"}),
        (expect("expect_table_columns_to_match_set", column_set=["fare"]), None),
        (expect("expect_table_column_count_to_equal", value=6), None),
        (expect("expect_table_of_the_users_own"), EVERY),
        (
            expect(
                "expect_column_values_to_not_be_null",
                column="fare",
                row_condition="tip == 1",
                condition_parser="pandas",
            ),
            {"fare", "tip"},
        ),
    ],
)
def test_an_expectation_is_given_the_columns_that_it_names(expectation: Any, wanted: Any) -> None:
    assert columns_of(expectation["type"], expectation["kwargs"], EVERY) == wanted


def test_fail_on_decides_what_stops(run: Any) -> None:
    warned = expect("expect_column_values_to_be_between", "warning", column="fare", min_value=0)
    assert run(warned)[0].passes
    assert not run(warned, fail_on="warning")[0].passes
    broken = expect("expect_column_values_to_not_be_null", column="fare")
    result, _ = run(broken, fail_on="never")
    assert result.passes and result.failures(Severity.WARNING)
    assert result.checks[0].diagnostics["suite_severity"] == "critical"


def test_same_expectation_twice_has_two_names(run: Any) -> None:
    one = expect("expect_column_values_to_be_between", column="tip", max_value=1)
    result, _ = run(one, expect("expect_column_values_to_be_between", column="tip", min_value=0))
    assert len({check.name for check in result.checks}) == 2


def test_an_expectation_that_cannot_be_evaluated_fails(run: Any) -> None:
    broken = {"row_condition": "tip ==", "condition_parser": "pandas"}
    result, _ = run(expect("expect_column_mean_to_be_between", column="fare", min_value=0, **broken))
    assert not result.passes
    assert "could not be checked" in result.checks[0].message


def parse(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """The elements that a browser would see."""
    seen: list[tuple[str, dict[str, str | None]]] = []
    parser = html.parser.HTMLParser()
    parser.handle_starttag = lambda tag, attrs: seen.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(page)
    return seen


def test_data_docs_are_offline_and_keep_markup_as_text(run: Any) -> None:
    notes = f"note {MARKUP}"
    _, output = run(
        expect("expect_column_values_to_be_in_set", column="payment", value_set=["Cash", MARKUP + "x"], notes=notes),
        expect("expect_column_distinct_values_to_be_in_set", column="payment", value_set=["Cash"]),
        expect("expect_column_values_to_match_regex", column="payment", regex="^<b>&amp;$"),
        expect("expect_column_most_common_value_to_be_in_set", column="payment", value_set=["<i>"]),
        expect("expect_column_values_to_not_be_null", column="tip"),
    )
    pages = sorted(path.name for path in (output / "data_docs").iterdir())
    assert pages == ["index.html", "suite.html"]
    for page in pages:
        text = (output / "data_docs" / page).read_text()
        elements = parse(text)
        assert not {tag for tag, _ in elements} & {"script", "img", "link", "iframe", "svg", "form", "base"}
        assert not [name for _, names in elements for name in names if name.startswith("on") or name == "style"]
        assert "https://" not in text and "http://" not in text
        assert not re.search("[\ue000-\ue004]", text)
        assert "&amp;lt;" not in text
        assert set(re.findall(r'href="([^"#]+)', text)) <= set(pages)
        assert len(text) < 100_000
    index = (output / "data_docs" / "index.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in index
    assert "Data quality stops the run" in index
    assert "unexpected values found. 50% of 400" in index  # GX's own statement


@pytest.mark.parametrize(
    ("expectation", "where", "why"),
    [
        (expect("expect_column_values_to_not_be_nul", column="fare"), "$.expectations[1].type", "Did you mean"),
        (expect("expect_column_values_to_not_be_null", column="fair"), "kwargs.column", "Did you mean 'fare'?"),
        (expect("expect_column_values_to_not_be_null", column="fare", mostly=2), "kwargs.mostly", "less than or equal"),
        (expect("expect_column_values_to_not_be_null", column="fare", mosty=1), "kwargs.mosty", "no such argument"),
        (expect("expect_column_values_to_not_be_null"), "kwargs.column", "required"),
        (expect("expect_column_values_to_match_regex", column="raw", regex="["), "kwargs.regex", "regular expression"),
        (expect("expect_column_values_to_be_between", column="fare", min_value=3, max_value=1), "min_value", "above"),
        (expect("expect_column_values_to_be_between", column="fare"), "kwargs:", "cannot both be None"),
        (expect("expect_column_values_to_be_in_set", column="fare", value_set=3), "kwargs.value_set", "list"),
        (
            expect("expect_table_columns_to_match_set", column_set=["fare", "x"]),
            "kwargs.column_set[1]",
            "no column 'x'",
        ),
        (expect("expect_column_values_to_not_be_null", "fatal", column="fare"), "severity", "'fatal'"),
        (expect("unexpected_rows_expectation", unexpected_rows_query="select 1"), "type", "SQL"),
        ({"type": "expect_column_to_exist"}, "kwargs", "required"),
        ({"kwargs": {}}, "type", "required"),
        ({"type": "expect_column_to_exist", "kwargs": {"column": "fare"}, "sverity": "info"}, "sverity", "severity"),
        ("expect", "$.expectations[1]", "Received: 'expect'"),
    ],
)
def test_a_bad_suite_is_refused_in_one_line(run: Any, expectation: Any, where: str, why: str) -> None:
    with pytest.raises(InputError) as raised:
        run(expect("expect_column_to_exist", column="fare"), expectation)
    message = str(raised.value)
    assert "expectations.json, $.expectations[1]" in message and "\n" not in message
    assert where in message and why in message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"name": "x",\n "expectations": [}', "line 2, column 19"),
        (b"[]", "Received: list"),
        (b'{"expectations": [], "expectation": []}', "$.expectation: there is no such field"),
        (b'{"name": "\xff"}', "not UTF-8 at byte 10"),
    ],
)
def test_a_file_that_is_no_suite_is_refused(
    tmp_path: pathlib.Path, examples_uri: str, schema_uri: str, content: bytes, why: str
) -> None:
    path = tmp_path / "expectations.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(why)):
        check_examples(examples_uri, ["train"], schema_uri, str(path), "critical", tmp_path)


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_get_a_verdict(tmp_path: pathlib.Path, schema_uri: str, rows: int) -> None:
    uri = write_examples(tmp_path / "examples", {"train": make_table().slice(0, rows)})
    suite = write_suite(
        tmp_path,
        expect("expect_table_row_count_to_be_between", min_value=2),
        expect("expect_column_values_to_be_between", column="fare", min_value=0),
        expect("expect_column_mean_to_be_between", "info", column="fare", min_value=0),
        expect("expect_column_values_to_not_be_null", column="seats"),
    )
    result, count = check_examples(uri, ["train"], schema_uri, suite, "critical", tmp_path)
    assert count == rows and not result.passes
    assert f"it is {rows}" in by_name(result)["expect_table_row_count_to_be_between"].message


def test_bytes_that_differ_after_a_zero_byte_are_different(tmp_path: pathlib.Path, schema_uri: str) -> None:
    pictures = [b"\x89PNG\0%d" % i for i in range(20)]
    texts = [b"a\0%d" % i for i in range(20)]
    rows = pa.table({"payment": pa.array(pictures, pa.binary()), "raw": pa.array(texts, pa.binary())})
    uri = write_examples(tmp_path / "examples", {"train": rows})
    unique = [expect("expect_column_values_to_be_unique", column=name) for name in ("payment", "raw")]
    both = expect("expect_compound_columns_to_be_unique", column_list=["payment", "raw"])
    suite = write_suite(tmp_path, *unique, both)
    result, _ = check_examples(uri, ["train"], schema_uri, suite, "critical", tmp_path)
    assert [check.message for check in result.checks if not check.passes] == []


@pytest.mark.parametrize("run_id", ["20261121T093144-8457", "20261121T093144-1200", "9" * 30, ""])
def test_a_run_whose_id_could_be_a_time_is_named(
    tmp_path: pathlib.Path, examples_uri: str, schema_uri: str, run_id: str
) -> None:
    suite = write_suite(tmp_path, expect("expect_column_to_exist", column="fare"))
    check_examples(examples_uri, ["train"], schema_uri, suite, "critical", tmp_path, run_id)
    assert run_id in (tmp_path / "data_docs" / "index.html").read_text()


def run_executor(tmp_path: pathlib.Path, examples_uri: str, schema_uri: str, suite: str) -> DataQualityReport:
    examples, schema, report = standard_artifacts.Examples(), standard_artifacts.Schema(), DataQualityReport()
    examples.uri, schema.uri, report.uri = examples_uri, schema_uri, str(tmp_path / "report")
    examples.split_names = encode_splits(["train", "eval"])
    (tmp_path / "contract").mkdir()  # what lies beside a suite is in its digest
    suite = shutil.copy(suite, tmp_path / "contract")
    executor = DataQualityExecutor()
    executor._context = SimpleNamespace(  # what TFX's launcher fills in
        pipeline_run_id="run-1", pipeline_node=SimpleNamespace(node_info=SimpleNamespace(id="DataQuality"))
    )
    properties = {
        "suite_file": suite,
        "suite_digest": digest(suite, []),
        "fail_on": "critical",
        "pipeline_root": str(tmp_path / "root"),
        **dict.fromkeys(("keys", "code", "left_out"), "[]"),
        "waivers": waivers.digest(waivers.beside(suite)),
    }
    executor.Do({"examples": [examples], "schema": [schema]}, {"data_quality": [report]}, properties)
    return report


def test_executor_notes_rows_and_seconds(tmp_path: pathlib.Path, examples_uri: str, schema_uri: str) -> None:
    suite = write_suite(tmp_path, expect("expect_column_to_exist", column="fare"))
    report = run_executor(tmp_path, examples_uri, schema_uri, suite)
    assert report.get_int_custom_property(ROWS_IN) == report.get_int_custom_property(ROWS_OUT) == 2 * ROWS
    assert report.get_float_custom_property(SECONDS) >= 0
    assert (pathlib.Path(report.uri) / "data_docs" / "index.html").is_file()


def test_a_failed_gate_keeps_its_evidence(tmp_path: pathlib.Path, examples_uri: str, schema_uri: str) -> None:
    suite = write_suite(tmp_path, expect("expect_column_values_to_not_be_null", column="fare"))
    with pytest.raises(GateFailed, match="40 of 400"):
        run_executor(tmp_path, examples_uri, schema_uri, suite)
    kept = tmp_path / "root" / "_gates" / "run-1" / "DataQuality"
    assert not GateResult.from_json((kept / "gate.json").read_text()).passes
    assert (kept / "data_docs" / "index.html").is_file() and (kept / "validation.json").is_file()


def test_the_users_errors_come_back_from_the_worker(tmp_path: pathlib.Path, examples_uri: str, schema_uri: str) -> None:
    suite = write_suite(tmp_path, expect("expect_column_to_exist", column="fair"))
    with pytest.raises(InputError, match="Did you mean 'fare'"):
        run_executor(tmp_path, examples_uri, schema_uri, suite)


def test_the_worker_starts_without_tensorflow() -> None:
    code = (
        "import sys\nfrom components.data_quality import worker\nworker.warm()\n"
        "assert 'great_expectations' in sys.modules\n"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'tfx', 'apache_beam')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_component_digests_its_suite(tmp_path: pathlib.Path) -> None:
    """That it imports no Great Expectations is seen in tests/components/test_lazy_imports.py."""
    suite = write_suite(tmp_path)

    def suite_digest() -> str:
        inputs = [channel.Channel(type=kind) for kind in (standard_artifacts.Examples, standard_artifacts.Schema)]
        return DataQuality(*inputs, suite, "root").exec_properties["suite_digest"]

    first = suite_digest()
    with pathlib.Path(suite).open("a") as file:
        file.write(" ")
    assert suite_digest() != first
    with pytest.raises(InputError, match="fail_on"):
        DataQuality(None, None, suite, "root", fail_on="sometimes")


def test_columns_that_differ_in_case_are_two_and_what_is_left_out_is_not_judged(tmp_path: pathlib.Path) -> None:
    table = pa.table({"Amount": [1.0, 2.0, 3.0] * 10, "amount": [float(i) for i in range(30)], "a": ["x"] * 30})
    uri = write_examples(tmp_path / "examples", {"train": table})
    (tmp_path / "schema.pbtxt").write_text(
        "".join(f'feature {{ name: "{n}" type: {k} }}\n' for n, k in (("Amount", "FLOAT"), ("amount", "FLOAT")))
        + 'feature { name: "gone" type: INT }\nfeature { name: "a" type: BYTES }\n'
    )
    suite = {
        "name": "case",
        "expectations": [
            expect("expect_compound_columns_to_be_unique", column_list=["Amount", "amount", "a"]),
            expect("expect_column_pair_values_to_be_equal", column_A="amount", column_B="amount"),
            expect("expect_column_values_to_be_between", column="Amount", min_value=1, max_value=3),
            expect("expect_column_values_to_not_be_null", column="gone"),
            expect("expect_column_values_to_not_be_null", column="a", row_condition='gone == "x"', condition_parser="pandas"),
            expect("expect_table_column_count_to_equal", value=4),
        ],
    }  # fmt: skip
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    (tmp_path / "out").mkdir()
    arguments = (uri, ["train"], str(tmp_path), str(tmp_path / "suite.json"), "critical", tmp_path / "out")
    result, _ = check_examples(*arguments, left_out=["gone"])
    assert not result.failures(), [one.message for one in result.failures()]
    assert [(one.name, one.message) for one in result.unjudged()] == [
        ("expect_column_values_to_not_be_null(gone)", "data.ignore leaves out gone"),
        ("expect_column_values_to_not_be_null(a)", "data.ignore leaves out gone"),
        ("expect_table_column_count_to_equal(gone)", "data.ignore leaves out gone"),
    ]
    assert result.passes and result.counts()["passed"] == 3


def test_pages_cut_long_lists_of_values_and_keep_every_result() -> None:
    results = [{"values": list(range(300))} for _ in range(300)]
    shown = _data_docs._hide({"results": results})["results"]
    assert len(shown) == 300
    assert shown[299]["values"][199:] == [199, "... and 100 more"]

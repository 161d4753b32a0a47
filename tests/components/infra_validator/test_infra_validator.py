from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tfx.types import standard_artifacts

import answering
from components import border, prepared
from components.gates import GateResult
from components.infra_validator.executor import Executor, how_it_ended
from components.infra_validator.golden import instances
from components.infra_validator.limits import Ended, watch
from components.infra_validator.worker import Examination, _plain, _same, serialized_examples
from components.served_model import MISSING_INT64, RawFeature, ServedModel
from components.tasks import find
from spec.errors import InputError
from spec.workload import InfraValidation


@pytest.fixture
def run(
    model_artifact: Callable[..., Any],
    examples_artifact: Callable[..., Any],
    output: Callable[..., Any],
    make_rows: Callable[..., pa.Table],
) -> Callable[..., tuple[GateResult, Any]]:
    """Runs the executor on a tiny model; returns the gate and the blessing."""

    def go(
        task: str = "binary", rows: pa.Table | None = None, limits: Any = None, **options: Any
    ) -> tuple[GateResult, Any]:
        made = output(blessing=standard_artifacts.InfraBlessing)
        examples = examples_artifact(make_rows(40, task) if rows is None else rows)
        inputs = {"model": [model_artifact(task, **options)], "examples": [examples]}
        Executor().Do(inputs, made, {"limits": json.dumps(limits or {"requests": 16})})
        (blessing,) = made["blessing"]
        gate = GateResult.from_json((pathlib.Path(blessing.uri) / "gate.json").read_text())
        status = "INFRA_BLESSED" if gate.passes else "INFRA_NOT_BLESSED"
        assert blessing.get_string_custom_property("blessing_status") == status
        assert (pathlib.Path(blessing.uri) / status).is_file()
        return gate, blessing

    return go


def test_a_good_model_is_blessed(run: Callable[..., Any]) -> None:
    gate, blessing = run("multiclass")
    assert gate.passes, gate.summary()
    assert len(gate.checks) == 6
    folder = pathlib.Path(blessing.uri)
    instances = json.loads((folder / "golden_requests.json").read_text())["instances"]
    answers = json.loads((folder / "golden_answers.json").read_text())
    assert len(instances) == 16 and all(len(values) == 16 for values in answers.values())
    assert blessing.get_int_custom_property("rows_in") == 16
    assert gate.checks[0].diagnostics["peak_memory_mb"] > 50


def test_golden_requests_are_rows_as_a_client_sends_them(
    model_folder: Callable[..., pathlib.Path], make_rows: Callable[..., pa.Table]
) -> None:
    rows = make_rows(3)
    rows = rows.set_column(0, "fare", pa.array([0.1, None, 2.5]))
    rows = rows.set_column(2, "company", pa.array([b"caf\xc3\xa9", b"\xff\xfe", None]))
    model = ServedModel.read(model_folder() / "Format-Serving")
    first, second, third = instances(model, rows.to_batches()[0])
    assert first["fare"] == 0.1 and first["company"] == "café" and len(first["pixels"]) == 2
    assert "fare" not in second and second["company"] == {"b64": "//4="}
    assert "company" not in third and third["hour"] == rows["hour"][2].as_py()


@pytest.fixture
def examined(
    model_folder: Callable[..., pathlib.Path], make_rows: Callable[..., pa.Table]
) -> Callable[..., Examination]:
    """What the worker does once TensorFlow is there, in this process: a fresh one takes seconds to import it."""

    def go(task: str, **options: Any) -> Examination:
        folder = model_folder(task, **options) / "Format-Serving"
        (rows,) = make_rows(16, task).combine_chunks().to_batches()
        examination = Examination(answering.SavedModel(folder), ServedModel.read(folder), rows, lambda stage: None)
        examination.run()
        return examination

    return go


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_every_task_is_examined(examined: Callable[..., Examination], task: str) -> None:
    examination = examined(task)
    assert [check for check in examination.checks if not check["passes"]] == []
    assert len(examination.checks) == 5 and all(len(values) == 16 for values in examination.answers.values())


@pytest.mark.parametrize(
    ("task", "options", "says"),
    [
        ("binary", {"damage": "nan"}, "16 of 16 values of 'probability' are not finite"),
        ("binary", {"damage": "range"}, "must lie in [0, 1]"),
        ("binary", {"damage": "raise"}, "too warm today"),
        ("regression", {"damage": "examples"}, "serialized tf.Examples: 'prediction' differs by"),
        ("multiclass", {"without": ["serving_examples", "classify"]}, "missing: serving_examples, classify"),
    ],
)
def test_what_is_wrong_is_said(
    examined: Callable[..., Examination], task: str, options: dict[str, Any], says: str
) -> None:
    failed = [check["message"] for check in examined(task, **options).checks if not check["passes"]]
    assert len(failed) == 1 and says in failed[0]


def test_a_task_says_what_a_last_digit_may_turn_over(
    examined: Callable[..., Examination], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find("regression"), "settled", lambda self, found, expected: expected)
    assert all(check["passes"] for check in examined("regression", damage="examples").checks)


def test_answers_of_any_shape_are_kept() -> None:
    assert _plain(lists("a", "é", "c")["items"]) == [["a", "é", "c"]]
    assert _plain(np.array([[1, 2]])) == [[1, 2]]


def lists(*items: str, scores: tuple[float, ...] = (0.9, 0.9, 0.5)) -> dict[str, np.ndarray]:
    return {"items": np.array([[one.encode() for one in items]], object), "scores": np.array([scores], np.float32)}


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (lists("a", "b", "c"), ""),
        (lists("b", "a", "c", scores=(0.9000001, 0.9, 0.5)), ""),  # a tie, in the other order
        (lists("a", "b", "d"), ""),  # the last may be as near as what was cut off
        (lists("c", "b", "a"), "'items' differs"),
        (lists("a", "b", "c", scores=(0.9, 0.9, 0.4)), "'scores' differs"),
        ({**lists("a", "b", "c"), "items": np.array([[b"a", b"b"]], object)}, "'items' has shape [1, 2]"),
    ],
)
def test_ranked_items_are_the_same_up_to_ties(found: dict[str, np.ndarray], says: str) -> None:
    if not says:
        return _same(found, lists("a", "b", "c"), "one row")
    with pytest.raises(Exception, match=re.escape(says)):
        _same(found, lists("a", "b", "c"), "one row")


def test_a_model_that_never_answers_is_ended(run: Callable[..., Any]) -> None:
    started = time.monotonic()
    gate, _ = run(damage="loop", limits={"requests": 4, "timeout_s": 8})
    assert time.monotonic() - started < 20
    assert "gave no answer within 8 s (last: " in gate.summary()


def test_a_model_that_takes_too_much_memory_is_ended(run: Callable[..., Any]) -> None:
    gate, _ = run(damage="memory", limits={"requests": 4, "memory_mb": 1200})
    assert "1,200 MiB are allowed" in gate.summary() and "while asking serving_default" in gate.summary()


def test_a_damaged_export(
    run: Callable[..., Any], model_folder: Callable[..., pathlib.Path], model_artifact: Callable[..., Any]
) -> None:
    folder = model_folder(weight=0.123)
    (folder / "Format-Serving" / "variables" / "variables.index").unlink()
    gate, blessing = run(weight=0.123)
    assert "failed while loading the SavedModel" in blessing.get_string_custom_property("reason")
    assert "failed while loading the SavedModel" in gate.summary()
    (folder / "Format-Serving" / "assets.extra" / "trainyard.json").write_text("{}")
    gate, _ = run(weight=0.123)
    assert "not the description of a model" in gate.summary()


def test_no_rows_to_ask_for(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    gate, _ = run(rows=make_rows(0))
    assert "test split has no rows" in gate.summary()


@pytest.mark.parametrize("text", ["{", '{"requests": 0}', '{"cores": 4}'])
def test_a_wrong_configuration_says_so(text: str) -> None:
    with pytest.raises(InputError, match="infra_validation"):
        border.load(InfraValidation, text)


@pytest.fixture
def limited(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ended]:
    """Runs a piece of code as a worker within limits."""
    (tmp_path / "toy.py").write_text("def warm(): pass\ndef work(request): exec(request['code'])\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def go(code: str, seconds: float = 30, memory_mb: int = 2000) -> Ended:
        with prepared.take("toy") as worker:
            worker.send({"code": code})
            return watch(worker, seconds, memory_mb)

    return go


def test_a_crash_is_named(limited: Callable[..., Ended]) -> None:
    ended = limited("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    said = how_it_ended(ended, "loading the SavedModel", InfraValidation())
    assert said.startswith("the process died of SIGSEGV while loading the SavedModel")
    killed = how_it_ended(Ended(-9, "", 1, 100, ""), "loading the SavedModel", InfraValidation())
    assert "SIGKILL, most likely by the kernel for lack of memory" in killed


def test_an_exception_s_last_line_is_kept(limited: Callable[..., Ended]) -> None:
    ended = limited("raise ValueError('no such op: Frobnicate')")
    assert (ended.code, ended.last_line) == (1, "ValueError: no such op: Frobnicate")


def test_time_counts_from_the_request(limited: Callable[..., Ended]) -> None:
    prepared.prepare("toy")
    time.sleep(1.5)
    ended = limited("pass", seconds=1.4)
    assert (ended.code, ended.over) == (0, "") and ended.seconds < 1.4


def test_grandchildren_are_counted_and_ended(limited: Callable[..., Ended]) -> None:
    grandchild = "import time; hold = bytearray(300 * 2**20); time.sleep(60)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {grandchild!r}]); print(p.pid, flush=True); p.wait()"
    ended = limited(code, memory_mb=200)
    assert ended.over == "memory" and ended.peak_mb >= 200
    pid = int(ended.last_line)
    for _ in range(100):
        if not pathlib.Path(f"/proc/{pid}").exists() or "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the grandchild lives on")


def test_the_worker_starts_without_tfx() -> None:
    code = (
        "import sys, components.infra_validator.worker; sys.exit('tfx' in sys.modules or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_missing_values_survive_both_ways() -> None:
    import tensorflow as tf

    features = {
        "f": RawFeature("float32", (), True),
        "i": RawFeature("int64", (), True),
        "trip name": RawFeature("string", (), True, "trip_name"),
    }
    inputs = {
        "f": np.array([np.nan, 1.5], np.float32),
        "i": np.array([MISSING_INT64, 7]),
        "trip name": np.array([b"", b"x"], dtype=object),
    }
    empty, full = serialized_examples(ServedModel("binary", "y", ("0", "1"), features), inputs)
    assert not tf.train.Example.FromString(empty).features.feature
    assert tf.train.Example.FromString(full).features.feature["i"].int64_list.value == [7]
    assert tf.train.Example.FromString(full).features.feature["trip name"].bytes_list.value == [b"x"]


def test_columns_that_are_no_identifiers_go_by_their_input_name() -> None:
    model = ServedModel("binary", "y", ("0", "1"), {"trip miles": RawFeature("float32", (), False, "trip_miles")})
    batch = pa.record_batch({"trip miles": [1.5]})
    assert instances(model, batch) == [{"trip_miles": 1.5}]

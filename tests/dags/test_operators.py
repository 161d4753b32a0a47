from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from opentelemetry import trace

from dags.operators import TrainyardOperator, command, read_outcome, run_arguments, summary_lines
from dags.process import Finished, StreamedProcess


def test_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_VENVS", "/venvs")
    assert command("list") == ["/venvs/pipelines/bin/python", "-P", "-m", "cli.main", "list"]
    assert run_arguments("taxi", None) == ["run", "taxi", "--json"]
    expected = ["run", "taxi", "--json", "--span", "0", "--until", "DataQuality", "--until", "Evaluator"]
    assert run_arguments("taxi", 0, ("DataQuality", "Evaluator")) == expected


def test_an_environment_that_is_not_there_is_one_line_and_no_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_VENVS", str(tmp_path))
    with pytest.raises(AirflowFailException, match=r"pipelines/bin/python: No such file or directory\. Install it"):
        TrainyardOperator(task_id="run", arguments=["list"]).execute({})


def test_findings_of_gates_are_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = {"gate": "DataQuality", "passes": False, "summary": "1 of 2 failed", "report": "/r/index.html"}
    gate["findings"] = [{"severity": "critical", "message": "fare is null in 40 rows"}]
    python = tmp_path / "pipelines" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(
        f"#!/bin/sh\necho '{json.dumps({'gates': [gate], 'error': 'DataQuality: 1 of 2 failed'})}'; exit 2\n"
    )
    python.chmod(0o755)
    monkeypatch.setenv("TRAINYARD_VENVS", str(tmp_path))
    operator, lines = TrainyardOperator(task_id="check", arguments=["run"]), list[str]()
    for level in ("info", "warning", "error"):
        monkeypatch.setattr(operator.log, level, lambda text, *values: lines.append(text % values))
    with pytest.raises(AirflowFailException, match="1 of 2 failed"):
        operator.execute({})
    assert "Gate 1 of 2 failed" in lines and "- critical: fare is null in 40 rows" in lines
    assert "- report: /r/index.html" in lines


def test_a_command_goes_on_with_the_task_s_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = tmp_path / "pipelines" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "{\\"seen\\": \\"$TRACEPARENT\\"}"\n')
    python.chmod(0o755)
    monkeypatch.setenv("TRAINYARD_VENVS", str(tmp_path))
    operator = TrainyardOperator(task_id="check", arguments=["run"])
    span = trace.SpanContext(0xAF7, 0xB7, is_remote=False, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(span)):
        assert operator.execute({}) == {"seen": f"00-{0xAF7:032x}-{0xB7:016x}-01"}
    assert operator.execute({}) == {"seen": ""}


def test_exit_2_is_final_and_others_may_retry() -> None:
    outcome = json.dumps({"error": "fare: 17 rows are negative", "reasons": []})
    with pytest.raises(AirflowFailException, match="fare: 17 rows"):
        read_outcome(Finished(2, outcome, ()))
    with pytest.raises(AirflowFailException, match="there is no such workload"):
        read_outcome(Finished(2, "", ("trainyard: there is no such workload",)))
    for code, text in ((1, "exit code 1: disk full"), (-9, "signal 9")):
        with pytest.raises(AirflowException, match=text) as caught:
            read_outcome(Finished(code, "", ("disk full",)))
        assert not isinstance(caught.value, AirflowFailException)
    with pytest.raises(AirflowException, match="no JSON object"):
        read_outcome(Finished(0, "hello", ()))


def test_summary() -> None:
    champion = {"version": 1, "metric": "auc", "champion_value": 0.94, "challenger_value": 0.95, "difference": 0.01}
    outcome = {"run_id": "r", "status": "succeeded", "seconds": 3, "metrics": {"auc": 0.95}, "champion": champion}
    text = "\n".join(summary_lines(outcome))
    assert "auc 0.95" in text and "Champion is version 1: auc 0.9400, this model 0.9500 (+0.0100)" in text


def test_lines_are_streamed_and_stdout_is_kept() -> None:
    script = "import sys; print('{}'); print('a\\n\\nb', file=sys.stderr); sys.exit(3)"
    lines: list[str] = []
    finished = StreamedProcess([sys.executable, "-c", script], os.environ, lines.append).wait()
    assert (finished.returncode, finished.stdout, lines) == (3, "{}\n", ["a", "b"])


def test_much_output_on_both_streams_does_not_block() -> None:
    script = "import sys\nfor i in range(20000): print('x' * 50); print('y' * 50, file=sys.stderr)"
    finished = StreamedProcess([sys.executable, "-c", script], os.environ, lambda line: None).wait()
    assert (finished.returncode, len(finished.stdout)) == (0, 20000 * 51)


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], stderr=subprocess.DEVNULL)\n"
        f"open({str(child)!r}, 'w').write(str(p.pid)); print('ready', file=sys.stderr, flush=True); time.sleep(600)"
    )
    ready = threading.Event()
    process = StreamedProcess([sys.executable, "-c", script], os.environ, lambda line: ready.set())
    waiter = threading.Thread(target=process.wait)
    waiter.start()
    assert ready.wait(20)
    process.stop(grace_seconds=5)
    waiter.join(10)
    deadline = time.monotonic() + 5
    while _runs(int(child.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int(child.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False

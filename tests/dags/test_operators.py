from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.operators import pipeline_argv, read_outcome, summary_lines
from dags.process import Finished, StreamedProcess


def test_argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_VENVS", "/venvs")
    expected = ["/venvs/pipelines/bin/python", "-m", "pipelines.cli", "run", "taxi", "--json"]
    assert pipeline_argv("taxi", None) == expected
    assert pipeline_argv("taxi", 2) == [*expected, "--span", "2"]


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

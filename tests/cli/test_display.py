"""What a terminal shows of a run."""

from __future__ import annotations

import io
import time

import pytest

from cli import display
from cli.display import Lines, Screen
from components import progress
from pipelines.runners.results import ComponentResult, RunResult


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_libraries_print_stays_out_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    terminal, screen = Terminal(), Screen()
    result = RunResult("tips", "run-1", components=[ComponentResult("Trainer", "running")])
    screen.started(result, terminal, io.StringIO())
    print("Epoch 1/9")
    result.components[0].status, result.status = "succeeded", "succeeded"
    screen.changed(result)
    screen.ended(result)
    assert "Trainer" in terminal.getvalue() and "Epoch" not in terminal.getvalue()
    assert "Epoch 1/9" in capsys.readouterr().out


def test_the_component_that_runs_shows_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("cli.display.time.monotonic", lambda: now[0])
    result = RunResult("tips", "run-1", components=[ComponentResult("Trainer", "running"), ComponentResult("Pusher")])
    table = display._table(result, {"Trainer": 58.0})
    assert list(table.columns[2].cells) == ["42 s", ""]


def test_lines_say_that_a_component_still_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.progress._SILENT_S", 0.2)
    err, lines = io.StringIO(), Lines()
    result = RunResult("tips", "run-1", components=[ComponentResult("Trainer", "running")])
    with progress.followed():
        lines.started(result, io.StringIO(), err)
        lines.changed(result)
        progress.tell("epoch 2 of 9; loss 0.5")
        time.sleep(0.7)
        lines.ended(result)
    assert "  ▸ Trainer, 0 s; epoch 2 of 9; loss 0.5\n" in err.getvalue()
    told = err.getvalue()
    time.sleep(0.6)
    assert err.getvalue() == told


def test_the_end_says_how_sure_a_metric_is_and_what_was_not_judged() -> None:
    counts = {"checks": 9, "passed": 7, "failed": 0, "warnings": 1, "not_judged": 1}
    said = "drift was not judged: span 1 is the first"
    gate = {"counts": counts, "findings": [{"severity": "info", "verdict": "not judged", "message": said}]}
    sure = {"auc": {"low": 0.93, "high": 0.95, "words": "95 % at least 0.9300", "gated": True}}
    result = RunResult(
        "tips", "run-1", metrics={"auc": 0.94, "f1": 0.5}, bounds=sure, trivial={"auc": 0.5}, gates=[gate]
    )
    lines = display.summary_lines(result)
    assert "metrics   auc 0.9400 (95 % at least 0.9300; a trivial model 0.5000)  f1 0.5000" in lines
    at = lines.index("checks    7 passed, 1 warned, 1 not judged")
    assert lines[at + 1] == f"          {said}"

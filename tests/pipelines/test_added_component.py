"""Adding a component takes its folder and its line in the graph: everybody who shows nodes shows it."""

from __future__ import annotations

import json
import pathlib

import pytest

from cli.display import component_line, summary_lines
from pipelines.run import Display, RunRequest, run
from pipelines.runners.kubeflow.cluster.pools import load_pools
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE, load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.lint import Compiled, lint
from spec import graph
from tests.added_component.record import RECORD

FOUND = "600 rows, 1,000,000 are usual"


@pytest.fixture(scope="module", autouse=True)
def one_line_more(yard):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "TRAINING", with_added(graph.TRAINING))
        yield


def with_added(lines: tuple[str, ...]) -> tuple[str, ...]:
    place = lines.index("components.transform")
    return (*lines[:place], "tests.added_component", *lines[place:])


def test_a_run_shows_it_everywhere(yard) -> None:
    result = run(RunRequest("tips", None, (), 5), Display())
    assert result.error is None and result.release is not None
    assert "RowCount" in component_line(result.component(RECORD.id))
    assert f"warning   {FOUND}" in summary_lines(result)
    assert [gate["gate"] for gate in result.gates][3] == RECORD.id

    report = pathlib.Path(result.reports["run"]).read_text()
    assert '<section id="rows"' in report and RECORD.title in report and FOUND in report
    page = pathlib.Path(result.reports["data_quality_page"]).read_text()
    assert RECORD.title in page and FOUND in page

    release = json.loads((pathlib.Path(result.release["uri"]) / "release.json").read_text())
    assert [gate["gate"] for gate in release["gates"]][3] == RECORD.id


def test_the_compiled_file_has_it(yard) -> None:
    text = compile_workload(CompileRequest("tips", load_site(DEFAULT_FILE), load_pools()))
    assert lint(text) == []
    compiled = Compiled(text)
    task = compiled.tasks["row-count"]
    outputs = compiled.components[task["componentRef"]["name"]]["outputDefinitions"]["artifacts"]
    assert {name: one["artifactType"]["schemaTitle"] for name, one in outputs.items()} == {
        "row_checks": "system.Metrics"
    }
    assert "row-count" in compiled.tasks["transform"]["dependentTasks"]
    assert "row-count" in compiled.tasks["report"]["dependentTasks"]

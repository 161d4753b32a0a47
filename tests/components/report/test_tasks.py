"""A report draws what the run's task names, also of a task that lies in a use case's own folder and has no label."""

from __future__ import annotations

import pathlib

import pytest

from components.report.card import document
from components.report.card_page import markdown
from components.report.facts import RunFacts
from components.report.render import render_run

TASK = """
from components.tasks import Task, View
from spec.metrics import Metric
from spec.tasks import LabelKind


class Reconstruction(Task):
    metrics = (Metric("distance", "Distance to the input", lower_is_better=True), Metric("r2", "Share explained"))
    label_kind = LabelKind.NONE
    views = (View("histogram", "Distances", "The farther right, the stranger the row.", key="distances"),)

    def head_shape(self, schema):
        return (4,)

    def loss(self, schema):
        return "mse"

    def value(self, metric, sums, slice_index=0):
        return None
"""
METRICS = {
    "task": "mine.task.Reconstruction",
    "label": None,
    "rows": 200,
    "overall": {"r2": 0.9, "distance": 0.25},
    "trivial": {"r2": None, "distance": None},
    "distances": {"edges": [0.0, 0.5, 1.0], "counts": [150, 50]},
    "slices": [
        {"column": "city", "value": value, "rows": 100, "metrics": {"distance": distance, "r2": 0.9}}
        for value, distance in (("near", 0.1), ("far", 0.4))
    ],
    "blessed": True,
}


@pytest.fixture
def facts(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> RunFacts:
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "task.py").write_text(TASK)
    workload = {"name": "mine", "task": "mine.task.Reconstruction"}
    return RunFacts(workload, "r1", metrics=METRICS, release={"version": 1, "spans": []})


def test_a_use_cases_own_task_is_reported_like_ours(facts: RunFacts) -> None:
    page, card = render_run(facts), markdown(document(facts), facts.release)
    assert "Released as version 1: Distance to the input 0.2500." in page
    assert page.index("Distance to the input</th>") < page.index("Share explained</th>")  # what is compared leads
    assert "<h3>Distances</h3>" in page and "The farther right, the stranger the row." in page and "150" in page
    assert "Trivial" not in page  # nobody can say what it would reach
    assert page.index(">far<") < page.index(">near<")  # the weakest first: a smaller distance is better
    assert "| Distance to the input | 0.2500" in card and "Label" not in card


def test_a_page_about_a_task_that_is_gone_has_its_figures(facts: RunFacts, tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine" / "task.py").unlink()
    page = render_run(facts)
    assert '<th scope="row">distance</th>' in page and "0.2500" in page

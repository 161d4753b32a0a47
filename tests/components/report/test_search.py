"""The section about a search for hyper-parameters."""

from __future__ import annotations

import re
from typing import Any

import pytest

from components.report.card import document
from components.report.charts import Axis, history_chart
from components.report.facts import RunFacts
from components.report.render import render_run

SPACE = {
    "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
    "optimizer": {"type": "categorical", "choices": ["adam", "<sgd>"]},
    "momentum": {"type": "float", "low": 0.0, "high": 0.9, "when": {"optimizer": "<sgd>"}},
}


def trial(number: int, state: str, value: float | None, epochs: int, **values: Any) -> dict[str, Any]:
    return {"number": number, "state": state, "value": value, "epochs": epochs, "seconds": 1.0, "values": values}


def searched(**changes: Any) -> RunFacts:
    trials = [
        trial(0, "complete", 0.81, 8, learning_rate=1e-4, optimizer="adam"),
        trial(1, "pruned", 0.93, 2, learning_rate=1e-2, optimizer="<sgd>", momentum=0.9),
        {**trial(2, "failed", None, 0, learning_rate=1e-3, optimizer="adam"), "reason": "<b>diverged</b>"},
        trial(3, "complete", 0.92, 8, learning_rate=1e-3, optimizer="<sgd>", momentum=0.45),
    ]
    record = {
        "metric": "auc",
        "lower_is_better": False,
        "value": 0.92,
        "trial": 3,
        "values": trials[3]["values"],
        "counts": {"complete": 2, "pruned": 1, "failed": 1, "lost": 0},
        "epochs": {"spent": 18, "full": 32},
        "rows": {"train": 800, "eval": 200},
        "seconds": 12.0,
        "sampler": "tpe",
        "pruner": "asha",
        "space": SPACE,
        "importance": {"learning_rate": 0.7, "optimizer": 0.3},
        "trials": trials,
    }
    return RunFacts({"name": "taxi", "task": "binary"}, "run-1", search={**record, **changes})


def test_the_page_says_what_was_tried_and_what_won() -> None:
    page = render_run(searched())
    section = page[page.index('<section id="search"') :].partition("</section>")[0]
    assert (
        "The best of 4 trials has AUC 0.9200 on 200 held-out rows of train: learning_rate 0.001, optimizer" in section
    )
    assert "18 epochs of the 32" in section and "2 complete, 1 pruned, 1 failed" in section
    assert "<b>" not in section and "<sgd>" not in section
    # The best that came to its end, then the others, then those without a value.
    assert re.findall(r'<td class="n">(\d)</td><td class="n">[\d.]*', section)[:1] == ["3"]
    assert section.count('<circle class="dot eval"') == 4  # in the history, and in three slices
    assert section.count('<path class="line eval"') == 1
    assert "held-out rows of train" in str(document(searched())["training"])
    assert '<section id="search"' not in render_run(RunFacts({"name": "taxi", "task": "binary"}, "run-1"))


def test_a_search_of_few_trials_has_no_importance() -> None:
    page = render_run(searched(importance={}))
    assert "What mattered" not in page and page.count('<circle class="dot eval"') == 4


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [("learning_rate", 1e-3, 0.5), ("optimizer", "adam", 0.25), ("momentum", 0.45, 0.5), ("momentum", 0.9, 1.0)],
)
def test_an_axis_knows_where_a_value_lies(name: str, value: Any, place: float) -> None:
    assert Axis(name, SPACE[name]).place(value) == pytest.approx(place)


def test_the_best_so_far_is_of_trials_that_came_to_their_end() -> None:
    """The pruned trial 1 has the best value of all, and the line does not rise to it."""
    trials = searched().search["trials"]
    chart = str(history_chart("k", "AUC", trials, 3, lower_is_better=False))
    (line,) = re.findall(r'<path class="line eval thin" d="([^"]+)"', chart)
    heights = [float(y) for _, y in re.findall(r"([\d.]+) ([\d.]+)", line)]
    dots = {css: float(y) for css, y in re.findall(r'<circle class="dot (\w+)" cx="[\d.]+" cy="([\d.]+)"', chart)}
    assert min(heights) == dots["eval"] > dots["few"]

"""`trainyard new` on rows that are ranked against those of the same query."""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.run import Display, RunRequest, run
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.profiling import Kind
from pipelines.scaffold.request import Request
from spec.errors import InputError
from spec.workload import load_workload

pytestmark = pytest.mark.usefixtures("places")
QUERIES, ROWS = 150, 10


def hits() -> pd.DataFrame:
    """What a search finds: the relevance of a hit follows `match`, relative to the search."""
    random = np.random.default_rng(0)
    match, noise = random.normal(size=(2, QUERIES * ROWS)).round(3)
    relevance = np.clip(np.round(1 + match + random.normal(0, 0.3, len(match))), 0, 4).astype(int)
    search = np.repeat([f"q{i}" for i in range(QUERIES)], ROWS)
    return pd.DataFrame({"search": search, "match": match, "noise": noise, "relevance": relevance})


def make(places: pathlib.Path, **options: Any) -> Created:
    data = places / "hits.csv"
    hits().to_csv(data, index=False)
    given = {"name": "hits", "data": str(data), "task": "ranking", "label": "relevance", "query": "search"}
    return create(Request(**given | options))


def test_the_query_is_declared_and_no_feature(places: pathlib.Path) -> None:
    created = make(places)
    workload = load_workload(created.workload)
    assert (workload.task, workload.data.query, workload.data.label_column) == ("ranking", "search", "relevance")
    assert {column.name: column.kind for column in created.profile.columns}["search"] is Kind.CARRIED
    (bar,) = workload.evaluation.thresholds
    assert bar.metric == "ndcg_10" and 0.5 < bar.min < 0.8  # any order reaches about 0.65
    assert f"{QUERIES} queries of {ROWS} rows" in "\n".join(created.story)
    assert pytest.main(["-q", "-p", "no:cacheprovider", os.fspath(created.test)]) == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"query": None}, "--query: is missing"),
        ({"query": "noise"}, "nothing to rank.* Is it the right column"),
        ({"label": "match"}, "must be a relevance, a number of 0 or more. Received: -"),
        ({"label": "search", "query": "relevance"}, "must be a relevance.* Received: 'q0'"),
        ({"item": "noise"}, "--item 'noise': is not for task ranking"),
    ],
)
def test_what_cannot_be_ranked_is_refused(places: pathlib.Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        make(places, **options)


@pytest.mark.slow  # a whole run
def test_the_draft_trains_and_beats_any_order(places: pathlib.Path) -> None:
    make(places)
    result = run(RunRequest("hits"), Display())
    assert result.release is not None
    assert result.metrics["ndcg_10"] > 1.2 * result.trivial["ndcg_10"]

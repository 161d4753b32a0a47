"""`trainyard new` on tables of interactions: who had what."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipelines.run import Display, RunRequest, run
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.request import Request
from spec.errors import InputError
from spec.workload import load_workload

USERS, ARTISTS, KINDS = 120, 60, 4


def plays() -> pd.DataFrame:
    """Users like artists of one genre, and each has had a dozen."""
    random = np.random.default_rng(0)
    rows = []
    for user in range(USERS):
        chances = np.where(np.arange(ARTISTS) % KINDS == user % KINDS, 12.0, 1.0) / (1 + np.arange(ARTISTS) % 7)
        for artist in random.choice(ARTISTS, 12, replace=False, p=chances / chances.sum()):
            rows.append((f"u{user}", artist, f"g{artist % KINDS}", 1950 + artist // 2, "NL" if user % 3 else "DE"))
    frame = pd.DataFrame(rows, columns=["user id", "artist", "genre", "born", "country"])
    frame["times"], frame["empty"] = random.integers(1, 9, len(frame)), np.nan
    return frame.sample(frac=1, random_state=1)


def make(places: pathlib.Path, frame: pd.DataFrame, **options: Any) -> Created:
    data = places / "plays.csv"
    frame.to_csv(data, index=False)
    return create(Request(**{"name": "plays", "data": str(data), "task": "retrieval"} | options))


def test_what_depends_on_one_id_alone_is_said_of_it(places: pathlib.Path) -> None:
    created = make(places, plays())
    workload = load_workload(created.workload)
    assert (workload.data.query, workload.task_options.item) == ("user id", "artist")
    assert workload.task_options.query_columns == ("user id", "country")
    assert workload.task_options.item_columns == ("artist", "genre", "born")
    assert created.profile.ignored["times"] == "it depends neither on 'user id' nor on 'artist' alone"
    (bar,) = workload.evaluation.thresholds
    assert bar.metric == "ndcg_10" and 0.15 < bar.min < 0.4


def test_either_column_may_be_named(places: pathlib.Path) -> None:
    workload = load_workload(make(places, plays(), query="artist").workload)
    assert (workload.data.query, workload.task_options.item) == ("artist", "user id")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ignore": ("artist",), "item": "artist"}, "--item 'artist': is ignored as well"),
        ({"ignore": ("artist", "born")}, "name the columns of who asks .* could be: 'user id'"),
        ({"query": "artist", "item": "artist"}, "name the columns of who asks"),
        ({"query": "user id", "item": "genre"}, "has 4 different values"),
        ({"item": "song"}, "--item 'song'"),
        ({"task": "reconstruction", "query": "artist"}, "are not for task reconstruction"),
        ({"task": "multiclass", "label": "genre", "query": "artist"}, "are not for task multiclass"),
    ],
)
def test_what_is_no_query_or_item_is_refused(places: pathlib.Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        make(places, plays(), **options)


def test_an_id_that_a_row_lacks_is_refused(places: pathlib.Path) -> None:
    frame = plays()
    frame.loc[3, "user id"] = None
    with pytest.raises(InputError, match="column 'user id' is an id, and 1 rows"):
        make(places, frame, query="user id", item="artist")


@pytest.mark.slow  # a whole run
def test_the_draft_trains_and_beats_popularity(places: pathlib.Path) -> None:
    make(places, plays())
    result = run(RunRequest("plays"), Display())
    assert result.release is not None
    assert result.metrics["ndcg_10"] > 1.3 * result.trivial["ndcg_10"]

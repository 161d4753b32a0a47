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
    assert created.profile.ignored["times"].startswith("it depends neither on 'user id' nor on 'artist' alone")
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
        ({"query": "artist", "item": "artist"}, "are both 'artist'"),
        ({"query": "user id", "item": "genre"}, "--item 'genre': has 4 different values"),
        ({"query": "country", "item": "artist"}, "--query 'country': has 2 different values"),
        ({"query": "user id", "item": "row"}, "--item 'row': each row has its own"),
        ({"query": "user id", "item": "share"}, "--item 'share': ids are texts or whole numbers. Received: double"),
        ({"query": "user id", "item": "artist", "label": "times"}, "Leave --label out"),
        ({"item": "song"}, "--item 'song'"),
        ({"task": "reconstruction", "query": "artist"}, "is not for task reconstruction"),
        ({"task": "multiclass", "label": "genre", "query": "artist"}, "is not for task multiclass"),
    ],
)
def test_what_is_no_query_or_item_is_refused(places: pathlib.Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        make(places, plays().assign(row=[f"r{i}" for i in range(USERS * 12)], share=0.5), **options)


def test_two_columns_are_the_query_and_the_item_however_seldom_values_repeat(places: pathlib.Path) -> None:
    frame = pd.DataFrame({"who": [f"u{i // 3}" for i in range(300)], "what": [f"a{i * 7 % 200}" for i in range(300)]})
    created = make(places, frame, task=None, query="who")
    assert (created.label.task, created.label.query, created.label.item) == ("retrieval", "who", "what")


def test_rows_that_are_there_again_are_counted(places: pathlib.Path) -> None:
    story = "\n".join(make(places, pd.concat([plays(), plays().head(100)])).story)
    assert "100 rows repeat the 'user id' and 'artist' of another" in story


def test_an_id_that_a_row_lacks_is_refused(places: pathlib.Path) -> None:
    frame = plays()
    frame.iloc[3, 0] = None
    with pytest.raises(InputError, match=r"column .user id. is an id, and 1 row has no value there .*row 4"):
        make(places, frame, query="user id", item="artist")


@pytest.mark.slow  # a whole run
def test_the_draft_trains_and_beats_popularity(places: pathlib.Path) -> None:
    make(places, plays())
    result = run(RunRequest("plays"), Display())
    assert result.release is not None
    assert result.metrics["ndcg_10"] > 1.3 * result.trivial["ndcg_10"]

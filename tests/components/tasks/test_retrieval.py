"""What ranked lists come to, against a few plain lines for one query after the other."""

from __future__ import annotations

import math
import pathlib
import pickle

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.findings import Findings
from components.tasks import Context, Values, query_keys
from components.tasks.catalogue import Catalogue
from components.tasks.retrieval import Retrieval
from spec.errors import InputError

TOP = 25
ITEMS, USERS = 60, 30
OPTIONS = {"item": "artist", "query_columns": ["user"], "item_columns": ["artist"], "top_k": TOP}
BY_LABEL = {"relevance": "label", "query_columns": ["image"], "item_columns": ["image"], "top_k": TOP}


def listens(rows: int, seed: int, artists: int = ITEMS, users: int = USERS) -> pa.Table:
    random = np.random.default_rng(seed)
    artist = np.minimum(random.geometric(0.05, rows), artists) - 1
    return pa.table({"user": random.integers(0, users, rows), "artist": [f"a{one}" for one in artist]})


# Of test, two users are new, as are some artists, and some rows are there twice or have been seen.
TRAIN, EVAL, TEST = listens(400, 0), listens(30, 1), listens(300, 2, ITEMS + 20, USERS + 2)


def of_one(answered: list[str], wanted: set[str]) -> dict[str, float]:
    """The metrics of one query."""
    hits = [name in wanted for name in answered]
    places = [place for place, hit in enumerate(hits, 1) if hit]
    ideal = sum(1 / math.log2(place + 1) for place in range(1, min(10, len(wanted)) + 1))
    return {
        "ndcg_10": sum(1 / math.log2(place + 1) for place in places if place <= 10) / ideal,
        "recall_20": sum(hits[:20]) / len(wanted),
        "recall_10": sum(hits[:10]) / len(wanted),
        "map": sum(sum(hits[:place]) / place for place in places) / min(len(wanted), TOP),
        "mrr": 1 / places[0] if places else 0.0,
        "hit_1": float(hits[0]) if hits else 0.0,
    }


def prepared(folder: pathlib.Path, options: dict[str, object], catalogue: Catalogue, **said: object) -> Retrieval:
    catalogue.write(folder)
    context = Context(None, None, iter, iter, lambda batch: {}, catalogue=folder)  # type: ignore[arg-type]
    return Retrieval(options=OPTIONS | options, **said).prepare(context)


@pytest.fixture
def task(tmp_path: pathlib.Path) -> Retrieval:
    splits = {"train": TRAIN, "eval": EVAL}
    found = Catalogue.of(lambda s: lambda c: iter(splits[s].select(list(c)).to_batches()), "artist", ["artist"], "user")
    return prepared(tmp_path, {}, found)


def answers(users: np.ndarray) -> np.ndarray:
    """The same list for the same user, seen or not; some of it is in no catalogue."""
    names = np.array([f"a{one}" for one in range(ITEMS + 5)])
    return np.stack([np.random.default_rng(user).permutation(names)[:TOP] for user in users])


def judged(task: Retrieval, rows: pa.Table, slices: tuple[str, ...] = (), batch: int = 70) -> Findings:
    """As the Evaluator goes through test."""
    found = Findings(task, slices, None, seed=1)
    for part in rows.to_batches(max_chunksize=batch):
        groups = query_keys(part.column("user"), "user")
        lists = task.judged({"items": answers(groups), "scores": np.zeros(1)})
        codes = [found.slices[name].codes(part.column(name)) for name in slices]
        found.add(np.arange(len(part)), task.truths(part, None), groups, codes, [lists])
    found.finish()
    return found


def expected(rows: pa.Table, catalogue: Catalogue, listed: bool = True) -> Values:
    seen = {(user, artist) for one in (TRAIN, EVAL) for user, artist in zip(*one.to_pydict().values(), strict=True)}
    wanted: dict[int, set[str]] = {}
    for user, artist in zip(rows["user"].to_pylist(), rows["artist"].to_pylist(), strict=True):
        if (user, artist) not in seen or artist not in catalogue.ids:
            wanted.setdefault(user, set()).add(artist)
    found, cold, shown, popular = [], [], set(), []
    for user, artists in wanted.items():
        names = answers(np.array([user]))[0] if listed else catalogue.ids
        left = [one for one in names if one in catalogue.ids and (user, one) not in seen][:TOP]
        found.append(of_one(left, artists))
        if user >= USERS:
            cold.append(found[-1]["ndcg_10"])
        shown |= set(left[:10])
        places = catalogue.places(np.array(left[:10], object))
        counts = catalogue.counts
        popular.append(np.mean([(counts < counts[p]).mean() + (counts == counts[p]).mean() / 2 for p in places]))
    means: Values = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    rest = {"coverage_10": len(shown) / len(catalogue), "popularity_10": float(np.mean(popular))}
    return means | (rest if listed else dict.fromkeys(rest)) | {"cold_ndcg_10": float(np.mean(cold))}


def test_metrics_are_those_of_one_query_after_the_other(task: Retrieval) -> None:
    assert task.catalogue is not None
    found = judged(task, TEST)
    assert found.challenger.sums is not None
    assert task.values(found.challenger.sums) == pytest.approx(expected(TEST, task.catalogue))
    assert set(task.values(found.challenger.sums)) == set(task.metric_names())
    assert found.trivial() == pytest.approx(expected(TEST, task.catalogue, listed=False))


def test_the_order_of_the_rows_does_not_matter(task: Retrieval) -> None:
    shuffled = TEST.take(pa.array(np.random.default_rng(5).permutation(len(TEST))))
    one, other = (
        judged(task, TEST).challenger.sums,
        judged(pickle.loads(pickle.dumps(task)), shuffled, batch=33).challenger.sums,
    )
    assert one is not None and other is not None and task.values(one) == pytest.approx(task.values(other))


def test_a_slice_has_the_relevant_items_of_its_rows(task: Retrieval) -> None:
    assert task.catalogue is not None
    kind = np.random.default_rng(7).choice(["x", "y"], len(TEST))
    sliced = judged(task, TEST.append_column("kind", pa.array(kind)), ("kind",)).slices["kind"]
    alone = expected(TEST.filter(pa.array(kind == "y")), task.catalogue)
    assert sliced.sums is not None and task.values(sliced.sums, sliced.values["y"]) == pytest.approx(alone)


def test_bounds_hold_the_value_between_them(task: Retrieval) -> None:
    sums = judged(task, TEST).challenger.sums
    assert sums is not None
    for name in ("ndcg_10", "recall_20", "cold_ndcg_10"):
        bounds, value = task.bounds(name, sums, 0.95), task.value(name, sums)
        assert bounds is not None and value is not None and bounds.low < value < bounds.high


def test_what_nobody_can_find_is_said(task: Retrieval) -> None:
    sums = judged(task, TEST).challenger.sums
    assert sums is not None
    (check,) = task.data_checks(sums, "user")
    assert check.passes and "of items that train lacks, which count as missed" in check.message


def test_by_label_every_item_of_the_querys_class_is_right(tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    kinds = random.choice(["daisy", "rose", "tulip"], ITEMS)
    items = pa.table({"image": [f"{i}".encode() for i in range(ITEMS)], "kind": kinds})
    catalogue = Catalogue.of(lambda s: lambda c: iter(items.select(list(c)).to_batches()), None, ["image", "kind"])
    catalogue.write(tmp_path)
    context = Context("kind", None, iter, iter, lambda batch: {}, catalogue=tmp_path)  # type: ignore[arg-type]
    task = Retrieval(("daisy", "rose", "tulip"), options=BY_LABEL).prepare(context)
    rows = pa.record_batch({"kind": random.choice(["daisy", "rose", "tulip"], 40)})
    lists = np.stack([random.permutation(ITEMS)[:TOP] for _ in range(40)])
    found = Findings(task, (), None, seed=1)
    found.add(np.arange(40), task.truths(rows, "kind"), np.arange(40), [], [task.judged({"items": lists.astype(str)})])
    found.finish()
    each = []
    for kind, row in zip(rows["kind"].to_pylist(), lists, strict=True):
        each.append(of_one([str(one) for one in row], {str(i) for i in range(ITEMS) if kinds[i] == kind}))
    values = task.values(found.challenger.sums)
    assert {name: values[name] for name in each[0]} == pytest.approx(
        {n: np.mean([one[n] for one in each]) for n in each[0]}
    )
    assert values["cold_ndcg_10"] is None and set(found.trivial().values()) == {None}


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (BY_LABEL | {"item": None, "negatives": 2}, "negatives are items that are not the query's own"),
        ({"item": None}, "needs `item`"),
        ({"item_columns": ["title"]}, "item_columns must have the item itself"),
    ],
)
def test_options_fit_together(said: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Retrieval(options=OPTIONS | said)


def test_the_items_id_is_a_feature(task: Retrieval) -> None:
    with pytest.raises(InputError, match="needs the feature 'artist'"):
        task.training_target({"user": 1})

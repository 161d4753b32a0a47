"""A recommender through the whole pipeline: lists for users that are known and new, items that are alike, simple methods beside it."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.columnar import read_split
from model_store import ModelStore
from pipelines.predict import PredictRequest, predict
from pipelines.run import Display, RunRequest, RunResult, run
from spec import home

pytestmark = pytest.mark.slow

USERS, ARTISTS, KINDS, TOP = 60, 40, 4, 20
FILES = {
    "workload.yaml": """
name: listens
task: retrieval
description: Which artists a made-up user may like.
data: {query: user}
task_options:
  item: artist
  query_columns: [user, age]
  item_columns: [artist, genre]
  top_k: 20
  index: {min_recall: 0.95}
  negatives: 2
training: {epochs: 30, batch_size: 64, hyperparameters: {learning_rate: 0.02}}
evaluation:
  thresholds: [{metric: ndcg_10, min: 0.1}, {metric: recall_20, min: 0.3}]
  slices: [age]
  baseline: [popularity]
infra_validation: {requests: 4}
""",
    "features.py": """
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    ids = {name: tft.compute_and_apply_vocabulary(inputs[name], num_oov_buckets=1) for name in ("user", "artist", "genre")}
    return {**ids, "age": tft.scale_to_z_score(inputs["age"])}
""",
    "model.py": """
import keras
from components.tasks.towers import Towers


def build_model(schema, hyperparameters):
    inputs = schema.inputs()

    def embedded(name):
        return keras.layers.Embedding(schema.features[name].vocabulary_size, 8)(inputs[name])

    age = keras.layers.Dense(8)(keras.ops.expand_dims(inputs["age"], -1))
    query = keras.Model({name: inputs[name] for name in ("user", "age")}, embedded("user") + age)
    item = keras.Model({name: inputs[name] for name in ("artist", "genre")}, embedded("artist") + embedded("genre"))
    return Towers(query, item)
""",
    "baseline.py": '''
import numpy as np


def popularity(train, test, task):
    """The artists that most rows of train have."""
    ids, counts = np.unique(train["artist"].to_numpy(), return_counts=True)
    return np.tile(ids[np.argsort(-counts, kind="stable")][: task.options.top_k], (test.num_rows, 1))
''',
}
SCHEMA = """
feature { name: "user" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "artist" type: INT presence { min_fraction: 1.0 } shape {} }
feature { name: "genre" type: BYTES presence { min_fraction: 1.0 } shape {} }
feature { name: "age" type: FLOAT presence { min_fraction: 1.0 } shape {} }
"""

POINTS = {
    "workload.yaml": """
name: points
task: retrieval
description: Points that are like a point.
data: {label: {column: kind}}
task_options: {relevance: label, query_columns: [x, y], item_columns: [x, y], top_k: 20}
training: {epochs: 5, batch_size: 64, hyperparameters: {learning_rate: 0.02}}
evaluation:
  thresholds: [{metric: hit_1, min: 0.7}]
infra_validation: {requests: 4}
""",
    "features.py": """
import tensorflow_transform as tft


def preprocessing_fn(inputs):
    return {name: tft.scale_to_z_score(inputs[name]) for name in ("x", "y")}
""",
    "model.py": """
import keras
from components.tasks.towers import Towers


def build_model(schema, hyperparameters):
    inputs = schema.inputs()
    x = keras.layers.Concatenate()([keras.ops.expand_dims(one, -1) for one in inputs.values()])
    tower = keras.Model(inputs, keras.layers.Dense(4)(keras.layers.Dense(16, activation="relu")(x)))
    return Towers(tower, tower, similarity="cosine", temperature=0.2)
""",
}
POINTS_SCHEMA = """
feature { name: "x" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature { name: "y" type: FLOAT presence { min_fraction: 1.0 } shape {} }
feature {
  name: "kind" type: BYTES presence { min_fraction: 1.0 } shape {} string_domain { value: "east" value: "south" value: "west" }
}
"""


def points(rows: int = 500, seed: int = 0) -> str:
    """CSV of points in three clouds."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 3, rows)
    middles = np.array([(3, 0), (0, -3), (-3, 0)])[kinds] + random.normal(size=(rows, 2))
    names = np.array(["east", "south", "west"])[kinds]
    return (
        "\n".join(["x,y,kind", *(f"{x:.3f},{y:.3f},{name}" for (x, y), name in zip(middles, names, strict=True))])
        + "\n"
    )


def listens(seed: int = 0) -> str:
    """CSV: users like artists of one genre, and each has had a dozen."""
    random = np.random.default_rng(seed)
    lines = ["user,artist,genre,age"]
    for user in range(USERS):
        liked = user % KINDS
        chances = np.where(np.arange(ARTISTS) % KINDS == liked, 12.0, 1.0) / (1 + np.arange(ARTISTS) % 7)
        for artist in random.choice(ARTISTS, 12, replace=False, p=chances / chances.sum()):
            lines.append(f"u{user},{artist},g{artist % KINDS},{20 + 10 * liked}")
    return "\n".join([lines[0], *random.permutation(lines[1:])]) + "\n"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("listens")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WORKLOADS", "SCHEMAS", "HOME"):
            patch.setenv(f"TRAINYARD_{name}", str(root / name.lower()))
        for name in ("DATA", "STORE", "METADATA", "HISTORY"):
            patch.delenv(f"TRAINYARD_{name}", raising=False)
        suite = '{"name": "%s", "meta": {}, "expectations": []}'
        for name, files, schema, data in (
            ("listens", FILES, SCHEMA, listens()),
            ("points", POINTS, POINTS_SCHEMA, points()),
        ):
            contracts = {"schema.pbtxt": schema, "expectations.json": suite % name}
            span = {f"{name}.csv": data}
            where = (root / "workloads" / name, root / "schemas" / name, home.data_root() / name / "span-1")
            for folder, contents in zip(where, (files, contracts, span), strict=True):
                folder.mkdir(parents=True)
                for file, content in contents.items():
                    (folder / file).write_text(content)
        yield root


@pytest.fixture(scope="module")
def result(places: pathlib.Path) -> RunResult:
    return run(RunRequest("listens", None, (), 5), Display())


@pytest.fixture(scope="module")
def splits(result: RunResult, places: pathlib.Path) -> dict[str, pa.Table]:
    (examples,) = (places / "home").glob("**/ColumnarExampleGen/examples/*")
    return {split: read_split(examples, split) for split in ("train", "eval", "test")}


@pytest.fixture(scope="module")
def served(result: RunResult) -> Any:
    import tensorflow as tf

    return tf.saved_model.load(result.release["uri"])


def ask(served: Any, signature: str = "serving_default", **columns: list[object]) -> dict[str, np.ndarray]:
    import tensorflow as tf

    call = served.signatures[signature]
    specs = call.structured_input_signature[1]
    given = {name: tf.constant(values, specs[name].dtype) for name, values in columns.items()}
    return {name: value.numpy() for name, value in call(**given).items()}


def test_it_reaches_a_release(result: RunResult, places: pathlib.Path) -> None:
    assert (result.error, result.status) == (None, "succeeded")
    assert result.blessed and ModelStore(home.store_uri()).verify("listens", 1) == ()
    assert "Catalogue" in {one.id for one in result.components}
    assert result.metrics["ndcg_10"] > 0.1 and 0 < result.metrics["coverage_10"] <= 1
    (evaluated,) = (places / "home").glob("**/Evaluator/**/metrics.json")
    metrics = json.loads(evaluated.read_text())
    assert metrics["trivial"]["ndcg_10"] == pytest.approx(
        metrics["baseline"]["methods"][0]["overall"]["ndcg_10"], abs=0.05
    )


def test_a_query_is_not_torn_from_its_past(splits: dict[str, pa.Table]) -> None:
    """Rows, not users, are dealt to splits."""
    known = set(splits["train"]["user"].to_pylist())
    assert len(known & set(splits["test"]["user"].to_pylist())) > USERS / 2


def test_what_is_served_is_the_exact_best_of_what_a_user_has_not_had(served: Any, splits: dict[str, pa.Table]) -> None:
    train, both = splits["train"], pa.concat_tables([splits["train"], splits["eval"]])
    artists = {str(one): f"g{one % KINDS}" for one in train["artist"].to_pylist()}
    users = [f"u{one}" for one in range(8)] + ["somebody new"]
    ages = [20.0 + 10 * (int(one[1:]) % KINDS) for one in users[:-1]] + [30.0]
    found = ask(served, user=users, age=ages)
    assert found["items"].shape == found["scores"].shape == (len(users), TOP)
    for row, (user, age) in enumerate(zip(users, ages, strict=True)):
        had = {str(a) for u, a in zip(both["user"].to_pylist(), both["artist"].to_pylist(), strict=True) if u == user}
        names = [one for one in artists if one not in had]
        pairs = {"user": [user] * len(names), "age": [age] * len(names)}
        items = {"artist": [int(one) for one in names], "genre": [artists[one] for one in names]}
        scores = ask(served, "score", **pairs, **items)["score"]
        best = np.argsort(-scores, kind="stable")[:TOP]
        np.testing.assert_allclose(found["scores"][row][: len(best)], scores[best], rtol=1e-4, atol=1e-5)
        assert {one.decode() for one in found["items"][row]} - {""} <= set(names)


def test_somebody_new_is_answered_by_age(served: Any) -> None:
    found = ask(served, user=["new", "new too"], age=[20.0, 20.0])
    assert found["items"][0].tolist() == found["items"][1].tolist()
    kinds = [int(one) % KINDS for one in found["items"][0][:5]]
    assert kinds.count(0) >= 3, "the genre that people of this age like"


def test_items_that_are_alike(served: Any) -> None:
    found = ask(served, "similar_items", artist=[4, 10_000], genre=["g0", "g0"])
    assert b"4" not in found["items"][0]
    assert [int(one) % KINDS for one in found["items"][1][:4]].count(0) >= 3, "a new item is known by its genre"


def test_the_index_is_held_against_exact_search(places: pathlib.Path, result: RunResult) -> None:
    """Its graph lies in the release, and the evaluation says how much of the exact answers it finds."""
    assert (pathlib.Path(result.release["uri"]) / "assets.extra" / "index" / "hnsw.faiss").is_file()
    (gate,) = (places / "home").glob("**/Evaluator/evaluation/*/gate.json")
    checks = {one["name"]: one for one in json.loads(gate.read_text())["checks"]}
    found = checks["the index finds what exact search finds"]
    assert found["diagnostics"]["recall"] > 0.95 and "rows of test" in found["message"]
    assert found["name"] in pathlib.Path(result.reports["run"]).read_text()


def test_vectors_are_there_for_other_searches(result: RunResult, served: Any) -> None:
    """The file of the items and the embedding of a query are enough to find what is answered to somebody new."""
    items = pq.read_table(pathlib.Path(result.release["uri"]) / "assets.extra" / "items.parquet")
    vectors = np.stack(items["embedding"].to_pylist())
    query = ask(served, "query_embedding", user=["new"], age=[30.0])["embedding"]
    scores = (query @ vectors.T)[0]
    best, answer = np.argsort(-scores)[:TOP], ask(served, user=["new"], age=[30.0])
    np.testing.assert_allclose(answer["scores"][0], scores[best], rtol=1e-4, atol=1e-5)
    assert {one.decode() for one in answer["items"][0]} == {items["id"][int(place)].as_py() for place in best}
    (own,) = ask(
        served,
        "item_embedding",
        artist=[int(items["id"][0].as_py())],
        genre=[f"g{int(items['id'][0].as_py()) % KINDS}"],
    )["embedding"]
    np.testing.assert_allclose(own, vectors[0], rtol=1e-4, atol=1e-5)


def test_a_batch_has_lists(places: pathlib.Path, result: RunResult, tmp_path: pathlib.Path) -> None:
    ModelStore(home.store_uri()).promote("listens", 1, reason="test", actor="test")
    (tmp_path / "new.csv").write_text("user,age\nu1,30\nnobody,20\n")
    asked = predict(PredictRequest("listens", str(tmp_path / "new.csv"), tmp_path / "out", wait_s=5), Display())
    assert asked.status == "succeeded", asked.error
    table = pq.read_table(next((tmp_path / "out").glob("predictions-*")))
    assert table.column_names == ["file", "row", "items", "scores", "model_version"]
    assert [len(one) for one in table["items"].to_pylist()] == [TOP, TOP]


def test_the_report_shows_a_few_lists(result: RunResult) -> None:
    page = pathlib.Path(result.reports["run"]).read_text()
    assert "Answered to a few queries" in page and "answered: " in page and "had: " in page


def test_points_are_found_by_points_of_their_kind(places: pathlib.Path) -> None:
    found = run(RunRequest("points", None, (), 5), Display())
    assert (found.error, found.status, found.blessed) == (None, "succeeded", True)
    assert found.metrics["hit_1"] > 0.7 and found.metrics["map"] > 0.6
    import tensorflow as tf

    east = ask(tf.saved_model.load(found.release["uri"]), x=[3.0], y=[0.0])
    assert set(east) == {"items", "labels", "scores"} and east["labels"][0, :5].tolist() == [b"east"] * 5
    assert "Found for a few rows" in pathlib.Path(found.reports["run"]).read_text()

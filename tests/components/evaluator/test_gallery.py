"""The rows that a report shows one by one: which they are, and what is kept of them."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tfx.types import standard_artifacts

from components.evaluator.executor import Executor
from components.evaluator.notable import NotableRows
from components.pictures import Picture
from components.tasks import Gallery, Tensors, Tile
from components.tasks.gallery_file import plain
from components.tasks.multiclass import Multiclass

SCHEMA = """
feature { name: "fare" type: FLOAT }
feature { name: "hour" type: INT }
feature { name: "company" type: BYTES annotation { tag: "personal" } }
feature { name: "pixels" type: FLOAT shape { dim { size: 2 } } }
feature { name: "photo" type: BYTES image_domain {} }
feature { name: "target" type: BYTES }
"""


def answers_of(probabilities: Any) -> Tensors:
    p = np.asarray(probabilities, np.float32)
    return {"probabilities": p, "label": np.array([b"a", b"b", b"c"], dtype=object)[p.argmax(axis=1)]}


def added(batches: Sequence[slice], truths: np.ndarray, answers: Tensors) -> NotableRows:
    task, places = Multiclass(["a", "b", "c"]), np.arange(len(truths))
    parts = [NotableRows(task, seed=1) for _ in batches]
    for part, rows in zip(parts, batches, strict=True):
        some = {name: values[rows] for name, values in answers.items()}
        part.add(places[rows], truths[rows], some, some["probabilities"])
    for part in parts[1:]:
        parts[0].merge(part)
    return parts[0]


def test_the_surest_errors_stay_however_the_rows_were_divided() -> None:
    random = np.random.default_rng(3)
    p = random.dirichlet([0.3] * 3, 4000)
    p[17] = np.nan  # is not judged
    truths, answers = random.integers(0, 3, 4000), answers_of(p)
    called = p.argmax(axis=1)
    surest = [i for i in np.argsort(-p.max(axis=1)) if called[i] != truths[i] and i != 17][:16]
    for batches in ([slice(0, 4000)], [slice(0, 5), slice(5, 3000), slice(3000, 4000)]):
        places, found, kept = added(batches, truths, answers).rows()
        assert kept["probabilities"].max(axis=1).tolist() == pytest.approx(p[surest].max(axis=1).tolist())
        np.testing.assert_array_equal(found, truths[places])
        np.testing.assert_array_equal(kept["label"], answers["label"][places])


def test_a_model_that_is_always_right_has_no_errors_to_show() -> None:
    places, _, answers = added([slice(0, 3)], np.array([0, 1, 2]), answers_of(np.eye(3))).rows()
    assert len(places) == 0 and len(answers["label"]) == 0


def test_a_page_gets_no_more_than_it_bears() -> None:
    small, large = (Tile([Picture(bytes(size), 1, 1)], ["x" * 1000] * 20) for size in (100, 200_000))
    many, heavy = plain([Gallery("many", [small] * 60), Gallery("more", [small])])["galleries"]
    assert (len(many["tiles"]), many["left_out"], len(heavy["tiles"]), heavy["left_out"]) == (48, 12, 0, 1)
    (few,) = plain([Gallery("large", [large] * 3, "why")])["galleries"]
    assert (len(few["tiles"]), few["left_out"], few["caption"]) == (1, 2, "why")
    assert len(json.dumps(few)) < 400_000 and len(few["tiles"][0]["lines"]) == 12


@pytest.fixture
def run(model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any], output: Callable[..., Any]) -> Any:
    """The gallery of a multiclass model on some rows; None where there is no file."""

    def go(rows: pa.Table, schema: str) -> Any:
        made = output(
            evaluation=standard_artifacts.ModelEvaluation,
            blessing=standard_artifacts.ModelBlessing,
            schema=standard_artifacts.Schema,
        )
        inputs = {"examples": [examples_artifact(rows, rows_per_group=100)], "model": [model_artifact("multiclass")]}
        if schema:
            inputs["schema"] = made.pop("schema")
            pathlib.Path(inputs["schema"][0].uri).mkdir()
            (pathlib.Path(inputs["schema"][0].uri) / "schema.pbtxt").write_text(schema)
        config = json.dumps({"task": "multiclass", "label": "target", "batch_size": 64})
        Executor().Do(inputs, made, {"evaluation_config": config})
        found = pathlib.Path(made["evaluation"][0].uri) / "gallery.json"
        return json.loads(found.read_text()) if found.exists() else None

    return go


def test_errors_are_shown_without_what_is_personal(run: Any, make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(250, "multiclass")
    (gallery,) = run(rows, SCHEMA)["galleries"]
    assert len(gallery["tiles"]) == 16 and gallery["tiles"][0]["mark"] == "bad"
    said, truth, *words = gallery["tiles"][0]["lines"]
    assert said[0] in "ac" and truth[:3] == "is " and said[0] != truth[3]
    assert {word.split(":")[0] for word in words} <= {"fare", "hour", "pixels"}
    fares = [round(one, 4) for one in rows["fare"].to_pylist() if one is not None]
    shown = [float(word[6:]) for tile in gallery["tiles"] for word in tile["lines"] if word.startswith("fare: ")]
    assert shown and all(min(abs(one - fare) for fare in fares) < 1e-3 for one in shown)


def test_errors_are_shown_as_pictures_where_rows_have_some(run: Any, make_rows: Callable[..., pa.Table]) -> None:
    import tensorflow as tf

    rows = make_rows(120, "multiclass")
    content = [tf.io.encode_jpeg(np.full((3, 5, 3), n, np.uint8)).numpy() for n in range(120)]
    (gallery,) = run(rows.append_column("photo", pa.array(content, pa.binary())), SCHEMA)["galleries"]
    (picture,) = gallery["tiles"][0]["pictures"]
    assert (picture["width"], picture["height"], picture["media_type"]) == (110, 66, "image/png")
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG") and len(gallery["tiles"][0]["lines"]) == 2


def test_who_does_not_say_what_is_personal_gets_no_gallery(run: Any, make_rows: Callable[..., pa.Table]) -> None:
    assert run(make_rows(50, "multiclass"), "") is None


def test_rows_that_are_personal_altogether_have_no_gallery(run: Any, make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(50, "multiclass")
    personal = "".join(
        f'feature {{ name: "{name}" type: BYTES annotation {{ tag: "personal" }} }}\n'
        for name in rows.column_names
        if name != "target"
    )
    assert run(rows, personal) in (None, {"galleries": []})

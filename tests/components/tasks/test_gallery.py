"""Rows as a report shows them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.pictures import Pixels
from components.tasks import ShownRows
from components.tasks.binary import Binary
from components.tasks.multilabel import Multilabel

TEXT = "Congratulations! You have won a prize that nobody else has won, call now"


def test_a_row_speaks_by_its_long_texts_or_else_by_its_columns() -> None:
    rows = ShownRows(
        pa.RecordBatch.from_pydict(
            {
                "n": [1, None],
                "fare": [2.5, 1 / 3],
                "text": [TEXT, "short"],
                "code": [b"\x00", b"\x01"],
                "ink": [[0.0] * 4, [1.0] * 4],
            }
        ),
        {"ink": Pixels()},
    )
    assert rows.words(0) == [TEXT]
    assert rows.words(1) == ["fare: 0.333333", "text: short"]


def test_a_tile_has_the_rows_picture_or_else_its_words() -> None:
    ink = pa.array([[0.0, 1.0, 2.0, 3.0], [1.0] * 3], pa.list_(pa.float32()))
    rows = ShownRows(pa.RecordBatch.from_pydict({"n": [7, 8], "ink": ink}), {"ink": Pixels(0, 3)})
    picture = rows.picture(0)
    assert picture is not None and picture[..., 0].tolist() == [[0, 85], [170, 255]]
    tile = rows.tile(0, "said", mark="good", answer_given=picture)
    assert [one.title for one in tile.pictures] == ["", "answer given"]
    assert (tile.lines, tile.mark) == (("said",), "good")
    assert rows.tile(1, "said").lines == ("said", "n: 8") and not rows.tile(1).pictures  # three pixels are no square


def test_a_binary_model_shows_what_it_called_wrongly_at_its_threshold() -> None:
    task = Binary(["no", "yes"], threshold=0.2)
    truths = np.array([0, 1, 0, 1])
    answers = {
        "probability": np.array([0.3, 0.3, 0.1, 0.15]),
        "label": np.array([b"yes", b"yes", b"no", b"no"], dtype=object),
    }
    assert task.interest(truths, answers).tolist() == [0.3, -np.inf, -np.inf, 0.85]
    wrong = {name: values[[3, 0]] for name, values in answers.items()}
    (gallery,) = task.gallery(ShownRows(pa.RecordBatch.from_pydict({"n": [4, 1]})), truths[[3, 0]], wrong)
    assert [tile.lines for tile in gallery.tiles] == [("no (0.85)", "is yes", "n: 4"), ("yes (0.30)", "is no", "n: 1")]


def test_a_multilabel_model_shows_what_it_was_most_wrong_about() -> None:
    task = Multilabel(["cat", "dög", "owl"])
    truths = np.array([[True, True, False], [False, False, False], [True, False, False]])
    answers = {
        "probabilities": np.array([[0.9, 0.2, 0.4], [0.1, 0.2, 0.7], [0.9, 0.1, 0.1]]),
        "label": np.array([b"cat", b"owl", b"cat"], dtype=object),
    }
    assert task.interest(truths, answers).tolist() == pytest.approx([0.8, 0.7, -np.inf])
    rows = ShownRows(pa.RecordBatch.from_pydict({"n": [1, 2]}))
    (gallery,) = task.gallery(rows, truths[:2], {name: values[:2] for name, values in answers.items()})
    assert gallery.tiles[0].lines == ("cat (0.80)", "is cat;dög", "n: 1")
    assert gallery.tiles[1].lines == ("owl (0.70)", "is nothing", "n: 2")

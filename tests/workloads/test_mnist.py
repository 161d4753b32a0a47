"""The mnist workload on its own data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components import user_code


@pytest.fixture(scope="module")
def mnist(case: Callable[[str], Any]) -> Any:
    return case("mnist")


@pytest.fixture(scope="module")
def rows(mnist: Any) -> pa.Table:
    return mnist.rows().slice(0, 5000)


def _pictures() -> Any:
    """A bar across the middle of each of 32 pictures."""
    pictures = np.zeros((32, 28, 28, 1), np.float32)
    pictures[:, 12:16, 4:24] = 1.0
    return pictures


def _augmentation(mnist: Any, **options: Any) -> Any:
    layer = user_code.load_function(str(mnist.folder / "model.py"), "RandomAffine")
    return layer(**{"degrees": 0, "scale": 0, "shear": 0, "shift": 0, "seed": 1, **options})


def test_the_data_keeps_its_contracts(mnist: Any, rows: pa.Table) -> None:
    assert mnist.anomalies(rows) == {}
    assert mnist.failed_expectations(rows) == []
    assert rows.column_names == ["image_bytes", "label"]


def test_pictures_of_another_size_are_refused(mnist: Any, rows: pa.Table) -> None:
    short = rows.slice(0, 3).set_column(0, "image_bytes", pa.array([b"\0" * 100] * 3, pa.binary()))
    with pytest.raises(Exception, match="784"):
        mnist.vectors(short)


def test_augmentation_is_for_training_alone(mnist: Any) -> None:
    layer = _augmentation(mnist, degrees=10, scale=0.1, shear=0.1, shift=2)
    pictures = _pictures()
    np.testing.assert_array_equal(layer(pictures), pictures)
    np.testing.assert_array_equal(layer(pictures, training=False), pictures)
    changed = np.asarray(layer(pictures, training=True))
    assert changed.shape == pictures.shape
    assert len({picture.tobytes() for picture in changed}) == 32
    assert inspect.signature(layer.call).parameters["training"].default is False


@pytest.mark.parametrize(
    ("options", "moved"),
    [({}, 0.0), ({"shift": 2}, 2.0), ({"degrees": 10}, 0.1), ({"scale": 0.1}, 0.1), ({"shear": 0.1}, 0.1)],
)
def test_augmentation_moves_the_centre_by_a_shift_alone(mnist: Any, options: dict[str, float], moved: float) -> None:
    changed = np.asarray(_augmentation(mnist, **options)(_pictures(), training=True))[..., 0]
    centres = np.stack(
        [(changed.sum(axis=axis) * np.arange(28)).sum(1) / changed.sum((1, 2)) - 13.5 for axis in (2, 1)]
    )
    assert np.abs(centres).max() <= moved + 1e-3
    assert changed.min() >= 0 and changed.max() <= 1 + 1e-5
    if options:
        assert np.abs(changed - _pictures()[..., 0]).max() > 0.1


def test_the_model_learns_from_a_tenth_of_the_data(mnist: Any, rows: pa.Table) -> None:
    labels = rows["label"].to_numpy()
    schema, features = mnist.vectors(rows)
    pixels = features["pixels"]
    assert pixels.shape == (5000, 784) and pixels.dtype == np.float32 and (pixels.min(), pixels.max()) == (0.0, 1.0)
    model = mnist.fit(schema, {"pixels": pixels[:4000]}, labels[:4000], epochs=3)
    answers = model.predict({"pixels": pixels[4000:]}, verbose=0)
    assert (answers.argmax(axis=1) == labels[4000:]).mean() > 0.9
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)

"""Folders of images: found by their classes, and made into a workload."""

from __future__ import annotations

import base64
import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.schema import classes_of, feature_of, read_schema
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.images import find_images
from pipelines.scaffold.request import Request
from spec import home
from spec.errors import InputError
from spec.workload import load_workload

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture
def photos(places: pathlib.Path) -> pathlib.Path:
    for number in range(30):
        path = places / "photos" / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)
    return places / "photos"


def test_a_folder_of_class_folders_becomes_a_workload(photos: pathlib.Path) -> None:
    created = create(Request("pets", str(photos), ""))
    workload = load_workload(created.workload)
    assert (workload.data.format, workload.data.label.column) == ("images", "label")
    assert workload.data.uri.endswith("/*/*")
    schema = read_schema(str(created.schemas))
    assert classes_of(schema, "label") == ["cat", "dog"]
    assert feature_of(schema, "image").HasField("image_domain")
    assert (created.span / "dog" / "1.png").read_bytes() == PNG
    assert "Images: image" in created.story


def test_what_is_left_out_of_a_folder_is_said(photos: pathlib.Path) -> None:
    for name in ("notes.txt", "cat/new.heic", "cat/more/1.png", "dog/.DS_Store"):
        path = photos / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PNG)
    created = create(Request("pets", str(photos), ""))
    (told,) = (line for line in created.story if line.startswith("Left out: "))
    assert (
        told
        == "Left out: 3 files that are no JPEG, PNG, GIF, WebP or BMP right in a class's folder: cat/more/1.png, cat/new.heic, "
        "notes.txt"
    )
    assert not (created.span / "cat" / "new.heic").exists()


@pytest.mark.parametrize("task", ["segmentation", "reconstruction", "retrieval", "generation", "regression"])
def test_a_task_that_does_not_learn_classes_is_written_by_hand(photos: pathlib.Path, task: str) -> None:
    with pytest.raises(InputError, match=rf"--task {task}: of images, .*by hand \(docs/guides/\S+\.md\)") as raised:
        create(Request("pets", str(photos), "", task=task))
    guide = str(raised.value).rpartition("(")[2].removesuffix(").")
    assert (home.ROOT / guide).is_file()


def test_what_is_no_folder_of_classes_is_explained(photos: pathlib.Path) -> None:
    with pytest.raises(InputError, match="--time: images have no columns"):
        create(Request("pets", str(photos), "", time="day"))
    (photos / "bird").mkdir()
    with pytest.raises(InputError, match="'bird' has no image"):
        find_images(photos)
    (photos / "bird").rmdir()
    (photos.parent / "all").mkdir()
    photos.rename(photos.parent / "all" / "train")
    with pytest.raises(InputError, match=r"folders of splits \(train\)"):
        find_images(photos.parent / "all")


@pytest.mark.slow  # TFT and Keras once more; tables have a quick test
def test_the_drafted_test_of_images_passes(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    run_drafted_test(create(Request("pets", str(photos), "")), tmp_path / "scratch")


@pytest.mark.slow
def test_the_drafted_test_of_texts_passes(photos: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = ["good", "bad", "film", "it", "was", "a", "very", "long", "one", "not"]
    random = np.random.default_rng(1)
    texts = [" ".join(random.choice(words, random.integers(6, 12))) for _ in range(60)]
    path = tmp_path / "reviews.csv"
    pd.DataFrame({"review": texts, "stars": range(60), "liked": ["no", "yes"] * 30}).to_csv(path, index=False)
    created = create(Request("reviews", str(path), "liked"))
    assert "Texts: review" in created.story
    run_drafted_test(created, tmp_path / "scratch")


def run_drafted_test(created: Created, scratch: pathlib.Path) -> None:
    code: dict[str, Any] = {}
    exec(compile(created.test.read_text(), str(created.test), "exec"), code)
    scratch.mkdir()
    code["test_features_and_model_fit_together"](scratch)

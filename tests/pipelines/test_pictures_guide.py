"""docs/guides/pictures.md as it stands: each of its use cases, on a few rows."""

from __future__ import annotations

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

from pipelines.scaffold.trial import try_workload
from spec import home

GUIDE = home.ROOT / "docs" / "guides" / "pictures.md"
SUITE = '{"name": "pictures", "meta": {}, "expectations": []}'
PICTURES = [bytes(tf.io.encode_png(np.full((32, 32, 3), shade, np.uint8)).numpy()) for shade in (20, 200)]
USE_CASES = {
    "Segmentation": ({"scene": PICTURES}, (2, 64, 64, 2)),
    "Reconstruction": ({"image": PICTURES}, (2, 32 * 32)),
    "Generation": ({"sign": ["3", "7"], "seed": [1, 2]}, (2, 32, 32, 3)),
}


@pytest.mark.slow  # TFT and Keras, three times
@pytest.mark.parametrize("title", USE_CASES)
def test_a_use_case_fits_together(tmp_path: pathlib.Path, title: str) -> None:
    section = GUIDE.read_text().partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    workload, schema, features, model = re.findall(r"```(?:yaml|text|python)\n(.*?)```", section, re.DOTALL)
    contents = {
        "workload.yaml": workload, "features.py": features, "model.py": model, "schema.pbtxt": schema, "expectations.json": SUITE
    }  # fmt: skip
    folder = tmp_path / re.findall(r"name: (\w+)", workload)[0]
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_text(content)
    rows, shape = USE_CASES[title]
    (tmp_path / "scratch").mkdir()
    answers = try_workload(folder, folder, rows, tmp_path / "scratch")
    assert answers.shape == shape
    assert answers.min() >= 0 and answers.max() <= 1

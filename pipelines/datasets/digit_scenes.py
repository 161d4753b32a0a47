"""Pictures to segment, composed here: digits of MNIST on an uneven, noisy ground, with which pixel belongs to which digit."""

from __future__ import annotations

import io
import pathlib
from typing import TYPE_CHECKING

from pipelines.datasets import mnist
from pipelines.datasets._dataset import Dataset
from spec.splits import TEST, TRAIN

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_SCENES = {TRAIN: 5_000, TEST: 1_000}
_SIDE, _LEAST, _MOST = 64, 22, 34  # of a scene, of the smallest and of the largest digit, in pixels
_TRIES = 30  # to find a free place; a digit that finds none is left out
_SEED = 20


def _scene(digits: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One to three digits of any size, none over another, brighter than the ground about them.

    Args:
        digits: [N, 28, 28] uint8, 0 is ground; labels: [N] uint8.

    Returns:
        The picture and its mask, both [64, 64] uint8; in the mask 0 is ground, a digit its value + 1.
    """
    import numpy as np
    from PIL import Image

    x, y = np.meshgrid(*[np.linspace(-1, 1, _SIDE)] * 2)
    slope = random.uniform(-35, 35, 2)
    picture = random.uniform(40, 90) + slope[0] * x + slope[1] * y
    mask, taken = np.zeros((_SIDE, _SIDE), np.uint8), np.zeros((_SIDE, _SIDE), bool)
    for chosen in random.integers(len(digits), size=random.integers(1, 4)):
        side = int(random.integers(_LEAST, _MOST + 1))
        ink = np.asarray(Image.fromarray(digits[chosen]).resize((side, side), Image.Resampling.BILINEAR)) / 255
        contrast = random.uniform(70, 150)
        for top, left in random.integers(0, _SIDE - side + 1, size=(_TRIES, 2)):
            place = np.s_[top : top + side, left : left + side]
            if not taken[place].any():
                taken[place] = True
                picture[place] += ink * contrast
                mask[place][ink > 0.5] = labels[chosen] + 1
                break
    noisy = picture + random.normal(0, 14, picture.shape)
    return noisy.clip(0, 255).astype(np.uint8), mask


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def _part(split: str, images: np.ndarray, labels: np.ndarray) -> pa.Table:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng([_SEED, len(images)])
    scenes = [_scene(images, labels, random) for _ in range(_SCENES[split])]
    pictures, masks = ([_png(pixels) for pixels in some] for some in zip(*scenes, strict=True))
    return pa.table({"image": pictures, "mask": masks, "split": pa.repeat(pa.scalar(split), len(scenes))})


def _write(span: int, folder: pathlib.Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables(_part(split, *pictures) for split, pictures in mnist.pictures().items())
    pq.write_table(
        table,
        folder / "digit_scenes.parquet",
        compression="zstd",
        use_dictionary=["split"],
    )


DATASET = Dataset(
    name="digit_scenes",
    description="6,000 composed scenes of 64 x 64 pixels (PNG) of one to three handwritten digits, each with a mask (PNG): 0 is "
    "ground, 1 to 10 the digits 0 to 9. Scenes of train show digits of MNIST's train set, those of test of its test set.",
    source=f"composed by Trainyard of {mnist.DATASET.source}",
    licence=mnist.DATASET.licence,
    spans=range(1, 2),
    write=_write,
)

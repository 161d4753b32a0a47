"""What the model makes after some epochs, of the same rows each time: a training that goes astray is seen."""

from __future__ import annotations

import base64
import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import pictures
from components.tasks import Gallery, Task, Tile
from components.trainer._input import Split

_MOST = 6
_LONGEST = 768  # pixels of a picture's longer side on the page


def epochs_shown(epochs: int) -> list[int]:
    """The first, then each twice as late as the one before, and the last; further apart where these were more than six.

    Example:
        >>> epochs_shown(10), epochs_shown(100)
        ([1, 2, 4, 8, 10], [1, 3, 6, 16, 40, 100])
    """
    ratio = max(2.0, epochs ** (1 / (_MOST - 1)))
    early = (round(ratio**n) for n in range(_MOST))
    return sorted({*(one for one in early if one < epochs), epochs})


class Sketches:
    """Draws what a task's model makes of the first rows of eval.

    Attributes:
        drawn: by epoch, counted from 1, PNG as base64; JSON, for a checkpoint.

    Args:
        epochs: of the whole training.
        strategy: that the model's variables live under; None: one device.
    """

    def __init__(self, task: Task, evaluation: Split, epochs: int, strategy: Any = None) -> None:
        self._task, self._evaluation, self._strategy = task, evaluation, strategy
        self._epochs = epochs_shown(epochs) if task.sketch_rows else []
        self.drawn: dict[str, str] = {}

    def draw(self, model: keras.Model, epoch: int, is_last: bool) -> None:
        """Draws after an epoch that is shown.

        Every worker calls it: reading a variable may need all of them.

        Args:
            epoch: counted from 1, that is done.
            is_last: whether training ends with it, however many there were to be.
        """
        if epoch not in self._epochs and not (is_last and self._epochs):
            return
        features = self._features
        if self._strategy:
            # A replica computes what one device would; outside of one, moving averages are no plain variables.
            found = self._strategy.run(lambda: model(features, training=False))
            output = self._strategy.experimental_local_results(found)[0]
        else:
            output = model(features, training=False)
        content = tf.io.encode_png(self._task.sketch(np.asarray(output, np.float32))).numpy()
        self.drawn[str(epoch)] = base64.b64encode(content).decode("ascii")

    def gallery(self) -> Gallery:
        """What was drawn, an epoch a tile."""
        tiles = []
        for epoch, content in self.drawn.items():
            picture = pictures.decoded(base64.b64decode(content))
            assert picture is not None
            tiles.append(Tile([pictures.thumbnail(picture, longest=_LONGEST)], [f"After epoch {epoch}"]))
        return Gallery("Drawn while it learnt", tiles, "The same rows of eval each time, one below the other.")

    @functools.cached_property
    def _features(self) -> Any:
        features, *_ = next(iter(self._evaluation.dataset(self._task.sketch_rows)))
        return features

"""Features of the digits workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

INK = 16.0  # the darkest pixel


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Scales pixels from 0..16 to 0..1.

    Args:
        inputs: `pixels`, float32 [N, 64].

    Returns:
        `pixels`, float32 [N, 64].
    """
    return {"pixels": inputs["pixels"] / INK}

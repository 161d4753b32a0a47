"""Features of the image_search workload: what SqueezeNet sees in a photo. What training sees is what serving sees.

SqueezeNet stays as it is. So its pass over the photos, by far the dearest part, is made here, once, and not in every epoch.
"""

from __future__ import annotations

import tensorflow as tf
from squeezenet import squeezenet  # type: ignore[import-not-found]  # beside this file

from components.assets import asset_path


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Describes each photo.

    Args:
        inputs: `image`, string [N]: JPEG or PNG.

    Returns:
        `seen`, float32 [N, 512].
    """
    describe = squeezenet(asset_path("squeezenet"))
    # One by one: the first convolution alone makes 3 MB of a photo, and a batch may have thousands.
    return {"seen": tf.map_fn(describe, inputs["image"], fn_output_signature=tf.float32, parallel_iterations=2)}

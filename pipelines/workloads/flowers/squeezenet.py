"""SqueezeNet 1.1 without its head (Iandola et al. 2016): as good as AlexNet, in 3 MB."""

from __future__ import annotations

import pathlib

import h5py  # type: ignore[import-untyped]
import keras
from keras import layers

# Width before and after each fire module, from the second layer on.
_FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
_POOLED_AFTER = (3, 5)
# Of ImageNet's photos, as the weights were trained.
_MEAN_COLOUR = (123.68, 116.779, 103.939)


def squeezenet(images: keras.KerasTensor, weights: pathlib.Path, learns_from: int = 2) -> keras.KerasTensor:
    """RGB of 0 to 255, [N, H, W, 3] -> what is seen in each on the whole, [N, 512].

    Args:
        weights: of ImageNet, HDF5 as Keras 2 wrote it.
        learns_from: the first fire module that is trained; those before, and the first layer, stay as they are.
    """
    loaded = _Weights(weights)
    x = layers.Normalization(mean=_MEAN_COLOUR, variance=(1, 1, 1))(images)
    x = loaded.convolution(x, "conv1", 64, 3, learns=False, strides=2)
    x = layers.MaxPooling2D(3, 2)(x)
    for number, (squeezed, expanded) in _FIRES.items():
        name, learns = f"fire{number}", number >= learns_from
        x = loaded.convolution(x, f"{name}/squeeze1x1", squeezed, 1, learns)
        x = layers.Concatenate()(
            [
                loaded.convolution(x, f"{name}/expand{size}x{size}", expanded, size, learns, padding="same")
                for size in (1, 3)
            ]
        )
        if number in _POOLED_AFTER:
            x = layers.MaxPooling2D(3, 2)(x)
    return layers.GlobalAveragePooling2D()(x)


class _Weights:
    def __init__(self, path: pathlib.Path) -> None:
        with h5py.File(path) as file:
            self._layers = {
                layer.decode(): [file[layer][name][()] for name in file[layer].attrs["weight_names"]]
                for layer in file.attrs["layer_names"]
            }
        # The weights were trained on blue, green, red.
        self._layers["conv1"][0] = self._layers["conv1"][0][:, :, ::-1]

    def convolution(
        self,
        x: keras.KerasTensor,
        name: str,
        filters: int,
        size: int,
        learns: bool,
        strides: int = 1,
        padding: str = "valid",
    ) -> keras.KerasTensor:
        layer = layers.Conv2D(
            filters, size, strides, padding, activation="relu", trainable=learns, name=name.replace("/", "_")
        )
        x = layer(x)
        layer.set_weights(self._layers[name])
        return x

"""Weights in 8 bits, by Keras: layers multiply in whole numbers, and a scale a column brings the result back."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

from spec.errors import InputError
from spec.words import some_of

if TYPE_CHECKING:
    from components.trainer.compressing import Trained
    from spec.workload import Variant

_QUANTISED = ("Dense", "EinsumDense", "Embedding")


def make(trained: Trained, variant: Variant, folder: pathlib.Path) -> None:
    """Writes the SavedModel of the quantised model.

    Raises:
        InputError: none of its layers can be quantised.
    """
    model = trained.fitted()
    model.quantize("int8")
    layers = model._flatten_layers(include_self=False)
    if not any(getattr(one, "quantization_mode", None) == "int8" for one in layers):
        kinds = [*dict.fromkeys(type(one).__name__ for one in layers if one.weights)]
        raise InputError(
            f"Keras quantises layers of the kinds {', '.join(_QUANTISED)}, and the model has none. It has {some_of(kinds)}. Take "
            "litert-int8"
        )
    trained.export(model, folder)

"""The network by LiteRT's own operations: in whole numbers of 8 bits, or with weights in half precision."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from spec.errors import InputError
from spec.words import one_line, some_of

if TYPE_CHECKING:
    from components.trainer.compressing import Trained
    from spec.workload import Variant

# Rows of train that the ranges of all layers are taken from.
_ROWS = 500
# What has weights of its own: the head of a network is what follows the last of them.
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")


def make_int8(trained: Trained, variant: Variant, folder: pathlib.Path) -> None:
    """Weights and what layers hand on are of 8 bits, all but the head: a probability or an amount in 256 steps would be too coarse.

    Raises:
        InputError: LiteRT lacks an operation of the network.
    """
    network = _Network(trained)
    content = converted(network.converter())  # refuses what it must, and tells where the head begins
    sample = trained.sample(_ROWS)

    def rows() -> Iterator[dict[str, Any]]:
        yield sample

    converter = network.converter()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = rows
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=head(content))
    debugger = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=rows, debug_options=options)
    trained.export_around(debugger.get_nondebug_quantized_model(), folder)


def make_float16(trained: Trained, variant: Variant, folder: pathlib.Path) -> None:
    """Weights are stored in half precision, and computed with in float32.

    Raises:
        InputError: LiteRT lacks an operation of the network.
    """
    network = _Network(trained)
    converter = network.converter()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    trained.export_around(converted(converter), folder)


class _Network:
    def __init__(self, trained: Trained) -> None:
        if texts := [name for name, one in trained.schema.features.items() if one.dtype == "string"]:
            raise InputError(
                f"LiteRT takes numbers, and feature {texts[0]!r} is text. Let features.py make numbers of it, or take keras-int8 or "
                "pruned"
            )
        model = trained.fitted()
        self._function = trained.network(model)
        self._kept = tf.Module()  # TensorFlow drops a variable that nothing in Python holds
        self._kept.of_model = [one.value for one in model.variables]

    def converter(self) -> Any:
        return tf.lite.TFLiteConverter.from_concrete_functions([self._function], self._kept)


def converted(converter: Any) -> bytes:
    """What a converter makes.

    Raises:
        InputError: LiteRT lacks an operation.
    """
    try:
        content: bytes = converter.convert()
    except Exception as error:  # ConverterError, ValueError: whatever the converter does not take
        named = dict.fromkeys(re.findall(r"'tf\.(\w+)' op", str(error)))
        why = f"it has no {some_of([*named])}" if named else one_line(error, 200)
        raise InputError(
            f"LiteRT cannot compute the network: {why}. Build the model without it, or take keras-int8 or pruned"
        ) from error
    return content


def head(content: bytes) -> list[str]:
    """The operations of a network from the last that has weights to its output, by the names of what they make."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (network,) = model.subgraphs[:1]
    kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    makers = {place: one for one in network.operators for place in one.outputs}
    found: dict[int, str] = {}
    waiting = [*network.outputs]
    while waiting:
        place = waiting.pop()
        maker = makers.get(place)
        if maker is None or place in found:
            continue
        found[place] = network.tensors[place].name.decode()
        code = model.operatorCodes[maker.opcodeIndex]
        if kinds[max(code.builtinCode, code.deprecatedBuiltinCode)] not in _WEIGHTED:
            waiting += [*maker.inputs]
    return [*found.values()]

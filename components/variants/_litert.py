"""The network by LiteRT's own operations: in whole numbers of 8 bits, or with weights in half precision."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from spec.errors import InputError
from spec.words import one_line, some_of

if TYPE_CHECKING:
    from components.trainer.compressing import Trained
    from spec.workload import Variant

# Rows of train that the ranges of all layers are taken from.
_ROWS = 500
# What has weights of its own, and takes the time.
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL")


def make_int8(trained: Trained, variant: Variant, folder: pathlib.Path) -> None:
    """Weights and what layers hand on are of 8 bits, but for the head and for ids.

    The head is what follows the last weights, and those: a probability or an amount in 256 steps would be too coarse.

    Raises:
        InputError: LiteRT lacks an operation of the network.
    """
    network = _Network(trained)
    content = converted(network.converter())  # refuses what it must
    sample = trained.sample(_ROWS)

    def rows() -> Iterator[dict[str, Any]]:
        yield sample

    converter = network.converter()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = rows
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=Operations(content).exact)
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
        lacking = dict.fromkeys(re.findall(r"'tf\.(\w+)' op is neither", str(error)))
        said = re.search(r"error: (.+)", str(error))
        why = f"it has no {some_of([*lacking])}" if lacking else one_line(said[1] if said else error, 200)
        raise InputError(
            f"LiteRT cannot compute the network: {why}. Build the model without that, or take keras-int8 or pruned"
        ) from error
    return content


class Operations:
    """The operations of a network in LiteRT's form, by what they make.

    Args:
        content: of a network that computes in float32.
    """

    def __init__(self, content: bytes) -> None:
        from ai_edge_litert import schema_py_generated as schema

        model = schema.ModelT.InitFromPackedBuf(content, 0)
        self._network = model.subgraphs[0]
        kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        codes = [kinds[max(one.builtinCode, one.deprecatedBuiltinCode)] for one in model.operatorCodes]
        self._makers = {place: one for one in self._network.operators for place in one.outputs}
        self._kinds = {place: codes[one.opcodeIndex] for place, one in self._makers.items()}
        self._floats = {
            place for place, one in enumerate(self._network.tensors) if one.type == schema.TensorType.FLOAT32
        }

    @property
    def exact(self) -> list[str]:
        """Those that are to compute in float32 still, by the names of what they make."""
        makers, kinds, floats = self._makers, self._kinds, self._floats
        head = self._before(self._network.outputs, with_weights=True)
        # An id of 3 that became 2.99 is cut to 2.
        cut = [makers[n].inputs[0] for n, kind in kinds.items() if kind == "CAST" and n not in floats]
        ids = self._before([place for place in cut if place in floats], with_weights=False)
        # LiteRT's own copies its values as they are, whatever their scale.
        one_hot = {place for place, kind in kinds.items() if kind == "ONE_HOT"}
        return [self._network.tensors[place].name.decode() for place in sorted(head | ids | one_hot)]

    def _before(self, places: Iterable[int], with_weights: bool) -> set[int]:
        """What is made on the way to some tensors since the last operations that have weights, those included or not."""
        found: set[int] = set()
        waiting = [*places]
        while waiting:
            place = waiting.pop()
            has_weights = self._kinds.get(place) in _WEIGHTED
            if place in found or place not in self._makers or (has_weights and not with_weights):
                continue
            found.add(place)
            waiting += [] if has_weights else [*self._makers[place].inputs]
        return found

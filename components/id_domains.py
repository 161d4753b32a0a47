"""Which ids a tensor of a graph holds: those of a vocabulary, however they were cut, padded and joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Operations that hand values on, and which of their inputs those values are.
_VALUES: dict[str, slice] = {
    **dict.fromkeys(
        (
            "BroadcastTo",
            "Cast",
            "EnsureShape",
            "ExpandDims",
            "GatherNd",
            "GatherV2",
            "Identity",
            "MirrorPad",
            "Pad",
            "Reshape",
            "ReverseSequence",
            "ReverseV2",
            "Slice",
            "SplitV",
            "Squeeze",
            "StopGradient",
            "StridedSlice",
            "Tile",
            "Transpose",
            "Unpack",
        ),
        slice(0, 1),
    ),
    "ConcatV2": slice(0, -1),
    "Fill": slice(1, 2),
    "Pack": slice(None),
    "PadV2": slice(0, None, 2),
    "RaggedTensorToSparse": slice(-1, None),
    "RaggedTensorToTensor": slice(1, 3),
    "Select": slice(1, 3),
    "SelectV2": slice(1, 3),
    "SparseFillEmptyRows": slice(1, 4, 2),
    "SparseSlice": slice(1, 2),
    "SparseToDense": slice(2, 4),
    "Split": slice(1, 2),
}
# Of those that give more than the values, which output these are.
_OUTPUT = {"RaggedTensorToSparse": 1, "SparseFillEmptyRows": 1, "SparseSlice": 1}
_SHIFTS = ("AddV2", "Add", "Sub")


@dataclasses.dataclass(frozen=True)
class Ids:
    """What a tensor's values are.

    Attributes:
        domains: of tensors whose ids these are, each with what was added to them.
        constants: further values, such as what fills a row.
    """

    domains: tuple[tuple[Any, int], ...] = ()
    constants: tuple[int, ...] = ()

    def __or__(self, other: Ids) -> Ids:
        return Ids(self.domains + other.domains, self.constants + other.constants)


def ids_of(tensor: Any, domain: Callable[[Any], Any]) -> Ids | None:
    """Walks back from a tensor to those whose domain is known.

    Args:
        tensor: of integers, in a graph.
        domain: of a tensor; None where it is not known.

    Returns:
        None where the tensor has other values besides, or where no domain is found.
    """
    found = _found(tensor, domain, 0)
    return found if found and found.domains else None


def _found(tensor: Any, domain: Callable[[Any], Any], shift: int) -> Ids | None:
    if (known := domain(tensor)) is not None:
        return Ids(((known, shift),))
    operation = tensor.op
    if operation.type in _SHIFTS:
        value, added = operation.inputs
        constant = tf.get_static_value(added)
        if constant is None or constant.size != 1:
            return None
        by = int(constant.reshape(())) * (-1 if operation.type == "Sub" else 1)
        return _found(value, domain, shift + by)
    if operation.type == "Const":
        values = tf.get_static_value(tensor)
        return Ids((), tuple(sorted({int(values.min()) + shift, int(values.max()) + shift}))) if values.size else Ids()
    if operation.type not in _VALUES or not tensor.dtype.is_integer:
        return None
    if tensor.value_index != _OUTPUT.get(operation.type, tensor.value_index):
        return None
    found = Ids((), (shift,)) if operation.type == "Pad" else Ids()
    for one in list(operation.inputs)[_VALUES[operation.type]]:
        part = _found(one, domain, shift)
        if part is None:
            return None
        found |= part
    return found

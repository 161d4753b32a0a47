"""Which inputs an analyzer of TFT depends on, found in time that grows with the inputs and not with their square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from tensorflow_transform import graph_tools, tf_utils

from components.patching import replaced


def quick_source_keys() -> AbstractContextManager[None]:
    """Meanwhile TFT takes `source_keys` for its own.

    TFT 1.21 compares every source of every analyzer with every input, three times a run: with 2,000 inputs a third of Transform.
    """
    return replaced(graph_tools, "_retrieve_source_keys", source_keys)


def source_keys(sourced_tensors: Iterable[Any], structured_inputs: Mapping[str, Any]) -> set[str]:
    """What `graph_tools._retrieve_source_keys` finds.

    Args:
        structured_inputs: the placeholders of all inputs by key, composite ones too.
    """
    sinks = [tensor.op for tensor in sourced_tensors]
    found = graph_tools.retrieve_sources(sinks, ignore_control_dependencies=True)
    sources = {tf_utils.hashable_tensor_or_op(source) for source in found}
    return {
        key
        for key, value in structured_inputs.items()
        if any(tf_utils.hashable_tensor_or_op(one) in sources for one in graph_tools._decompose_tensor_or_op(value))
    }

"""Which of its inputs each output of a graph is made of."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


def made_of(function: Any) -> dict[str, list[str]]:
    """The inputs that each output needs, by name.

    Args:
        function: a concrete function that takes a dictionary and returns one.
    """
    (given,), _ = function.structured_input_signature
    library = {one.signature.name: one for one in function.graph.as_graph_def().library.function}
    needed = _Needed(library).places(function.function_def)
    inputs, outputs = _parts(given), _parts(function.structured_outputs)
    found: dict[str, set[str]] = {name: set() for name in outputs}
    for name, places in zip(outputs, needed, strict=True):
        found[name] |= {inputs[place] for place in places if place < len(inputs)}  # what comes after them is captured
    return {name: [one for one in given if one in needs] for name, needs in found.items()}


def _parts(structure: Mapping[str, Any]) -> list[str]:
    """The key of each tensor in a dictionary, in TensorFlow's order; a sparse one is several."""
    return [name for name in sorted(structure) for _ in tf.nest.flatten(structure[name], expand_composites=True)]


class _Needed:
    """Looks into the functions that a function calls: a transform graph is one, with all of the features."""

    def __init__(self, library: Mapping[str, Any]) -> None:
        self._library = library
        self._called = functools.cache(lambda name: self.places(library[name]))

    def places(self, function: Any) -> list[set[int]]:
        """The places of the arguments that each output needs."""
        arguments = {one.name: place for place, one in enumerate(function.signature.input_arg)}
        nodes = {node.name: node for node in function.node_def}
        return [self._needed(function.ret[one.name], arguments, nodes) for one in function.signature.output_arg]

    def _needed(self, tensor: str, arguments: Mapping[str, int], nodes: Mapping[str, Any]) -> set[int]:
        seen, waiting, found = set(), [tensor], set()
        while waiting:
            if (one := waiting.pop()) in seen:
                continue
            seen.add(one)
            name, _, output = one.partition(":")
            if name in arguments:
                found.add(arguments[name])
                continue
            node = nodes[name]
            inputs = [given for given in node.input if not given.startswith("^")]
            if node.op in _CALLS:
                places = self._called(node.attr["f"].func.name)[int(output.partition(":")[2])]
                inputs = [inputs[place] for place in places]
            waiting += inputs
        return found

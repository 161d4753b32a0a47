"""A model whose network LiteRT runs: a SavedModel makes its features of raw columns, and the answers of its output.

LiteRT has no operations for vocabularies and pictures in files, so these stay with TensorFlow on either side.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from spec.errors import InputError
from spec.words import one_line
from vector_index import Entry

if TYPE_CHECKING:
    import numpy as np

FEATURES, ANSWERS = "features", "answers"
"""The SavedModel's signatures: raw columns, as `serving_default` takes them -> features, as the network calls them; its output, by
the name OUTPUT -> what `serving_default` answers."""
OUTPUT = "output"
_FOLDER = pathlib.Path("assets.extra") / "litert"  # TensorFlow Serving leaves assets.extra alone
_DESCRIPTION, _NETWORK = "litert.json", "network.tflite"
_FORMAT = 1
_MOST_THREADS = 4

Tensors = dict[str, "np.ndarray"]


class Network:
    """A network in memory. Any number of threads may run it: each gets an interpreter of its own, and those are kept."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._idle: list[_Interpreter] = []
        self._lock = threading.Lock()
        with self._interpreter():
            pass  # what cannot be read is known before anybody asks

    def run(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """The output, [N, ...].

        Args:
            features: [N, ...] by name; the network may need some of them only.
        """
        with self._interpreter() as interpreter:
            return interpreter.run(features)

    @contextlib.contextmanager
    def _interpreter(self) -> Iterator[_Interpreter]:
        with self._lock:
            found = self._idle.pop() if self._idle else None
        found = found or _Interpreter(self._content)
        yield found  # one that raises is not used again
        self._idle.append(found)


class _Interpreter:
    def __init__(self, content: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # As TensorFlow, more than one for a request. Not as many as there are, since a container may have a part of its host's.
        threads = min(_MOST_THREADS, len(os.sched_getaffinity(0)))
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        signature = self._interpreter.get_signature_runner()
        self._inputs = {name: int(one["index"]) for name, one in signature.get_input_details().items()}
        self._output = int(signature.get_output_details()[OUTPUT]["index"])
        self._rows = 0

    def run(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        rows = len(next(iter(features.values())))
        if rows != self._rows:
            for name, place in self._inputs.items():
                self._interpreter.resize_tensor_input(place, features[name].shape)
            self._interpreter.allocate_tensors()
            self._rows = rows
        for name, place in self._inputs.items():
            self._interpreter.set_tensor(place, features[name])
        self._interpreter.invoke()
        found: np.ndarray = self._interpreter.get_tensor(self._output)
        return found


def write_network(saved_model: pathlib.Path, content: bytes) -> None:
    """Puts a network, as LiteRT reads it, between the two signatures of a SavedModel."""
    folder = saved_model / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _NETWORK).write_bytes(content)
    (folder / _DESCRIPTION).write_text(json.dumps({"format": _FORMAT}), encoding="utf-8")


def answering(saved_model: pathlib.Path, entry: Callable[[str], Entry]) -> Entry | None:
    """What answers by way of the network; None where there is none.

    Raises:
        InputError: it cannot be read.
        KeyError: the SavedModel lacks one of the two signatures.
    """
    folder = saved_model / _FOLDER
    if not folder.is_dir():
        return None
    try:
        said = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ValueError(f"its format is {said['format']}, this Trainyard reads {_FORMAT}")
        network = Network((folder / _NETWORK).read_bytes())
    except (OSError, ImportError, ValueError, KeyError, TypeError, RuntimeError) as error:
        why = f"no field {error}" if isinstance(error, KeyError) else one_line(error, 200)
        raise InputError(
            f"{folder}: the network cannot be read: {why}. Serve it with the Trainyard that made it, or train anew."
        ) from None
    before, after = entry(FEATURES), entry(ANSWERS)
    return Entry(before.inputs, after.outputs, lambda given: after.call({OUTPUT: network.run(before.call(given))}))

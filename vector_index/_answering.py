"""`serving_default` by way of the index: the items that it finds are ranked by the SavedModel, with exact scores."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING

from vector_index._index import Index, find

if TYPE_CHECKING:
    import numpy as np

# So many numbers of candidates' embeddings are in memory at a time: 64 MB.
_MOST_NUMBERS = 2**24

Tensors = dict[str, "np.ndarray"]


@dataclasses.dataclass(frozen=True)
class Entry:
    """A signature of a loaded SavedModel.

    Attributes:
        inputs: their names.
        outputs: likewise.
        call: tensors by input -> what the signature answers, by output.
    """

    inputs: Collection[str]
    outputs: Collection[str]
    call: Callable[[Mapping[str, np.ndarray]], Tensors]


def answering(
    saved_model: pathlib.Path, entry: Callable[[str], Entry]
) -> Callable[[Mapping[str, np.ndarray]], Tensors] | None:
    """What answers in place of `serving_default`, with its inputs and outputs; None where there is no index.

    Args:
        saved_model: folder.
        entry: the loaded SavedModel's signatures, by name.

    Raises:
        InputError: the index cannot be read.
    """
    index = find(saved_model)
    if index is None:
        return None
    return _Approximate(index, *(entry(name) for name in ("query_embedding", "rank_candidates", "serving_default")))


class _Approximate:
    def __init__(self, index: Index, embed: Entry, rank: Entry, exact: Entry) -> None:
        self._index, self._embed, self._rank, self._exact = index, embed, rank, exact
        self._rows = max(1, _MOST_NUMBERS // (index.candidates * index.dimensions))

    def __call__(self, inputs: Mapping[str, np.ndarray]) -> Tensors:
        import numpy as np

        rows = len(next(iter(inputs.values())))
        parts = [self._answer(_rows(inputs, slice(n, n + self._rows))) for n in range(0, max(1, rows), self._rows)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _answer(self, inputs: Mapping[str, np.ndarray]) -> Tensors:
        import numpy as np

        queries = self._embed.call({name: inputs[name] for name in self._embed.inputs})["embedding"]
        given = {**inputs, "embedding": queries, "candidates": self._index.search(queries)}
        found = self._rank.call({name: given[name] for name in self._rank.inputs})
        # Of what was found too much has been seen: those rows are searched for as if there were no index.
        short = np.flatnonzero(~found.pop("complete"))
        if len(short):
            exact = self._exact.call(_rows(inputs, short))
            for name, values in found.items():
                found[name] = values = values.astype(object) if values.dtype.kind in "OSU" else values.copy()
                values[short] = exact[name]
        return found


def _rows(inputs: Mapping[str, np.ndarray], which: slice | np.ndarray) -> Tensors:
    return {name: values[which] for name, values in inputs.items()}

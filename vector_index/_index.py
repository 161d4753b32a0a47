"""The index itself: a graph of items that are near to each other (HNSW), as faiss writes it."""

from __future__ import annotations

import json
import pathlib
from typing import TYPE_CHECKING, Any

from spec.errors import InputError
from spec.words import one_line

if TYPE_CHECKING:
    import numpy as np

_FOLDER = pathlib.Path("assets.extra") / "index"  # TensorFlow Serving leaves assets.extra alone
_DESCRIPTION, _GRAPH = "index.json", "hnsw.faiss"
_FORMAT = 1


class Index:
    """An index in memory. Threads may search it at the same time.

    Attributes:
        candidates: how many items are found for a query.
        dimensions: of an embedding.
    """

    def __init__(self, graph: Any, candidates: int, ef_search: int) -> None:
        self.candidates, self.dimensions = candidates, int(graph.d)
        self._graph, self._ef_search = graph, ef_search

    def search(self, queries: np.ndarray) -> np.ndarray:
        """The places of the items whose dot product with a query is greatest, as far as they are found.

        Args:
            queries: embeddings, [N, dimensions] of float32.

        Returns:
            [N, candidates] of int64, the nearest first; -1 where no more were found.
        """
        import faiss

        # Of this thread. Requests come side by side already, and OpenMP would start a thread for each core of the host, even
        # in a container that has a part of one.
        faiss.omp_set_num_threads(1)
        found = faiss.SearchParametersHNSW(efSearch=max(self._ef_search, self.candidates))  # type: ignore[attr-defined]
        places: np.ndarray = self._graph.search(queries, self.candidates, params=found)[1]
        return places


def build(
    saved_model: pathlib.Path,
    embeddings: np.ndarray,
    candidates: int,
    links: int,
    ef_construction: int,
    ef_search: int,
) -> None:
    """Makes an index and writes it beside a SavedModel (Malkov and Yashunin 2018, "Hierarchical Navigable Small World Graphs").

    The same embeddings give the same bytes: one thread adds them.

    Args:
        saved_model: folder.
        embeddings: of the items, by place, [M, d].
        candidates: how many items are found for a query.
        links: of an item to others, M in the paper; the lowest layer has twice as many.
        ef_construction: how many items are looked at to link a new one.
        ef_search: how many are looked at for a query.
    """
    import faiss
    import numpy as np

    items, dimensions = embeddings.shape
    faiss.omp_set_num_threads(1)
    graph = faiss.IndexHNSWFlat(dimensions, links, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = ef_construction
    graph.add(np.ascontiguousarray(embeddings, np.float32))
    folder = saved_model / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(graph, str(folder / _GRAPH))
    said = {
        "format": _FORMAT,
        "kind": "hnsw",
        "items": items,
        "dimensions": dimensions,
        "candidates": min(candidates, items),
        "ef_search": ef_search,
        "library": f"faiss {faiss.__version__}",
    }
    (folder / _DESCRIPTION).write_text(json.dumps(said, indent=2), encoding="utf-8")


def find(saved_model: pathlib.Path) -> Index | None:
    """Reads the index beside a SavedModel; None where there is none.

    Raises:
        InputError: it cannot be read, or is none that this version knows.
    """
    folder = saved_model / _FOLDER
    if not folder.is_dir():
        return None
    try:
        said = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ValueError(f"its format is {said['format']}, this Trainyard reads {_FORMAT}")
        import faiss

        graph = faiss.read_index(str(folder / _GRAPH))
        if (found := (graph.ntotal, graph.d)) != (expected := (said["items"], said["dimensions"])):
            raise ValueError(
                f"it holds {found[0]} items of {found[1]} numbers instead of {expected[0]} of {expected[1]}"
            )
        return Index(graph, int(said["candidates"]), int(said["ef_search"]))
    except (OSError, ImportError, ValueError, KeyError, TypeError, RuntimeError) as error:
        # faiss raises RuntimeError, and ends its message with the line of its source.
        why = f"no field {error}" if isinstance(error, KeyError) else one_line(error, 200)
        raise InputError(
            f"{folder}: the index of the items cannot be read: {why}. Serve it with the Trainyard that made it, or train anew."
        ) from None

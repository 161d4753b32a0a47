"""The items of a fitted model, and what a release has of them as files beside the SavedModel."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import TYPE_CHECKING

import vector_index
from components.tasks._lazily import np, pa, pq
from components.tasks.catalogue import Catalogue, as_text

if TYPE_CHECKING:
    from components.tasks._retrieval_options import IndexOptions

ITEMS_FILE = pathlib.Path("assets.extra") / "items.parquet"
_MOST = 0.95


@dataclasses.dataclass(frozen=True)
class Stock:
    """What there is to be found.

    Attributes:
        catalogue: the items.
        embeddings: of them, [M, d] of float32.
        labels: of them, where relevance is by label, [M] of text.
    """

    catalogue: Catalogue
    embeddings: np.ndarray
    labels: pa.Array | None = None

    def write_items(self, saved_model: pathlib.Path) -> None:
        """Writes `id`, `embedding` and, where there are some, `label` of each item, by place."""
        path = saved_model / ITEMS_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        flat = pa.array(self.embeddings.reshape(-1), pa.float32())
        columns = {
            "id": pa.array(self.catalogue.ids, pa.string()),
            "embedding": pa.FixedSizeListArray.from_arrays(flat, self.embeddings.shape[1]),
        }
        if self.labels is not None:
            columns["label"] = pa.array(as_text(self.labels), pa.string())
        pq.write_table(pa.table(columns), path)

    @property
    def had_by_most(self) -> int:
        """How many items 95 of 100 queries have had at most."""
        had = np.diff(self.catalogue.seen.splits)
        return int(np.ceil(np.quantile(had, _MOST))) if len(had) else 0

    def write_index(self, saved_model: pathlib.Path, candidates: int, options: IndexOptions) -> None:
        """Writes the index, which finds so many candidates for a query."""
        vector_index.build(
            saved_model, self.embeddings, candidates, options.links, options.ef_construction, options.ef_search
        )

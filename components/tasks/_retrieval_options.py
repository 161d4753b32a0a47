"""`task_options` of a retrieval."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from spec.section import ColumnName, Section


class IndexOptions(Section):
    kind: Literal["hnsw"] = "hnsw"
    """hnsw: a graph whose items are linked to near ones; a search walks towards the query (docs/decisions/0040)."""
    min_recall: float = Field(default=0.99, gt=0, le=1)
    """The share of the exact answer's items that the index must find; below it the evaluation withholds its blessing."""
    links: int = Field(default=32, ge=4, le=128)
    """Of an item to others, `M` of the paper: more find more, and take more memory, some 8 bytes each and item."""
    ef_construction: int = Field(default=200, ge=8, le=2000)
    """How many items are looked at to link a new one: more make a better graph, and take longer."""
    ef_search: int = Field(default=200, ge=8, le=10_000)
    """How many items are looked at for a query, at least as many as are answered: more find more, and take longer."""


class RetrievalOptions(Section):
    item: ColumnName | None = None
    """The column of the items' ids, text or whole numbers. None: each row of train is an item, and its number there is its id."""
    query_columns: tuple[ColumnName, ...] = Field(min_length=1)
    """What a request carries, and what of the row the tower of queries may look at."""
    item_columns: tuple[ColumnName, ...] = Field(min_length=1)
    """What an item is described by: the tower of items sees them. Of an item that has several rows, the first one's values."""
    top_k: int = Field(default=100, ge=20, le=1000)
    """How many items are answered; `map` looks at no more."""
    relevance: Literal["interactions", "label"] = "interactions"
    """What makes an item right. interactions: a row of test has the query's column and the item's. label: the item's label is
    that of the query, which needs `data.label`."""
    leave_out_seen: bool = True
    """Whether a query is not answered what train or eval has for it already."""
    index: IndexOptions | None = None
    """An approximate index beside exact search, for the model server, batch prediction and the evaluation; None: all is exact."""
    loss: Literal["softmax", "bpr"] = "softmax"
    """softmax: which of a batch's items is the row's own, with the correction for frequent ones. bpr: the own item against each
    other one of the batch. Where relevance is `label`, rows of one label are drawn together instead."""

    negatives: int = Field(default=0, ge=0, le=100)
    """How many items are drawn evenly from the catalogue for each row of a batch; all rows are held against all of them, besides the
    batch's own. With a small batch the rare items would hardly be seen as wrong answers otherwise."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.negatives and self.relevance == "label":
            raise ValueError(
                "negatives are items that are not the query's own, which relevance: label does not tell. Remove it"
            )
        if self.relevance == "interactions" and self.item is None:
            raise ValueError("relevance: interactions needs `item`, the column of what is retrieved")
        if self.item is not None and self.item not in self.item_columns:
            raise ValueError(f"item_columns must have the item itself. Received: {self.item!r} is not among them")
        return self
